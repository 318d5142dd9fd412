"""What is built to be installed: it has all its files, works in any folder, and reads well on a package index."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import minigpt

pytest.importorskip("hatchling", reason="pip install -r requirements.txt")  # an older environment lacks it

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BUILD = "import sys, hatchling.build as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"


def build(what, source, out):
    command = [sys.executable, "-c", BUILD, f"build_{what}", str(out)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True, timeout=120)
    return out / built.stdout.split()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The unpacked sdist."""
    out = tmp_path_factory.mktemp("sdist")
    return unpacked(build("sdist", ROOT, out))


def unpacked(sdist):
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.10 has it since 3.10.12
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(sdist.parent)
    (folder,) = (path for path in sdist.parent.iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def site(source, tmp_path_factory):
    """The wheel that the sdist builds, as it is installed."""
    out = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build("wheel", source, out)) as archive:
        archive.extractall(out / "site")
    return out / "site"


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_sdist_has_every_file_of_the_repository(source):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not in a clone")
    there = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert {"tests/conftest.py", "notebooks/build.py", "figures/ring.svg", "requirements.txt", ".ci/run"} <= there
    assert there <= files(source)


def test_an_sdist_leaves_out_what_else_lies_in_the_folder(source, tmp_path):
    folder, out = tmp_path / "clone", tmp_path / "out"
    shutil.copytree(source, folder)
    (folder / "wheels").mkdir()
    for stray in ("notes.txt", "wheels/minigpt.txt"):
        (folder / stray).write_text("mine", encoding="utf-8")
    out.mkdir()
    assert files(unpacked(build("sdist", folder, out))) == files(source)


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(source, site):
    packed = files(site)
    assert {name for name in packed if name.startswith("minigpt/")} == {
        f"minigpt/{name}" for name in files(source / "minigpt")
    }
    assert {name.split("/")[0] for name in packed} == {"minigpt", f"minigpt_kv-{minigpt.__version__}.dist-info"}


# A figure of what the bundled model does, one of the models' configs, and two of what is recorded.
FEW = ["redundancy", "models", "time-a-token", "quality"]
DRAW = f"""
from minigpt.__main__ import run
from minigpt.show.plots import all
all.FIGURES = {{name: all.FIGURES[name] for name in {FEW}}}
run()
"""


def test_an_installed_package_draws_its_figures_in_any_folder_and_writes_nowhere_else(source, site, tmp_path):
    before = files(site)
    installed = dict(os.environ, PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-c", DRAW, "figures"]
    subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, check=True, timeout=300)
    assert {path.name for path in tmp_path.iterdir()} == {"figures"}
    assert files(site) == before
    drawn = {name for name in files(tmp_path / "figures") if not name.endswith(".png")}
    assert drawn == {"README.md", *(f"{name}{theme}.svg" for name in FEW for theme in ("", "-dark"))}
    index, whole = ((folder / "figures/README.md").read_text(encoding="utf-8") for folder in (tmp_path, source))
    assert len(index.split("## ")) == 1 + len(FEW)
    assert all(part.strip() in whole for part in index.split("## "))


@pytest.fixture(scope="module")
def description(site):
    (metadata,) = site.glob("*.dist-info/METADATA")
    return message_from_string(metadata.read_text(encoding="utf-8")).get_payload()


def test_a_package_index_shows_no_picture_or_link_that_it_does_not_have(description):
    assert not re.search(r"<picture|<img|<source", description)
    assert all(re.match("https?:|#", target) for target in re.findall(r"\]\(([^)\s]*)\)", description))


def test_what_it_shows_is_the_readme_with_the_pictures_words(description):
    alts = re.findall(r'<img[^>]* alt="([^"]*)"', README)
    assert len(alts) >= 4
    for alt in alts:
        assert f"*{alt}*" in description
    plain = [line for line in README.splitlines() if "<picture" not in line and "](" not in line]
    assert set(plain) <= set(description.splitlines())
    assert description.count("\n") == README.count("\n")
