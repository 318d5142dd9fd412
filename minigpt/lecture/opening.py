"""The slides that are in no notebook: how the lecture begins, its middle, its end, and pictures and caches between."""

from pathlib import Path

from minigpt.lecture.figures import drawing
from minigpt.lecture.markup import inline, prose, sentence
from minigpt.lecture.room import LINES, Piece
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

ALOUD = "At each prediction: let them say an answer aloud before you go on."

ONE_AT_A_TIME = """
- The model reads the text so far, and says of every token how likely it comes next.
- One of them is chosen, and put at the end of the text.
- The model reads the longer text, and so on. Which token comes third depends on which was chosen second.
"""

CACHES = {  # by the notebook that is about it: what a cache is, before the first of its sections
    "04": (
        "The static cache",
        "- The dynamic cache grows, and when it is full it moves.\n"
        "- The static one takes all its slots at the start. Nothing ever moves.",
    ),
    "05": (
        "The sliding window",
        "- The model lets each token see the last N tokens only. Older keys need not be kept.\n"
        "- Sinks are the first few tokens, which everyone goes on seeing.",
    ),
    "06": (
        "The quantized cache",
        "- Each number is kept in a few bits: as a small whole number, times a scale, plus an offset.\n"
        "- Neighbours share a scale and an offset.",
    ),
    "07": (
        "The offloaded cache",
        "- All bits are kept, but in a larger, slower memory.\n"
        "- A layer's keys and values come when it is its turn to work.",
    ),
}

PICTURES = {  # of the project, after the sections that they belong to
    ("06", "2. Groups"): "scales",
    ("08", "4. The calculator for real models"): "models",
}

TAKE_AWAY = """
- Feed only what is new.
- Old rows can't change: a token looks only backwards.
- Cached and uncached logits are equal, to rounding.
- It costs memory: 2 x layers x key/value heads x channels x bytes a number, for each token.
- Fixed shapes compile; a window forgets; rounding keeps fewer bits; offloading waits.
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
    title.notes += ["Before the hour: try `python -m minigpt race` in a terminal with large type.", ALOUD, KEYS]
    return [title]


def race() -> Slide:
    slide = Slide("race", "The same text, twice", [Piece("<pre>python -m minigpt race</pre>", 2)])
    asked = "On the left without a cache, on the right with one. Which is ahead, and do both write the same?"
    seen = (
        "With a cache, by far, and both write the same. Without one, the longer the text, the longer each token takes."
    )
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
    answer = f"{steps} times without a cache: once at each step. With one: once."
    predict.notes.append(f"The answer will be: {answer}")
    return [predict, picture(figures, "redundancy", heading), Slide("shown", heading, [sentence(answer, "answer")])]


def picture(figures: Path, name: str, heading: str) -> Slide:
    drawn = drawing(figures / f"{name}.svg")
    return Slide("shown", heading, [drawn], [drawn.words])


def introduction(number: str) -> list[Slide]:
    """Of a notebook's cache, before the first of its sections; none if it is not about a cache of its own."""
    if number not in CACHES:
        return []
    heading, words = CACHES[number]
    return [Slide("text", heading, [Piece(prose(words), LINES)], where=f"notebook {number}")]


def half_time() -> Slide:
    slide = Slide("title", "Questions so far?")
    slide.body.append(sentence("What is kept, why it may be kept, and what it costs.", "text"))
    slide.notes.append("A lecture of half an hour ends here. Press End: it goes to what to take away.")
    return slide


def take_away() -> Slide:
    return Slide("text", "What to take away", [Piece(prose(TAKE_AWAY), LINES)])


def ending(questions: list[tuple[str, str]]) -> list[Slide]:
    asked = "".join(f"<li>{inline(question)}</li>" for question, _ in questions)
    ask = Slide("questions", "Questions", [Piece(f"<ol>{asked}</ol>", LINES)])
    ask.notes += [f"**{number}. {question}** {answer}" for number, (question, answer) in enumerate(questions, 1)]
    return [ask, Slide("text", "Where to go on", [Piece(prose(ON), LINES)])]
