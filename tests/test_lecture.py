"""The hour's slides: what stands on them, and, in a real browser without a network, that all of it can be read."""

import base64
import errno
import html
import json
import re
import shutil
import struct
import subprocess
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from minigpt.__main__ import main
from minigpt.commands.lecture import write
from minigpt.lecture import deck as lecture
from minigpt.lecture.figures import drawing
from minigpt.lecture.hour import hour
from minigpt.lecture.markup import blocks, source
from minigpt.lecture.notebook import Cell
from minigpt.lecture.opening import CACHES, PICTURES
from minigpt.lecture.room import LINES, Piece, parts, rows
from minigpt.lecture.slides import Slide, slides_of
from minigpt.measure.counted.run import run
from minigpt.model import GPT
from minigpt.show.plots.prompt import NEW, prompt

HOME = Path(__file__).parents[1]
README = (HOME / "notebooks" / "README.md").read_text(encoding="utf-8")
SMALLEST = 24  # pixels of type on a slide of 1280 x 720
BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome", "chrome"])), None)
ALONE = ["no-first-run", "disable-sync", "disable-component-update", "disable-background-networking"]
CONTAINED = ["headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"]
SETTINGS = ["host-resolver-rules=MAP * ~NOTFOUND", "window-size=1280,900", "virtual-time-budget=60000", "dump-dom"]
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("lecture") / "deck.html"
    folders = ["--notebooks", str(HOME / "notebooks"), "--figures", str(HOME / "figures")]
    assert main(["lecture", "--out", str(out), *folders]) == 0
    return out.read_text(encoding="utf-8")


def slides(page):
    """(kind, heading, what is seen, notes) of each."""
    slide = r'<section class="(\w+)" data-timing="\d+">.*?<h2>(.*?)</h2>(.*?)<aside class="notes">(.*?)</aside>'
    found = re.findall(slide, page, re.DOTALL)
    return [(kind, html.unescape(heading), seen, notes) for kind, heading, seen, notes in found]


def linked_headings():
    table = README.split("## An hour's lecture")[1].split("\n## ")[0]
    return [re.sub(r"^\d+\. ", "", each) for each in re.findall(r"\[\d\d: (.*?)\]\(", table)]


def test_the_sections_come_in_the_order_of_the_hour(page):
    introductions = {heading for heading, _ in CACHES.values()}
    of_notebooks = [heading for _, heading, seen, _ in slides(page) if ">notebook " in seen]
    made_of_notebooks = [heading for heading in of_notebooks if heading not in introductions]
    assert list(dict.fromkeys(made_of_notebooks)) == list(dict.fromkeys(linked_headings()))


def test_it_begins_with_generation_before_attention_and_ends_with_questions(page):
    headings = [heading for _, heading, _, _ in slides(page)]
    assert headings.index("The same text, twice") < headings.index("A text, one token at a time")
    assert headings.index("A text, one token at a time") < page.index("Attn₃")
    assert [headings[0], *headings[-2:]] == ["The KV cache, from scratch and measured", "Questions", "Where to go on"]


def test_each_numbered_section_has_its_prediction_on_a_slide_of_its_own_and_claims_last(page):
    numbered = re.findall(r"\[\d\d: \d+\. (.*?)\]\(", README.split("## An hour's lecture")[1].split("\n## ")[0])
    for wanted in numbered:
        mine = [(kind, seen) for kind, heading, seen, _ in slides(page) if heading == wanted]
        kinds = [kind for kind, _ in mine]
        assert "shown" in kinds[kinds.index("predict") :], wanted
        (claim,) = [at for at, (_, seen) in enumerate(mine) if 'class="statement"' in seen]
        assert "notebook" not in "".join(seen for _, seen in mine[claim + 1 :]), wanted  # a picture at most
        assert claim > kinds.index("predict"), wanted
        for kind, seen in mine:
            assert ('class="question"' in seen) == (kind == "predict"), wanted
            assert kind != "predict" or not re.search("<pre|<figure|answer", seen), wanted


def test_the_speaker_reads_the_answer_while_the_prediction_is_asked_for(page):
    asked = [(heading, notes) for kind, heading, _, notes in slides(page) if kind == "predict"]
    assert len(asked) > 10
    for heading, notes in asked:
        assert "The answer will be: " in notes, heading


@pytest.mark.parametrize("number", CACHES)
def test_each_cache_is_introduced_once_before_the_first_section_about_it(number, page):
    of_it = [heading for _, heading, seen, _ in slides(page) if f">notebook {number}<" in seen]
    (introduced, _) = CACHES[number]
    assert (of_it[0], of_it.count(introduced)) == (introduced, 1)


