"""Several processes on one model: each result equals that of one process, and what is sent its closed form."""

import json
from pathlib import Path

import pytest
import torch.distributed as dist
from counting import PROMPT, ROWS, SIZES
from start_processes import ended, together

from minigpt import GPTConfig, LlamaConfig
from minigpt.cache import CACHES
from minigpt.measure.forms import parallel as forms
from minigpt.measure.forms.roofline import kv_nbytes

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
HERE = Path(__file__).parent
EXACT = [name for name, kind in CACHES.items() if not (kind.lossy or kind.needs_window)]
CONFIGS = {"GPT": GPTConfig(**SIZES), "Llama": LlamaConfig(**SIZES, head_size=16, qk_norm=True)}


def lines(processes):
    """What each has printed; all must have ended well."""
    results = ended(processes)
    assert [code for code, _, _ in results] == [0] * len(results), results
    return [out.strip() for _, out, _ in results]


@pytest.mark.parametrize(("count", "ways"), [(1, ["positions"]), (2, ["heads", "positions"]), (3, ["positions"])])
def test_conformance(count, ways):
    """The suite's own checks, on caches of which each process has a part; and seeded bugs, which must be noticed."""
    said = lines(together(count, HERE / "conformance.py", *ways))
    assert len(set(said)) == 1, said
    of_each = [line.split() for line in said[0].splitlines()]
    assert [way for way, *_ in of_each] == ways
    for way, *numbers in of_each:
        held, noticed, bugs = map(int, numbers)
        assert held >= 20
        assert noticed == bugs == (0 if count == 1 else {"heads": 2, "positions": 3}[way])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return [json.loads(line) for line in lines(together(2, HERE / "counting.py", tmp_path_factory.mktemp("handed")))]


@pytest.mark.parametrize("name", CONFIGS)
def test_each_process_generates_what_one_alone_does(found, name):
    whole = found[0]["texts"][f"{name}, whole"]
    of_it = {what: text for one in found for what, text in one["texts"].items() if what.startswith(name)}
    assert len(of_it) == 1 + len(EXACT) + 2
    assert all(text == whole for text in of_it.values()), [what for what, text in of_it.items() if text != whole]
    assert len({*map(tuple, whole)}) == ROWS, "rows that are all alike would prove little"


@pytest.mark.parametrize("tokens", [8, 1])
@pytest.mark.parametrize("way", ["heads", "positions"])
@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_sent_is_the_closed_form(found, name, way, tokens):
    form = {"heads": forms.by_heads, "positions": forms.by_positions}[way]
    sent = form(CONFIGS[name], 2, itemsize=4, tokens=tokens, batch=ROWS)
    for one in found:
        assert one["sent"][f"{name}, {way}, {tokens}"] == [sent.collectives, sent.given]


@pytest.mark.parametrize("name", CONFIGS)
def test_each_process_holds_its_part_of_the_bytes(found, name):
    whole = ROWS * PROMPT * kv_nbytes(CONFIGS[name], 4)
    assert [one["held"][f"{name}, heads"] for one in found] == [whole / 2, whole / 2]
    of_tokens = [one["held"][f"{name}, positions"] for one in found]  # 9 tokens in blocks of 2: 5 here, 4 there
    assert of_tokens == [whole * 5 / 9, whole * 4 / 9]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_cache_that_was_handed_over_goes_on_with_the_same_text(found, name):
    there = found[1]["handed over"]
    assert there[f"{name}, sent"] == there[f"{name}, from a file"] == found[0]["texts"][f"{name}, whole"]
    assert "would be rounded again" in found[0]["handed over"][f"{name}, refused"]
    assert "process 0 has refused" in there[f"{name}, refused"]


def test_pays_from_is_where_the_two_times_meet():
    config = LlamaConfig(vocab_size=32000, context=8192, n_layer=32, n_head=32, n_kv_head=8, n_embd=4096, n_inner=14336)
    costs = {"itemsize": 2, "memory": 2e12, "batch": 2}
    for cut in (forms.heads_seconds, forms.positions_seconds):
        for link in forms.LINKS:
            for count in (2, 8):
                context = forms.pays_from(cut, config, count, link, **costs)
                late, early = (
                    cut(config, at, count, link, **costs) - forms.decode_seconds(config, at, **costs)
                    for at in (context, context - 1)
                )
                assert late <= 0
                assert not context or early > 0


def test_a_cut_into_unequal_parts_is_refused():
    from minigpt import GPT
    from minigpt.parallel import Processes, by_heads

    with pytest.raises(ValueError, match="n_kv_head 2 can't be cut into 4 equal parts"):
        by_heads(GPT(CONFIGS["GPT"]), Processes(4, 0))
