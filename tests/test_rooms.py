"""The rooms of the package stand on each other: none imports what stands above it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "minigpt"

# From below. What is in none of them is the GPT, which all may use and which uses none of them.
ROOMS = [
    "proof",
    "museum",
    "recall",
    "fetch",
    "measure.forms",
    "interop",
    "parallel",
    "measure.counted",
    "measure.timed",
    "measure.quality",
    "show",
    "check",
    "exercises",
    "lecture",
    "page",
    "commands",
    "__main__",
    "__init__",  # the door: it names what users take, from any room, and imports it when it is first used
]
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def floor(module):
    """0 for the GPT; for a room its place, from 1 on."""
    return next((at for at, room in enumerate(ROOMS, 1) if f"{module}.".startswith(f"{room}.")), 0)


def imported(path):
    """Modules that a file imports, within functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_nothing_from_above(module):
    for name in imported(MODULES[module]):
        if name.startswith("minigpt."):
            assert floor(name.removeprefix("minigpt.")) <= floor(module), name


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("measure.forms")])
def test_closed_forms_need_no_torch_and_of_the_gpt_its_sizes_alone(module):
    for name in imported(MODULES[module]):
        assert name.split(".")[0] not in ("torch", "numpy", "jaxtyping"), name
        if name.startswith("minigpt."):
            assert name.startswith(("minigpt.measure.forms.", "minigpt.config")), name
