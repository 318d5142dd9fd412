"""Every figure, drawn anew."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_file, check_folder

SUMMARY = "draw every figure anew"


def declare(command):
    command.add_argument("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="where to (%(default)s)")
    command.add_argument(
        "--measure",
        type=Path,
        metavar="FILE",
        help="first measure anew how long a token takes here (minutes), and record it in FILE",
    )


def run(options) -> int:
    import torch

    from minigpt.measure.timed.time_per_token import record

    try:
        from minigpt.show.plots.all import draw_all
    except ModuleNotFoundError as error:
        raise ValueError(f"figures are drawn with matplotlib: pip install matplotlib ({error})") from error

    check_folder(options.out)
    torch.set_num_threads(1)  # the bundled model is small: more would wait for each other; and times are of one
    measured = {}
    if options.measure:
        check_file(options.measure)
        measured["time-a-token"] = record()
        measured["time-a-token"].save(options.measure)
        print(options.measure)
    for path in draw_all(options.out, measured):
        print(path)
    return EXIT_OK
