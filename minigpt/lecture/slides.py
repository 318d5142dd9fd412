"""The cells of a section as slides: what to predict, what was shown, the answer, and last the claim, which sums it up.

Other prose is notes.
"""

import re
from dataclasses import dataclass, field

from minigpt.lecture.markup import blocks, output, sentence, source
from minigpt.lecture.notebook import Cell
from minigpt.lecture.room import GAP, LINES, Piece

CODE_IS_THE_POINT = "on-slide"  # the tag of a code cell
LEADING_ON = re.compile(r"(?<=[.?!])\s+[^.?!]*:\Z")  # a last sentence
CLAIM, PREDICT, ANSWER = "**Claim.** ", "**Predict.** ", "**Answer.** "


@dataclass
class Slide:
    """kind: its look. notes: the speaker's, in Markdown. where: what it was made of."""

    kind: str
    heading: str
    body: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    where: str = ""

    def has_room_for(self, piece: Piece) -> bool:
        return self.kind == "shown" and sum(each.lines + GAP for each in self.body) + piece.lines <= LINES


def slides_of(notebook: str, heading: str, cells: list[Cell]) -> list[Slide]:
    """notebook: the name of its file, which begins with its number."""
    claimed = any(CLAIM in cell.text for cell in cells)
    claims: list[Piece] = []
    slides: list[Slide] = []

    def add(kind: str, *body: Piece) -> None:
        slides.append(Slide(kind, re.sub(r"^\d+\. ", "", heading), [*body], where=f"notebook {notebook[:2]}"))

    def show(piece: Piece, kind: str = "shown") -> None:
        if not slides[-1].has_room_for(piece):
            add(kind)
        slides[-1].body.append(piece)
        slides[-1].notes += [piece.words] if piece.words else []

    add("text")
    for cell in cells:
        for piece in pieces(cell) if cell.kind == "code" else []:
            show(piece)
        for block in blocks(cell.text) if cell.kind == "markdown" else []:
            if block.startswith(CLAIM):
                claims.append(sentence(block.removeprefix(CLAIM), "statement"))
            elif block.startswith(PREDICT):
                add("predict", sentence(block.removeprefix(PREDICT), "question"))
            elif block.startswith(ANSWER):
                answer = block.removeprefix(ANSWER)
                show(sentence(answer, "answer"))
                asked = [slide for slide in slides if slide.kind == "predict"]
                asked[-1].notes.append(f"The answer will be: {LEADING_ON.sub('', answer)}")
            elif len(slides) == 1 and (in_front(block) or (not claimed and stands_for_a_claim(block, slides[0]))):
                slides[0].body.append(sentence(block, "formula" if is_formula(block) else "text"))
            elif not leads_on(block):
                slides[-1].notes.append(block)
    for claim in claims:
        show(claim, "claim")
    return with_something_on_each(slides)


def with_something_on_each(slides: list[Slide]) -> list[Slide]:
    """Without the first if nothing came to stand on it; what the speaker says there is said at the next."""
    first, *others = slides
    if first.body or not others:
        return slides
    others[0].notes[:0] = first.notes
    return others


def pieces(cell: Cell) -> list[Piece]:
    """What a code cell shows: what it printed and drew, and code where that is the point, be it the cell's own or what
    it shows by `code()`."""
    code = CODE_IS_THE_POINT in cell.tags
    shows_code = any("text/markdown" in said for said in cell.outputs)
    own = source(cell.text) if code and not shows_code else []
    return own + [piece for said in cell.outputs for piece in output(said, code_too=code)]


def in_front(block: str) -> bool:
    """Whether it is to be known before the prediction: a formula, say."""
    return block.startswith("`")


def is_formula(block: str) -> bool:
    return bool(re.match("`[^`]* = ", block))


def leads_on(block: str) -> bool:
    """Whether it only leads a reader to what comes next in the notebook."""
    return block.endswith(":") or block.startswith("Next, notebook")


def stands_for_a_claim(block: str, slide: Slide) -> bool:
    """In a section without a claim: its first paragraph and its lists."""
    return not slide.body or block.startswith("- ")
