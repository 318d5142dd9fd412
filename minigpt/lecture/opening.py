"""The slides that are in no notebook: how the lecture begins, its middle, and its end."""

from pathlib import Path

from minigpt.lecture.markup import LINES, Piece, drawing, inline, prose, sentence
from minigpt.lecture.slides import Slide

KEYS = """
| key | what it does |
|---|---|
| → or space | on, also to an answer that is still hidden |
| ← | back |
| S | the speaker's window: notes, clock, the next slide |
| O | all slides; Enter opens one |
| B | a black screen, and back |
| D | dark, and light again |
| F | the whole screen; Esc leaves it |
"""

ONE_AT_A_TIME = """
- The model reads the text so far, and says of every token how likely it comes next.
- One of them is chosen, and put at the end of the text.
- The model reads the longer text, and so on. Which token comes third depends on which was chosen second.
"""

ON = """
- In a hurry: notebooks 02 and 03. To choose a cache: 08. To use transformers well: 03, then 09.
- Each notebook has exercises that check themselves.
- The proof, every cache against the model without one: `python -m pytest`

```sh
pip install -r requirements.txt && python -m minigpt
python -m jupyter lab notebooks
```
"""


def beginning() -> list[Slide]:
    title = Slide("title", "The KV cache, from scratch and measured")
    title.body.append(sentence("Why a text is made one token at a time, and what need not be computed again.", "text"))
    title.notes.append("Before the hour: press S once, and try `python -m minigpt race` in a terminal with large type.")
    keys = Slide("text", "How to steer", [Piece(prose(KEYS), LINES)])
    keys.notes.append("Skip this one in the room. Ask for each prediction, and wait for it, before you go on.")
    return [title, keys]


def race() -> Slide:
    slide = Slide("text", "The same text, twice", [Piece("<pre>python -m minigpt race</pre>", 2)])
    asked = "On the left without a cache, on the right with one. Which is ahead, and do both write the same?"
    seen = "Both write the same. Without a cache, the longer the text, the longer each token takes."
    slide.body += [sentence(asked, "question"), sentence(seen, "answer")]
    slide.notes.append(
        "Live, in a terminal. Two panes write, each at its own speed, and the rows of keys and values that they "
        "compute count up; then comes the verdict. Ask what the slower one is busy with, and leave it open."
    )
    return slide


def generation() -> Slide:
    return Slide("text", "Why one token at a time?", [Piece(prose(ONE_AT_A_TIME), LINES)])


def computed_again(figures: Path, steps: int) -> list[Slide]:
    """A prediction, and the picture of the rows that a text without a cache computes. steps: of that picture."""
    heading = "The same rows, again and again"
    asked = f"{steps} tokens are added to a prompt, one at a time. How often is the key of the first token computed?"
    predict = Slide("predict", heading, [sentence(asked, "question")])
    picture = drawing(figures / "redundancy.svg")
    answer = sentence(f"{steps} times without a cache: once at each step.", "answer")
    return [predict, Slide("shown", heading, [picture, answer], [picture.words])]


def half_time() -> Slide:
    slide = Slide("title", "Questions so far?")
    slide.body.append(sentence("What is kept, why it may be kept, and how it breaks.", "text"))
    slide.notes.append("A lecture of half an hour ends here. Press End, then go back to what to take away.")
    return slide


def ending(questions: list[tuple[str, str]]) -> list[Slide]:
    asked = "".join(f"<li>{inline(question)}</li>" for question, _ in questions)
    ask = Slide("questions", "Questions", [Piece(f"<ol>{asked}</ol>", LINES)])
    ask.notes += [f"**{number}. {question}** {answer}" for number, (question, answer) in enumerate(questions, 1)]
    return [ask, Slide("text", "Where to go on", [Piece(prose(ON), LINES)])]
