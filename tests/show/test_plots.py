"""The figures are drawn from a run, the same to the byte each time."""

from minigpt.show.plots import draw_all


def test_a_figure_drawn_twice_is_the_same_to_the_byte(tmp_path):
    first, second = (draw_all(tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == ["redundancy.svg", "redundancy.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_redundancy_map_says_how_many_rows_were_computed_again(tmp_path):
    """8 prompt tokens or so and 24 steps: the sums that the titles must show."""
    svg = draw_all(tmp_path)[0].read_text(encoding="utf-8")
    from minigpt.pretrained import load_tokenizer, model_folder
    from minigpt.show.plots import NEW, PROMPT

    prompt = len(load_tokenizer(model_folder("recall")).encode(PROMPT).ids)
    needed, computed = prompt + NEW - 1, sum(range(prompt, prompt + NEW))
    assert f"Without a cache: {computed} K/V rows computed" in svg
    assert f"in each layer, {computed - needed} of them again" in svg
    assert f"With a cache: {needed} K/V rows computed" in svg
    assert "in each layer, none of them again" in svg
