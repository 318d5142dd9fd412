"""What the page's scene `memory` shows, in a browser: the closed forms' numbers, in pictures, sentence and table."""

import re

import pytest

from minigpt.measure.forms.memory import Plan, longest
from minigpt.measure.forms.real_models import NAMES, load
from minigpt.page import scene_data

GB = 10**9
PARAMETERS = {model["name"]: model["parameters"] for model in scene_data.memory()}
# Of each machine: its weights, its cache, and the memory that it has.
WIDTHS = """() => [...document.querySelectorAll(".tank")].map((tank) =>
  ["weights", "cache", "memory"].map((part) => tank.querySelector(`.${part}`).getBoundingClientRect().width))"""
LABELS = {model["label"]: model["name"] for model in scene_data.memory()} | {"recall (here)": "recall"}
ROWS = "[...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
LISTED = """[...document.querySelectorAll(".models button")].map(
  (row) => [".name", ".kind"].map((part) => row.querySelector(part).textContent))"""


def held(name: str, context: int, batch: int, bits: int) -> int:
    model = load(name)
    cache = "quantized" if bits < 16 else "sliding_window" if any(model.windows) else "static"
    return Plan(cache, bits, model, batch, {} if bits == 16 else {"nbits": bits}).here(context)


def says(tab, text: str) -> None:
    """Waits until the finding says it, and is told by the live region too."""
    tab.wait_for_function("text => document.querySelector('.finding')?.textContent.includes(text)", arg=text)
    tab.wait_for_function("text => document.getElementById('say').textContent.includes(text)", arg=text)


def address(tab) -> dict[str, str]:
    return dict(tab.evaluate("[...new URLSearchParams(location.hash.slice(1))]"))


def test_it_finds_that_a_cache_can_be_larger_than_its_model(visit):
    tab = visit("scene=memory&lang=en")
    cache, weights = held("llama-3.1-8b", 131072, 1, 16) / GB, 2 * PARAMETERS["llama-3.1-8b"] / GB
    assert cache > weights
    says(tab, f"the cache takes {cache:.1f}\u00a0GB, more than the weights ({weights:.1f}\u00a0GB)")
    says(tab, "They fit the GPU (80\u00a0GB), not the laptop (16\u00a0GB).")


@pytest.mark.parametrize(("context", "batch", "bits"), [(131072, 1, 16), (4096, 8, 4)])
def test_the_table_has_the_bytes_of_every_model(visit, context, batch, bits):
    tab = visit(f"scene=memory&lang=en&context={context}&batch={batch}&bits={bits}&weights=8")
    tab.wait_for_selector("table", state="attached")
    rows = tab.evaluate(ROWS)
    assert {LABELS[row[0]] for row in rows} == {*NAMES}
    for label, _, _, cache, weights, *_ in rows:
        name = LABELS[label]
        assert int(cache.replace(",", "")) == held(name, context, batch, bits)
        assert int(weights.replace(",", "")) == PARAMETERS[name]


def test_no_context_is_longer_than_the_model_was_made_for(visit):
    tab = visit("scene=memory&lang=en&model=llama-3.1-8b")
    tab.wait_for_selector("table", state="attached")
    for label, *_, made_for, phone, laptop, gpu in tab.evaluate(ROWS):
        made = load(LABELS[label]).context
        assert int(made_for.replace(",", "")) == made
        assert all(int(longest.replace(",", "")) <= made for longest in (phone, laptop, gpu)), label
    assert tab.locator(".machine").nth(2).text_content().endswith("up to 131,072 tokens (model’s limit)")
    tab.evaluate("location.hash = 'scene=memory&lang=en&model=llama-3.1-8b&weights=8'")
    fits = longest(Plan("static", 16, load("llama-3.1-8b"), 1, {}).peak, 16 * GB - PARAMETERS["llama-3.1-8b"])
    assert fits < 131072
    tab.wait_for_function(
        "text => document.querySelectorAll('.machine')[1].textContent.endsWith(text)",
        arg=f"up to {fits:,} tokens (memory)",
    )


