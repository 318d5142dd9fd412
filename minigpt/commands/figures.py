"""Every figure, drawn anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_file, check_folder

SUMMARY = "redraw every figure"


def declare(command):
    command.add_argument("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="the folder (%(default)s)")
    command.add_argument(
        "--measure",
        type=Path,
        metavar="FILE",
        help="first measure again how long a token takes here (minutes), and record it in FILE",
    )
    command.add_argument(
        "--profile", type=Path, metavar="FILE", help="likewise where a step's time goes (needs a C++ compiler)"
    )


def run(options) -> int:
    import torch

    from minigpt.measure.timed import profile, time_per_token

    try:
        from minigpt.show.plots.all import draw_all
    except ModuleNotFoundError as error:
        raise ValueError(f"figures are drawn with matplotlib: pip install matplotlib ({error})") from error

    check_folder(options.out)
    torch.set_num_threads(1)  # the bundled model is small: more would wait for each other; and times are of one
    recordings: dict[str, tuple[Path | None, Callable[[], Any]]] = {
        "profile": (options.profile, profile.record),  # first: it may be refused, where there is no compiler
        "time-a-token": (options.measure, time_per_token.record),
    }
    for file, _ in recordings.values():
        if file:
            check_file(file)
    measured = {}
    for name, (file, record) in recordings.items():
        if file:
            measured[name] = record()
            measured[name].save(file)
            print(file)
    for path in draw_all(options.out, measured):
        print(path)
    return EXIT_OK
