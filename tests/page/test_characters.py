"""Characters of several tokens: a running text has them when they are whole, and each token is told by its bytes."""

import pytest
from tabs import found

TEXT = "() => document.querySelector('main').textContent"
ROWS = "[...document.querySelectorAll('.grow-token b')].map((label) => label.textContent)"
CELLS = "[...document.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
PROMPT = "O🙂"
BYTES = [f"<{byte:02X}>" for byte in "🙂".encode()]
OPENED = {
    "race": "tokens=32&temperature=0&run=1",
    "grow": "step=1&cache=dynamic",
    "break_it": "bug=stale_cache&length=8",
}


@pytest.mark.parametrize("scene", OPENED)
def test_no_box_stands_for_a_byte(visit, scene):
    tab = visit(f"scene={scene}&prompt={PROMPT}&lang=en&{OPENED[scene]}")
    found(tab)
    assert "🙂" in tab.evaluate(TEXT)
    assert "\ufffd" not in tab.evaluate(TEXT)


def test_each_row_of_a_character_is_told_by_its_byte_and_the_text_has_it_whole(visit):
    tab = visit(f"scene=grow&prompt={PROMPT}&lang=en&step=0&cache=dynamic&token=2")
    found(tab)
    assert tab.evaluate(ROWS) == ["O", *BYTES]
    assert tab.text_content(".grow-name") == BYTES[1]
    assert [row[1] for row in tab.evaluate(CELLS)] == ["0 O", *(f"{at} {byte}" for at, byte in enumerate(BYTES, 1))]
    newest = tab.text_content(".grow-text mark")
    assert tab.text_content(".grow-text") == f"{PROMPT}{newest}"


def test_a_byte_that_a_bug_is_first_seen_at_is_told(visit):
    tab = visit("scene=break_it&prompt=🙂🙂🙂🙂🙂&lang=en&bug=ring_one_short&length=2")
    found(tab)
    assert f"“{BYTES[0]}”: its row is missing" in tab.text_content("main")
