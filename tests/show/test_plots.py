"""The figures are drawn from a run, the same to the byte each time, and can be read from the last row."""

import dataclasses
import functools
import html
import io
import itertools
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from drawn_words import drawn_words, words_and_paper
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from minigpt.__main__ import main
from minigpt.cache import CACHES
from minigpt.measure.timed import profile, time_per_token
from minigpt.measure.timed.profile import Profile
from minigpt.measure.timed.time_per_token import TimePerToken
from minigpt.show.plots import all as plots_all
from minigpt.show.plots.all import FIGURES, index
from minigpt.show.plots.profile import recorded_profile
from minigpt.show.plots.style import DARK, LIGHT, LOOKS, SMALL, THEMES, Picture
from minigpt.show.plots.time_a_token import recorded_times

ROOT = Path(__file__).parent.parent.parent


@functools.cache
def data(name):
    return FIGURES[name][0]()


@functools.cache
def picture(name, theme=LIGHT):
    return FIGURES[name][1](data(name), theme=theme)


@functools.cache
def drawn(name, theme=LIGHT):
    return words_and_paper(picture(name, theme))


@functools.cache
def svg(name, theme=LIGHT):
    return saved(picture(name, theme), "svg").decode()


def saved(picture, kind):
    picture.save(file := io.BytesIO(), kind)
    return file.getvalue()


every_figure = pytest.mark.parametrize("name", FIGURES, scope="module")  # one after the other: each is drawn once
every_theme = pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)


@every_figure
@every_theme
def test_no_two_pieces_of_text_overlap_and_none_is_cut(name, theme):
    width, height = picture(name, theme).bbox.size
    words, _ = drawn(name, theme)
    assert words
    for word in words:
        assert 0 <= word.box.x0 < word.box.x1 <= width, word
        assert 0 <= word.box.y0 < word.box.y1 <= height, word
    for one, other in itertools.combinations(words, 2):
        assert not one.box.padded(-1).overlaps(other.box.padded(-1)), (one, other)


def test_the_reader_of_text_notices_what_overlaps_and_what_is_cut():
    figure = Picture("a title", "Alt.", LIGHT)
    for x, words in (0.2, "one"), (0.21, "other"), (0.95, "beyond the edge"):
        figure.text(x, 0.5, words)
    boxes = {word.text: word.box for word in drawn_words(figure)}
    assert set(boxes) == {"a title", "one", "other", "beyond the edge"}
    assert boxes["one"].padded(-1).overlaps(boxes["other"].padded(-1))
    assert boxes["beyond the edge"].x1 > figure.bbox.width


@every_figure
def test_a_line_of_text_is_at_least_a_thirtieth_of_the_height(name):
    assert min(word.points for word in drawn(name)[0]) >= SMALL >= 72 * picture(name).get_figheight() / 30


@every_figure
@every_theme
def test_letters_stand_out_from_what_is_behind_them(name, theme):
    """Large letters want a contrast of 3 (WCAG 2.2, 1.4.3)."""
    words, behind = drawn(name, theme)
    for word in words:
        (x0, y0), (x1, y1) = word.box.min.astype(int), word.box.max.astype(int) + 1
        paper = np.median(behind[len(behind) - y1 : len(behind) - y0, x0:x1].reshape(-1, 4), axis=0) / 255
        assert contrast(word.colour, paper[:3]) >= 3, word


def contrast(one, other):
    def luminance(colour):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@every_figure
@every_theme
def test_a_cache_has_its_colour_and_marker_in_every_figure(name, theme):
    for panel in picture(name, theme).axes:
        for line in panel.lines:
            if line.get_label() in CACHES:
                colour, marker, _ = LOOKS[line.get_label()]
                assert same_color(line.get_color(), getattr(theme, colour))
                assert line.get_marker() == marker


def test_no_two_caches_look_alike():
    """Nor like a cache that has no look of its own."""
    assert set(LOOKS) <= set(CACHES)
    for theme in THEMES:
        looks = [(look["color"], look["marker"], look["linestyle"]) for look in map(theme.look, [*LOOKS, "a new one"])]
        assert len(set(looks)) == len({marker for _, marker, _ in looks}) == len(LOOKS) + 1


@every_figure
def test_a_log_axis_says_that_it_is_one(name):
    for panel in picture(name).axes:
        for axis, alike in (panel.xaxis, panel.get_shared_x_axes()), (panel.yaxis, panel.get_shared_y_axes()):
            if axis.get_scale() != "linear":
                labels = [getattr(each, f"{axis.axis_name}axis").get_label_text() for each in alike.get_siblings(panel)]
                assert any("log scale" in label for label in labels), labels


@pytest.mark.parametrize("name", ["growth", "redundancy", "sameness", "ring", "ladder"])
@every_theme
def test_a_figure_whose_colours_mean_something_has_a_key_to_them(name, theme):
    """Each colour of the key is drawn above it, but for that of what did not happen."""
    (key,) = picture(name, theme).legends
    colours = {
        words.get_text(): patch.get_facecolor() for words, patch in zip(key.texts, key.get_patches(), strict=True)
    }
    assert len(colours) == len({tuple(colour) for colour in colours.values()}) >= 2
    _, pixels = drawn(name, theme)
    above = pixels[: int(len(pixels) * 0.85)].reshape(-1, 4)[:, :3]
    for words, colour in colours.items():
        there = (np.abs(above - 255 * np.array(colour[:3])) < 1.5).all(1).mean()
        assert (there > 0.003) == (words != "further off"), words