def test_the_pictures_between_the_sections_stand_behind_theirs(page):
    for number, section in PICTURES:
        mine = [seen for _, heading, seen, _ in slides(page) if heading == section.split(". ")[1]]
        assert f">notebook {number}<" in mine[0]
        assert "data:image/svg" in mine[-1]


def test_every_slide_has_notes_that_begin_with_its_minutes(page):
    """And the time that the speaker's clock gives to the slides of a part is the part's."""
    stacks = re.findall(r"<section>\n(.*?)\n</section>", page, re.DOTALL)
    rows_of_table = hour(README)
    for stack, part in zip(stacks, rows_of_table, strict=True):
        for *_, notes in slides(stack):
            assert notes.startswith(f"<p><em>Minutes {part.start} to {part.end}: ")
        seconds = sum(map(int, re.findall(r'data-timing="(\d+)"', stack)))
        assert seconds == 60 * (part.end - part.start)
    assert len(slides(page)) == page.count("data-timing=")


def test_half_an_hour_has_its_stop(page):
    (stop,) = [at for at, (_, heading, _, _) in enumerate(slides(page)) if heading == "Questions so far?"]
    assert "Minutes 29 to 32" in slides(page)[stop][3]
    assert slides(page.split("<section>\n")[-1])[0][1] == "What to take away"  # where reveal.js goes to by the key End
    assert slides(page)[stop - 1][1] == "What it saves, what it still pays"


def test_the_predicted_number_is_the_one_of_the_run_that_the_picture_shows(page):
    times = run(GPT.from_pretrained("recall"), prompt(), NEW, "none").times
    assert times[-1, :, 0].tolist() == [NEW] * len(times[-1])
    assert f"{NEW} times without a cache" in page


