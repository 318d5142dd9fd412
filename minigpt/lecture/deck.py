"""The page: every slide, its notes, and reveal.js, in one file that fetches nothing."""

import html
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from minigpt.lecture.hour import Part, hour, questions, read_readme
from minigpt.lecture.markup import colours, prose
from minigpt.lecture.notebook import section
from minigpt.lecture.opening import beginning, computed_again, ending, generation, half_time, race
from minigpt.lecture.slides import Slide, slides_of

HERE = Path(__file__).parent
REVEAL = "pyreveal/revealjs/"  # reveal.js as npm has it, in a package without requirements; none of its own code is run

POLICY = (  # by which a browser would refuse to fetch anything
    "connect-src 'none'; font-src data:; img-src data:; media-src 'none'; object-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
)


def deck(notebooks: Path, figures: Path, steps: int) -> str:
    """The whole lecture as HTML. steps: of the picture of rows that are computed again.

    Raises ValueError for what is missing, with what to do about it.
    """
    readme = read_readme(notebooks)
    parts = hour(readme)
    slides = {at: of_part(part, notebooks) for at, part in enumerate(parts)}
    slides[0] = [*beginning(), race(), generation(), *slides[0], *computed_again(figures, steps)]
    slides[len(parts) - 1] += ending(questions(readme))
    for at, part in enumerate(parts):
        slides[at] += [half_time()] if part.ends_half_an_hour else []
    return page("\n".join(stack(part, slides[at]) for at, part in enumerate(parts)))


def of_part(part: Part, notebooks: Path) -> list[Slide]:
    return [
        slide
        for file, heading in part.sections
        for slide in slides_of(file, heading, section(notebooks / file, heading))
    ]


def stack(part: Part, slides: list[Slide]) -> str:
    """The slides of a part: one below the other where all are seen at once."""
    minutes = f"Minutes {part.start} to {part.end}: {part.what}"
    seconds = 60 * (part.end - part.start) // len(slides)
    return "<section>\n" + "\n".join(slide_html(slide, minutes, seconds) for slide in slides) + "\n</section>"


def slide_html(slide: Slide, minutes: str, seconds: int) -> str:
    notes = prose("\n\n".join([f"*{minutes}*", *slide.notes]))
    body = "\n".join(piece.html for piece in slide.body)
    return (
        f'<section class="{slide.kind}" data-timing="{seconds}"><div class="slide">'
        f"<header><h2>{html.escape(slide.heading)}</h2><span>{slide.where}</span></header>\n"
        f'<div class="body">{body}</div></div>\n'
        f'<aside class="notes">{notes}</aside></section>'
    )


def page(slides: str) -> str:
    style = "\n".join([reveal("dist/reset.css"), reveal("dist/reveal.css"), colours(), own("deck.css")])
    scripts = [reveal("dist/reveal.js"), reveal("dist/plugin/notes.js"), own("deck.js")]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>The KV cache: a lecture</title>\n<!-- reveal.js:\n{reveal('LICENSE')}\n-->\n"
        f"<style>\n{style}\n</style>\n"
        f'</head>\n<body>\n<div class="reveal"><div class="slides">\n{slides}\n</div></div>\n'
        + "".join(f"<script>\n{script}\n</script>\n" for script in map(inside_html, scripts))
        + "</body>\n</html>\n"
    )


def inside_html(script: str) -> str:
    """The same script without what would end its element, or begin another: in JavaScript's strings `\\x3c` is `<`."""
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", script, flags=re.IGNORECASE)


def own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def reveal(name: str) -> str:
    try:
        return Path(distribution("pyreveal").locate_file(REVEAL + name)).read_text(encoding="utf-8")
    except PackageNotFoundError as error:
        raise ValueError(
            "the slides are shown by reveal.js, which comes in the package pyreveal: pip install '.[lecture]' in the "
            "project's folder"
        ) from error
