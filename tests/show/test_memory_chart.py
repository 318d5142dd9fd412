"""The chart of bytes against context, and the words for bytes."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest
from drawn_words import drawn_words

from minigpt.measure.forms.memory import plans
from minigpt.measure.forms.real_models import load
from minigpt.show.plots.memory_chart import memory_chart
from minigpt.show.words import words


def drawn(path, name="gemma-3-27b", tokens=131_072, batch=1, bits=(8, 4, 2, 1)):
    picture = memory_chart(name, plans(load(name), batch, bits), tokens, batch)
    picture.save(path, path.suffix[1:])
    return picture


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_chart_drawn_twice_is_the_same_to_the_byte(kind, tmp_path):
    first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    drawn(first), drawn(second)
    assert first.read_bytes() == second.read_bytes()


def test_each_line_ends_with_its_cache_and_the_bytes_it_holds(tmp_path):
    drawn(tmp_path / "a.svg")
    texts = [
        "".join(each.itertext()).strip() for each in ElementTree.parse(tmp_path / "a.svg").iter() if "text" in each.tag
    ]
    for end in (
        "dynamic, at most 124.0 GiB",
        "concat, static 62.0 GiB",
        "8 bits 33.0 GiB",
        "4 bits 17.5 GiB",
        "2 bits 9.7 GiB",
        "1 bit 5.9 GiB",
        "sliding_window 10.4 GiB",
        "offloaded 4.0 GiB",
        "offloaded_static 2.0 GiB",
        "tokens of a row (log scale)",
        "held in fast memory (log scale)",
    ):
        assert end in texts


def test_the_title_says_what_was_found_and_the_alt_text_what_is_to_be_seen(tmp_path):
    picture = drawn(tmp_path / "a.svg", "gpt2", 1024, 8, (2,))
    assert picture.words == "gpt2: keys and values of 8 rows of 1,024 tokens take 288.0 MiB, or 75.6 MiB in 2 bits"
    assert re.fullmatch(r"Lines of bytes .* gpt2 and 8 rows of 1,024 tokens, .*2 bits 75.6 MiB; .*\.", picture.alt)
    assert drawn(tmp_path / "b.svg").words.endswith("take 62.0 GiB, or 17.5 GiB in 4 bits, or 10.4 GiB in windows")


@pytest.mark.parametrize(("tokens", "batch"), [(131_072, 1), (1_000_000, 1000)])
@pytest.mark.parametrize("name", ["gpt2-xl", "mistral-7b", "gemma-3-27b", "gpt-oss-120b"])
def test_no_two_pieces_of_text_overlap_and_none_is_cut(name, tokens, batch):
    picture = memory_chart(name, plans(load(name), batch), tokens, batch)
    pieces, (width, height) = drawn_words(picture), picture.bbox.size
    assert len(pieces) > 15
    for piece in pieces:
        assert 0 <= piece.box.x0 < piece.box.x1 <= width, piece
        assert 0 <= piece.box.y0 < piece.box.y1 <= height, piece
    for one, other in itertools.combinations(pieces, 2):
        assert not one.box.padded(-1).overlaps(other.box.padded(-1)), (one, other)


def test_the_lines_are_the_bytes_of_the_plans(tmp_path):
    model = load("gemma-3-27b")
    lines = drawn(tmp_path / "a.svg").axes[0].lines
    kept = [plan for plan in plans(model) if plan.cache != "concat"]
    for line, plan in zip(lines, kept, strict=True):
        for tokens, nbytes in line.get_xydata().astype(int).tolist():
            assert plan.here(tokens) == nbytes


def test_a_context_of_one_token_can_be_drawn(tmp_path):
    drawn(tmp_path / "a.svg", "gpt2", 1)


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1,024.0 KiB"),
        (2**20, "1.0 MiB"),
        (512 * 2**20, "512.0 MiB"),
        (24 * 2**30, "24.0 GiB"),
        (5 * 2**50, "5,120.0 TiB"),
    ],
)
def test_bytes_are_said_in_the_largest_unit_that_they_fill(nbytes, said):
    assert words(nbytes) == said
