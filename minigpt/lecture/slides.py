"""The cells of a section as slides: its claim, what to predict, what its run showed, the answer. Other prose is notes."""

import re
from dataclasses import dataclass, field

from minigpt.lecture.markup import LINES, Piece, blocks, output, prose, sentence, source
from minigpt.lecture.notebook import Cell

CODE_IS_THE_POINT = "on-slide"  # the tag of a code cell

CLAIM, PREDICT, ANSWER = (f"**{word}.** " for word in ("Claim", "Predict", "Answer"))


@dataclass
class Slide:
    """kind: its look. notes: of the speaker, in Markdown. where: what it is made of."""

    kind: str
    heading: str
    body: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    where: str = ""

    def has_room_for(self, piece: Piece) -> bool:
        return self.kind == "shown" and sum(each.lines for each in self.body) + piece.lines <= LINES


def slides_of(notebook: str, heading: str, cells: list[Cell]) -> list[Slide]:
    slides: list[Slide] = []

    def add(kind: str, *body: Piece) -> None:
        slides.append(Slide(kind, re.sub(r"^\d+\. ", "", heading), [*body], where=f"notebook {notebook[:2]}"))

    add("claim")
    claims = any(CLAIM in cell.text for cell in cells)

    def show(piece: Piece) -> None:
        if not slides[-1].has_room_for(piece):
            add("shown")
        slides[-1].body.append(piece)

    for cell in cells:
        if cell.kind == "code":
            for piece in pieces(cell):
                show(piece)
            continue
        for block in blocks(cell.text):
            if block.startswith(PREDICT):
                add("predict", sentence(block.removeprefix(PREDICT), "question"))
            elif block.startswith(ANSWER):
                show(sentence(block.removeprefix(ANSWER), "answer"))
            elif block.startswith(CLAIM):
                slides[0].body.append(sentence(block.removeprefix(CLAIM), "statement"))
            elif len(slides) == 1 and (is_formula(block) or not claims and on_a_slide_without_claim(block, slides[0])):
                slides[0].body.append(sentence(block, "formula" if is_formula(block) else "text"))
            else:
                slides[-1].notes.append(block)
    return slides


def pieces(cell: Cell) -> list[Piece]:
    code = CODE_IS_THE_POINT in cell.tags
    shown = [piece for said in cell.outputs for piece in output(said, code_too=code)]
    calls_code = any("text/markdown" in said for said in cell.outputs)  # then the code it shows is the point, not its own
    return [*(source(cell.text) if code and not calls_code else []), *shown]


def is_formula(block: str) -> bool:
    return block.startswith("`")


def on_a_slide_without_claim(block: str, slide: Slide) -> bool:
    """Its first paragraph and its lists."""
    return not slide.body or block.startswith("- ")