def test_that_a_rounded_cache_has_no_windows_stands_beside_its_numbers(visit):
    tab = visit("scene=memory&lang=en&model=gemma-3-4b")
    says(tab, "Gemma 3 4B, 131,072 tokens")
    windowed = {label: kind for label, kind in tab.evaluate(LISTED) if any(load(LABELS[label]).windows)}
    assert set(windowed.values()) == {"GQA, window"}
    assert "window or not" not in tab.text_content(".finding")
    tab.keyboard.press("c")
    says(tab, "keeps all tokens of all 34 layers, window or not: its own limit, not that of rounding.")
    assert {kind for label, kind in tab.evaluate(LISTED) if label in windowed} == {"GQA, all kept"}
    assert {row[0]: row[1] for row in tab.evaluate(ROWS)} == dict(tab.evaluate(LISTED))


@pytest.mark.parametrize(("context", "made"), [(131072, 5), (2**20, 0)])
def test_it_tells_which_of_the_models_made_for_it_fit(visit, context, made):
    tab = visit(f"scene=memory&lang=en&context={context}&weights=8")
    longer = [name for name in NAMES if load(name).context >= context]
    assert len(longer) == made
    told = tab.text_content(".fitting").replace("\u00a0", " ")
    if not made:
        assert told == "No model here is made for 1,048,576 tokens."
        return
    fits = [
        sum(PARAMETERS[name] + held(name, context, 1, 16) <= memory * GB for name in longer) for memory in (8, 16, 80)
    ]
    counts = re.findall(r"(?:phone|laptop|GPU) (\d+)", told)
    assert [int(count) for count in counts] == fits
    assert 0 < fits[-1] < made


def test_weights_and_cache_fill_a_machine_by_their_bytes(visit):
    tab = visit("scene=memory&lang=en&model=gemma-3-4b&context=131072")
    bytes_of = [2 * PARAMETERS["gemma-3-4b"], held("gemma-3-4b", 131072, 1, 16)]
    for memory, (weights, cache, whole) in zip((8 * GB, 16 * GB, 80 * GB), tab.evaluate(WIDTHS), strict=True):
        assert [weights / whole, cache / whole] == pytest.approx([each / memory for each in bytes_of], abs=0.01)
    assert tab.locator(".machine.fits").count() == 2


def test_all_of_it_is_done_by_keyboard(visit):
    tab = visit("scene=memory&lang=en")
    for key in ("ArrowRight", "ArrowUp", "b", "b", "Shift+B", "c", "c", "w"):
        tab.keyboard.press(key)
    wanted = {"context": "262144", "model": "llama-3-8b", "batch": "2", "bits": "4", "weights": "8"}
    assert address(tab).items() >= wanted.items()
    says(tab, f"Llama 3 8B, 2 × 262,144 tokens: the cache takes {held('llama-3-8b', 262144, 2, 4) / GB:.1f}\u00a0GB")
    tab.locator("[name=bits]").focus()
    tab.keyboard.press("ArrowLeft")
    assert address(tab)["bits"] == "8", "a slider that has the focus takes the arrows"
    assert tab.get_attribute("[name=bits]", "aria-valuetext") == "8 bits"


def test_a_model_is_chosen_by_its_button(visit):
    tab = visit("scene=memory&lang=en")
    tab.get_by_role("button", name="DeepSeek-V3").click()
    assert address(tab)["model"] == "deepseek-v3"
    assert tab.locator(".models [aria-pressed=true]").text_content().startswith("DeepSeek-V3")
    says(tab, "DeepSeek-V3, 131,072 tokens")


def test_a_link_and_a_change_of_language_keep_what_is_shown(visit):
    tab = visit("scene=memory&lang=en&model=mistral-7b&context=100000&bits=12")
    says(tab, "Mistral 7B v0.1, 131,072 tokens")
    assert tab.get_attribute("[name=bits]", "aria-valuetext") == "16 bits", "the nearest that there is"
    tab.keyboard.press("l")
    says(tab, "Mistral 7B v0.1，131,072 个词元")
    tab.evaluate("location.hash = 'scene=memory&lang=zh&model=gpt2&context=1024'")
    says(tab, "GPT-2，1,024 个词元")


def test_keys_stay_in_one_line_and_the_printed_table_on_its_page(visit):
    tab = visit("scene=memory&lang=en&context=1048576")
    says(tab, "1,048,576 tokens")
    assert tab.evaluate("document.querySelector('.slider kbd').getClientRects().length") == 1
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 718, "height": 1000})  # A4 within its margins
    assert tab.evaluate("document.querySelector('table').getBoundingClientRect().right") <= 718
