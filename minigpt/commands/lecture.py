"""The hour's lecture, as slides."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_file, file, write

SUMMARY = "make an hour's lecture, one page of slides, from the notebooks"


def declare(command):
    command.add_argument("--out", type=file, default=Path("deck.html"), metavar="FILE", help="the page (%(default)s)")
    folder = {"type": Path, "metavar": "FOLDER"}
    command.add_argument("--notebooks", default=Path("notebooks"), **folder, help="where they are (%(default)s)")
    command.add_argument("--figures", **folder, help="where they are (figures, beside the notebooks' folder)")


def run(options) -> int:
    try:
        from minigpt.lecture.deck import deck
    except ModuleNotFoundError as error:
        raise ValueError(f"slides need {error.name}: pip install '.[lecture]' in the project's folder") from error
    from minigpt.show.plots.prompt import NEW

    check_file(options.out)
    figures = options.figures or options.notebooks.absolute().parent / "figures"
    page = deck(options.notebooks, figures, steps=NEW)
    write(page, options.out)
    print(options.out)
    return EXIT_OK
