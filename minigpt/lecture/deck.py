"""The page: every slide, its notes, and reveal.js, in one file that fetches nothing."""

import html
from importlib.metadata import PackageNotFoundError, distribution
from itertools import accumulate, pairwise
from pathlib import Path

from minigpt.lecture.hour import Part, hour, questions, read_readme
from minigpt.lecture.markup import colours, prose
from minigpt.lecture.notebook import section
from minigpt.lecture.opening import (
    PICTURES,
    beginning,
    computed_again,
    ending,
    generation,
    half_time,
    introduction,
    picture,
    race,
    take_away,
)
from minigpt.lecture.slides import Slide, slides_of
from minigpt.show.in_html import inside_html

HERE = Path(__file__).parent
REVEAL = "pyreveal/revealjs/"  # reveal.js as npm has it, in a package without requirements; none of its own code is run

WEIGHTS = {  # of the time that a slide takes, by its kind
    "title": 10,
    "race": 90,
    "text": 30,
    "predict": 40,
    "shown": 40,
    "claim": 20,
    "questions": 120,
}

POLICY = (  # by which a browser refuses to fetch anything; the speaker's window has the deck itself in frames
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-src 'self' file:; "
    "connect-src 'none'; font-src data:; img-src data:; media-src 'none'; object-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
)


def deck(notebooks: Path, figures: Path, steps: int) -> str:
    """The whole lecture as HTML. steps: of the picture of rows that are computed again.

    Raises ValueError for what is missing, with what to do about it.
    """
    readme = read_readme(notebooks)
    parts = hour(readme)
    slides = of_parts(parts, notebooks, figures)
    slides[0] = [*beginning(), race(), generation(), *slides[0], *computed_again(figures, steps)]
    slides[-1] = [take_away(), *slides[-1], *ending(questions(readme))]  # where the key End leads to
    for at, part in enumerate(parts):
        slides[at] += [half_time()] if part.ends_half_an_hour else []
    return page("\n".join(stack(part, slides[at]) for at, part in enumerate(parts)))


def of_parts(parts: list[Part], notebooks: Path, figures: Path) -> list[list[Slide]]:
    """Of each its sections, with what belongs before and after them."""
    slides: list[list[Slide]] = []
    introduced = set()
    for part in parts:
        slides.append([])
        for file, heading in part.sections:
            number = file[:2]
            slides[-1] += introduction(number) if number not in introduced else []
            introduced.add(number)
            slides[-1] += slides_of(file, heading, section(notebooks / file, heading))
            name = PICTURES.get((number, heading))
            slides[-1] += [picture(figures, name, slides[-1][-1].heading)] if name else []
    return slides


def stack(part: Part, slides: list[Slide]) -> str:
    """The slides of a part: one below the other where all are seen at once."""
    minutes = f"Minutes {part.start} to {part.end}: {part.what}"
    timed = zip(slides, timing(slides, 60 * (part.end - part.start)), strict=True)
    return "<section>\n" + "\n".join(slide_html(slide, minutes, seconds) for slide, seconds in timed) + "\n</section>"


def timing(slides: list[Slide], seconds: int) -> list[int]:
    """The seconds of each, by its kind, which in all are as many as given."""
    *ends, whole = accumulate((WEIGHTS[slide.kind] for slide in slides), initial=0)
    return [after - before for before, after in pairwise(seconds * end // whole for end in [*ends, whole])]


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


def own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def reveal(name: str) -> str:
    try:
        return Path(str(distribution("pyreveal").locate_file(REVEAL + name))).read_text(encoding="utf-8")
    except PackageNotFoundError as error:
        raise ValueError(
            "the slides are shown by reveal.js, which comes in the package pyreveal: pip install '.[lecture]' in the "
            "project's folder"
        ) from error
