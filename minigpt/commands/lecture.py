"""The hour's lecture, as slides."""

from pathlib import Path

from minigpt.commands import EXIT_OK
from minigpt.commands.out import check_file

SUMMARY = "make the hour's lecture, one page of slides, from the notebooks"


def declare(command):
    command.add_argument("--out", type=Path, default=Path("deck.html"), metavar="FILE", help="the page (%(default)s)")
    folder = {"type": Path, "metavar": "FOLDER", "help": "where they are (%(default)s)"}
    command.add_argument("--notebooks", default=Path("notebooks"), **folder)
    command.add_argument("--figures", default=Path("figures"), **folder)


def run(options) -> int:
    try:
        from minigpt.lecture.deck import deck
    except ModuleNotFoundError as error:
        raise ValueError(f"slides need {error.name}: pip install '.[lecture]' in the project's folder") from error
    from minigpt.show.plots.prompt import NEW

    check_file(options.out)
    page = deck(options.notebooks, options.figures, steps=NEW)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page, encoding="utf-8", newline="\n")
    print(options.out)
    return EXIT_OK
