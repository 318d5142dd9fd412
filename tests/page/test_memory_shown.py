"""What the page's scene `memory` shows, in a browser: the closed forms' numbers, in pictures, sentence and table."""

import pytest

from minigpt.measure.forms.memory import Plan
from minigpt.measure.forms.real_models import NAMES, load
from minigpt.page import scene_data

GB = 10**9
PARAMETERS = {model["name"]: model["parameters"] for model in scene_data.memory()}
# Of each machine: its weights, its cache, and the memory that it has.
WIDTHS = """() => [...document.querySelectorAll(".tank")].map((tank) =>
  ["weights", "cache", "memory"].map((part) => tank.querySelector(`.${part}`).getBoundingClientRect().width))"""
LABELS = {model["label"]: model["name"] for model in scene_data.memory()}


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
    rows = tab.evaluate(
        "[...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert {LABELS[row[0]] for row in rows} == {*NAMES}
    for label, _, _, cache, weights, *_ in rows:
        name = LABELS[label]
        assert int(cache.replace(",", "")) == held(name, context, batch, bits)
        assert int(weights.replace(",", "")) == PARAMETERS[name]


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