def test_no_output_of_a_section_is_left_out(page):
    notebook = json.loads((HOME / "notebooks" / "02_the_same_keys_again.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    at = next(at for at, cell in enumerate(cells) if "".join(cell["source"]).startswith("## 2. Watch the keys"))
    printed = "".join(cells[at + 1]["outputs"][0]["text"])
    shown = "".join(seen for _, heading, seen, _ in slides(page) if heading == "Watch the keys")
    for line in printed.splitlines():
        assert html.escape(line) in shown


NAMES = {"src", "href", "srcset", "poster", "data", "action"}  # of attributes


class Sources(HTMLParser):
    """All that the tags of a page name, but for what is in the page itself."""

    def __init__(self):
        super().__init__()
        self.outside = []

    def handle_starttag(self, tag, attributes):
        named = [value or "" for name, value in attributes if name in NAMES]
        self.outside += [(tag, value) for value in named if not value.startswith(("data:", "#"))]


def test_nothing_is_fetched(page):
    sources = Sources()
    sources.feed(page)
    assert sources.outside == []
    style = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert not re.search(r"@import|url\((?!['\"]?data:)", style)


def test_the_licence_of_reveal_js_is_in_it(page):
    assert "Hakim El Hattab" in page
    assert "The above copyright notice and this permission notice shall be included" in page


def test_made_again_it_is_the_same(page, tmp_path):
    again = lecture.deck(HOME / "notebooks", HOME / "figures", NEW)
    assert again == page


def measure(page, folder):
    """What Chromium finds on each slide of a page. It reaches no network."""
    measuring = (Path(__file__).parent / "measure_slides.js").read_text(encoding="utf-8")
    file = folder / "measured.html"
    file.write_text(page.replace("<style>", f"<script>{measuring}</script><style>", 1), encoding="utf-8")
    flags = [f"--{flag}" for flag in [*ALONE, *CONTAINED, *SETTINGS, f"user-data-dir={folder / 'browser'}"]]
    command = [BROWSER, *flags, file.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=False)
    found = re.search(r"<body[^>]*>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.fixture(scope="module")
def measured(page, tmp_path_factory):
    return measure(page, tmp_path_factory.mktemp("browser"))


@in_a_browser
def test_in_a_browser_nothing_is_cut_and_nothing_stands_out_of_its_slide(page, measured):
    assert len(measured["slides"]) == len(slides(page))
    for slide in measured["slides"]:
        assert slide["out"] == [], slide["heading"]
        assert slide["seen"] == 1280, slide["heading"]  # pixels, so one of the page is one of the slide


@in_a_browser
def test_in_a_browser_the_smallest_type_can_be_read_from_the_last_row(measured):
    for slide in measured["slides"]:
        assert slide["type"] >= SMALLEST, slide["heading"]
        assert all(side >= 150 for side in slide["pictures"]), slide["heading"]


@in_a_browser
def test_in_a_browser_nothing_is_fetched_or_refused(measured):
    assert (measured["fetched"], measured["refused"]) == ([], [])


@pytest.mark.parametrize("table", ["no rows", "| 0-5 | what | no link |"])
def test_a_table_of_the_hour_that_names_no_section_is_told_how_it_should_look(table):
    with pytest.raises(ValueError, match=r"wants rows like \| 0-5 \| what"):
        hour(f"## An hour's lecture\n\n{table}\n")


def test_a_figure_without_a_title_is_told_how_to_draw_it(tmp_path):
    (tmp_path / "a.svg").write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(ValueError, match="has no title or no viewBox: draw it by python -m minigpt figures"):
        drawing(tmp_path / "a.svg")


SPOILT = {
    "too wide": '<pre style="min-width: 3000px">too wide</pre>',
    "too long": "<p>too long</p>" * 40,
    "too small": '<p style="font-size: 12px">too small</p>',
    "from elsewhere": '<img alt="from elsewhere" src="https://example.org/a.png">',
}


@in_a_browser
@pytest.mark.parametrize("how", SPOILT)
def test_in_a_browser_what_is_wrong_with_a_slide_is_seen(how, tmp_path):
    slide = lecture.slide_html(Slide("text", "spoilt", [Piece(SPOILT[how], 1)]), "Minutes 0 to 1", 60)
    found = measure(lecture.page(f"<section>{slide}</section>"), tmp_path)
    (one,) = found["slides"]
    seen = {"too small": one["type"] < SMALLEST, "from elsewhere": found["refused"] == ["https://example.org/a.png"]}
    assert seen.get(how, one["out"] != [])


# The rules by which cells become slides


def markdown(text):
    return Cell("markdown", text, set(), [])


def code(said, *tags):
    return Cell("code", "source = 1", set(tags), [said])


def test_prose_goes_into_the_notes_of_the_slide_it_belongs_to():
    cells = [
        markdown("Before.\n\n**Claim.** So it is.\n\n**Predict.** Is it?\n\nA hint."),
        code({"text/plain": "it is\n"}),
        markdown("Look at it."),
        markdown("**Answer.** Yes.\n\nMore."),
    ]
    predict, shown = slides_of("01_x.ipynb", "3. A heading", cells)
    assert predict.notes == ["Before.", "A hint.", "The answer will be: Yes."]
    assert shown.notes == ["Look at it.", "More."]
    assert {slide.heading for slide in (predict, shown)} == {"A heading"}
    assert [piece in shown.body[at].html for at, piece in enumerate(["it is", "Yes.", "So it is."])] == [True] * 3


def test_what_only_leads_on_is_in_no_notes():
    cells = [
        markdown("**Predict.** Is it?\n\nHere it is:"),
        markdown("**Answer.** Yes. Here is more:\n\nNext, notebook 02."),
    ]
    predict, shown = slides_of("01_x.ipynb", "h", cells)
    assert (predict.notes, shown.notes) == (["The answer will be: Yes."], [])


def test_a_formula_stands_before_the_prediction_and_the_claim_has_a_slide_where_it_does_not_fit():
    long = "\n".join(f"line {number}" for number in range(LINES - 1))
    cells = [markdown("`a = b`\n\n**Claim.** So it is.\n\n**Predict.** Is it?"), code({"text/plain": long})]
    made = slides_of("01_x.ipynb", "h", cells)
    assert [slide.kind for slide in made] == ["text", "predict", "shown", "claim"]
    assert ["a = b" in made[0].body[0].html, "So it is." in made[3].body[0].html] == [True, True]


def test_the_time_of_a_part_is_shared_by_kind():
    made = [Slide(kind, "") for kind in ("race", "claim", "claim")]
    assert lecture.timing(made, 130) == [90, 20, 20]
    assert lecture.timing(made, 60) == [41, 9, 10]


def test_the_speaker_is_told_what_a_figure_shows():
    (shown,) = slides_of("01_x.ipynb", "h", [code(figure(900, 200))])
    assert shown.notes == ["A line."]


def figure(width, height):
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)).decode()
    return {"text/html": f'<img alt="A line." src="data:image/png;base64,{png}">', "text/plain": "A line."}


@pytest.mark.parametrize(("height", "together"), [(200, [2]), (500, [1, 1])], ids=["flat", "high"])
def test_a_figure_shares_its_slide_only_where_it_is_as_wide_as_the_slide_nevertheless(height, together):
    made = slides_of("01_x.ipynb", "h", [code(figure(900, height)), markdown("**Claim.** So it is.")])
    assert [len(slide.body) for slide in made] == together


def test_a_line_that_is_too_long_goes_on_behind_its_own_indent():
    (piece,) = source("if x:\n    y = 1")
    assert [float(indent) for indent in re.findall(r"--indent: (\d+)ch", piece.html)] == [0, 4]


def test_code_is_shown_only_where_it_is_the_point():
    source = {
        "text/html": "<pre>def</pre>",
        "text/markdown": "```python\ndef f(): ...\n```",
        "text/plain": "def f(): ...",
    }
    printed = {"text/plain": "1"}

    def seen(cell):
        return "".join(piece.html for slide in slides_of("01_x.ipynb", "h", [cell]) for piece in slide.body)

    assert seen(code(source)) == ""
    assert "def" in seen(code(source, "on-slide"))
    assert "source" not in seen(code(source, "on-slide"))
    assert "source" not in seen(code(printed))
    assert "source" in seen(code(printed, "on-slide"))


def test_what_is_too_long_for_a_slide_is_split_and_nothing_is_lost():
    text = "\n".join(f"line {number}" for number in range(40))
    cells = [code({"text/plain": text})]
    shown = [slide for slide in slides_of("01_x.ipynb", "h", cells) if slide.kind == "shown"]
    assert len(shown) == 3
    assert "\n".join(parts(text)) == text
    assert all(rows(part) < LINES for part in parts(text))


def test_it_is_split_at_an_empty_line_where_there_is_one():
    some, more = ("\n".join(f"{name} {number}" for number in range(9)) for name in ("some", "more"))
    assert parts(f"{some}\n\n{more}\n") == [some, more]
    assert parts("one\n\ntwo") == ["one\n\ntwo"]
    assert parts("\n") == []


def test_a_list_stays_with_the_colon_before_it():
    assert blocks("Two:\n\n- a\n- b\n\n- c") == ["Two:\n\n- a\n- b\n\n- c"]
    assert blocks("None.\n\n- a") == ["None.", "- a"]


def test_blocks_are_paragraphs_lists_and_fenced_code():
    assert blocks("one\ntwo\n\n- a\n\n- b\n\n```\nx\n\ny\n```") == ["one\ntwo", "- a\n\n- b", "```\nx\n\ny\n```"]


# What is missing is said


def test_without_the_notebooks_it_says_where_they_are(tmp_path, capsys):
    assert main(["lecture", "--notebooks", str(tmp_path), "--out", str(tmp_path / "deck.html")]) == 2
    error = capsys.readouterr().err
    assert "README.md: No such file or directory" in error
    assert "clone of the project" in error
    assert not (tmp_path / "deck.html").exists()


def test_a_folder_in_the_place_of_the_page_is_told(tmp_path, capsys):
    assert main(["lecture", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path} is a folder: name a file" in capsys.readouterr().err


def test_a_name_that_ends_in_a_slash_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["lecture", "--out", f"{tmp_path}/new/"])
    assert stopped.value.code == 2
    assert "new/ is a folder: name a file" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_on_a_full_disk_the_page_that_is_there_stays_and_the_new_one_leaves_nothing(monkeypatch, tmp_path):
    def full(self, page, **_):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "deck.html"
    out.write_text("the old one")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ValueError, match=r"deck.html can't be written \(No space left on device\)"):
        write("the new one", out)
    assert [file.name for file in tmp_path.iterdir()] == ["deck.html"]
    assert out.read_text() == "the old one"


def test_figures_are_looked_for_beside_the_notebooks(monkeypatch, page, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["lecture", "--notebooks", str(HOME / "notebooks")]) == 0
    assert Path("deck.html").read_text(encoding="utf-8") == page


def test_without_reveal_js_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(lecture, "distribution", missing)
    with pytest.raises(ValueError, match=r"pip install '\.\[lecture\]'"):
        lecture.page("")


def test_a_section_that_is_not_there_is_told(tmp_path):
    (tmp_path / "README.md").write_text(README.replace("[02: 4. Why", "[02: 4. What"), encoding="utf-8")
    for notebook in (HOME / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, tmp_path)
    with pytest.raises(ValueError, match=r"no section '4. What: a token looks only backwards"):
        lecture.deck(tmp_path, HOME / "figures", NEW)


def test_a_notebook_that_can_not_be_read_is_told(tmp_path):
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    with pytest.raises(ValueError, match=r"02_the_same_keys_again.ipynb is no notebook that can be read"):
        lecture.deck(tmp_path, HOME / "figures", NEW)
