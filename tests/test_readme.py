"""What the README shows is what happens."""

import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from test_bad_input import CATALOGUE
from torch.utils._python_dispatch import TorchDispatchMode

from minigpt.cache import CACHES, CacheError, make_cache
from minigpt.commands.parser import parser
from minigpt.model import GPT
from minigpt.museum import BUGS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OF_CACHES = (ROOT / "minigpt" / "cache" / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=["here", "in transformers"])
def test_its_python_runs(code):
    exec(code, {})  # noqa: S102


@pytest.mark.parametrize("command", re.findall(r"`python -m minigpt ([^`]*)`", README))
def test_each_command_that_it_names_is_one(command):
    """Those that finish in seconds are run by tests/test_commands.py; the words of all are checked here."""
    arguments = shlex.split(command)
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            parser().parse_args(arguments)
    else:
        parser().parse_args(arguments)


def test_the_errors_that_it_shows_are_in_the_catalogue_of_bad_input():
    errors = blocks("text")[1].strip().splitlines()
    assert len(errors) == 3
    for error in errors:
        assert any(re.search(bad.message, error) for bad in CATALOGUE), error


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "minigpt/cache/README.md"])
def test_each_file_that_it_links_is_there(page):
    words = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", words) + re.findall(r'src(?:set)?="([^"]+)"', words):
        assert ((ROOT / page).parent / link).exists(), link


def test_it_lists_every_cache():
    table = README[README.index("## The caches") :]
    for name in CACHES:
        assert f"| `{name}` |" in table, f"its table of caches has no line for {name}"


def test_it_counts_the_seeded_bugs_right():
    told = re.findall(r"(\d+) seeded bugs", README)
    assert {*told} == {str(len(BUGS))}, "README.md says how many there are"


@torch.no_grad()
def test_what_it_quotes_of_threads_forks_and_interruptions_is_what_caches_say(monkeypatch):
    model, said = GPT.from_pretrained("recall"), []

    def note(call, *args, **kwargs):
        with pytest.raises(CacheError) as refused:
            call(*args, **kwargs)
        said.append(str(refused.value))

    cache, ids = make_cache("dynamic", model.config), torch.tensor([[1, 2, 3]])

    def between_two_layers(*_):
        with ThreadPoolExecutor(1) as pool:
            note(lambda: pool.submit(cache.reset).result())
        raise KeyboardInterrupt

    hook = model.h[1].register_forward_pre_hook(between_two_layers)
    with pytest.raises(KeyboardInterrupt):
        model(ids, cache=cache)
    hook.remove()
    note(model, ids, cache=cache)

    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: 4242)
        parents = make_cache("offloaded", model.config)
    note(parents.reset)

    static = make_cache("static", model.config)
    with pytest.raises(KeyboardInterrupt), StopsAtZero():
        static.reset()
    note(model, ids, cache=static)

    assert len({*said}) == 4
    for message in said:
        assert f"`{message}`" in " ".join(OF_CACHES.split())


class StopsAtZero(TorchDispatchMode):
    """Ctrl-C when a tensor is filled with zeros."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation is torch.ops.aten.zero_.default:
            raise KeyboardInterrupt
        return operation(*args, **(kwargs or {}))


def test_its_figures_say_what_the_figures_say():
    """Their alt text is computed when they are drawn."""
    drawn = dict(re.findall(r'src="([^"]+)" alt="([^"]+)"', (ROOT / "figures/README.md").read_text(encoding="utf-8")))
    shown = dict(re.findall(r'src="figures/([^"]+)" alt="([^"]+)"', README))
    assert len(shown) >= 4
    assert shown.items() <= drawn.items()