@every_figure
def test_its_alt_text_is_one_sentence_and_stands_in_its_files(name):
    alt = picture(name).alt
    assert re.fullmatch(r"[A-Z].{60,}[^.]\.", alt), alt
    assert not re.search(r"[.!?] [A-Z]", alt), alt
    assert f"<title>{html.escape(alt, quote=False)}</title>" in svg(name)
    assert Image.open(io.BytesIO(saved(picture(name), "png"))).info["Description"] == alt


@every_figure
def test_its_title_is_a_finding_with_a_number(name):
    assert re.search(r"\d|to the bit", picture(name).words)
    assert picture(name).words == picture(name, DARK).words


@every_figure
def test_drawn_twice_it_is_the_same_to_the_byte(name):
    again = FIGURES[name][1](data(name), theme=LIGHT)
    assert saved(again, "svg").decode() == svg(name)
    if name == "ring":  # and all others by the same code
        assert saved(again, "png") == saved(picture(name), "png")


@every_figure
@every_theme
def test_the_committed_figure_is_what_a_run_draws(name, theme):
    """To the byte by the matplotlib that drew it, on a machine of its kind; elsewhere a coordinate may round otherwise,
    but the words are the same."""
    assert_as_committed(svg(name, theme), f"{name}{theme.suffix}.svg")


# What torch and the libraries that multiply for it do on processors of another kind: they sum in another order.
OTHER_PROCESSORS = {
    "without AVX": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
    "with AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
}
SOME = """
import sys
from minigpt.__main__ import main
from minigpt.show.plots import all as plots
folder, *names = sys.argv[1:]
plots.FIGURES = {name: plots.FIGURES[name] for name in names}
main(["figures", "--out", folder])
"""


@pytest.mark.parametrize("processor", OTHER_PROCESSORS)
def test_figures_of_what_a_model_computed_are_the_same_on_another_processor(processor, tmp_path):
    """All others are drawn from whole numbers, or from what is recorded."""
    environment = dict(os.environ, **OTHER_PROCESSORS[processor])
    command = [sys.executable, "-c", SOME, str(tmp_path), "growth", "redundancy", "sameness"]
    subprocess.run(command, env=environment, check=True, timeout=300)
    drawn = sorted(tmp_path.glob("*.svg"))
    assert len(drawn) == 6
    for file in drawn:
        assert_as_committed(file.read_text(encoding="utf-8"), file.name)


def assert_as_committed(drawn, name):
    committed = (ROOT / "figures" / name).read_text(encoding="utf-8")
    same_kind = (platform.system(), platform.machine()) == ("Linux", "x86_64")
    if f"Matplotlib v{matplotlib.__version__}" in committed and same_kind:
        assert drawn == committed
    assert words_of(committed)
    assert words_of(drawn) == words_of(committed)


def words_of(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_notebook_shows_a_figure_by_itself(tmp_path):
    png = picture("ring")._repr_png_()
    assert Image.open(io.BytesIO(png)).size == (1280, 716)
    assert isinstance(picture("ring"), Figure)


def test_the_index_shows_every_figure_under_its_finding():
    pictures = {name: picture(name) for name in FIGURES}
    committed = (ROOT / "figures" / "README.md").read_text(encoding="utf-8").split("\n## ")
    assert index(pictures).split("\n## ") == committed
    for name, each in pictures.items():
        assert f"## {each.words}\n\n<picture><source" in index(pictures)
        assert f'srcset="{name}-dark.svg"><img src="{name}.svg" alt="{html.escape(each.alt)}">' in index(pictures)


def test_the_command_draws_each_figure_light_and_dark(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plots_all, "FIGURES", {"ring": FIGURES["ring"]})
    assert main(["figures", "--out", str(tmp_path)]) == 0
    names = ["ring.svg", "ring.png", "ring-dark.svg", "ring-dark.png", "README.md"]
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in names]
    assert (tmp_path / "ring.svg").read_text(encoding="utf-8") == svg("ring")


def test_it_measures_time_only_when_asked_to_and_draws_and_records_it_where_it_is_told(tmp_path, monkeypatch, capsys):
    recorded = data("time-a-token")
    measured = dataclasses.replace(recorded, machine=recorded.machine | {"processor": "Pencil"})
    monkeypatch.setattr(time_per_token, "record", lambda: measured)
    monkeypatch.setattr(plots_all, "FIGURES", {"time-a-token": FIGURES["time-a-token"]})
    out, file = tmp_path / "figures", tmp_path / "new" / "time.json"
    for arguments, processor in ([], recorded.machine["processor"]), (["--measure", str(file)], "Pencil"):
        assert not file.exists()
        assert main(["figures", "--out", str(out), *arguments]) == 0
        assert f"on {processor}, 1 thread" in (out / "README.md").read_text(encoding="utf-8")
    assert TimePerToken.load(file) == measured
    assert {path.name for path in tmp_path.iterdir()} == {"figures", "new"}
    assert recorded_times() == recorded


def test_it_profiles_only_when_asked_to_and_draws_and_records_it_where_it_is_told(tmp_path, monkeypatch, capsys):
    found = dataclasses.replace(recorded_profile(), machine=recorded_profile().machine | {"processor": "Pencil"})
    monkeypatch.setattr(profile, "record", lambda: found)
    monkeypatch.setattr(plots_all, "FIGURES", {"profile": FIGURES["profile"]})
    out, file = tmp_path / "figures", tmp_path / "new" / "profile.json"
    for arguments, processor in ([], recorded_profile().machine["processor"]), (["--profile", str(file)], "Pencil"):
        assert not file.exists()
        assert main(["figures", "--out", str(out), *arguments]) == 0
        assert f"on {processor}, 1 thread" in (out / "README.md").read_text(encoding="utf-8")
    assert Profile.load(file) == found
    assert str(file) in capsys.readouterr().out
