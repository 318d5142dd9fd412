"""Joins ES modules into one script: each once, after all that it imports, in one scope.

A page opened from a file may not import other files. So the modules are put one after the other, without their import
and export lines; all else stays as it was written, and can be read in the page's source. What this can't join is told.
"""

import re
from collections.abc import Iterator
from pathlib import Path

IMPORT = re.compile(r'^import \{([^{}]*)\} from "(\.[^"]*\.mjs)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:const|let|class|function|async function)\b)", re.MULTILINE)
NAME = re.compile(r"^(export )?(?:const|let|class|(?:async )?function\*?) (\S+?)(?=[\s(;=])", re.MULTILINE)
LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """One script out of this module and all that it imports, directly or not.

    Raises ValueError for modules that import each other, a name that two of them have at their top level, an imported
    name that isn't exported, and any other form of import or export.
    """
    modules = {path: path.read_text(encoding="utf-8") for path in in_order(entry.resolve(), ())}
    check_names(modules)
    return "\n".join(f"// {path.name}\n{alone(path, text)}" for path, text in modules.items())


def in_order(module: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """What the module imports, then itself. A module may come more than once."""
    if module in above:
        raise ValueError(f"modules import each other: {' -> '.join(path.name for path in (*above, module))}")
    for _, imported in imports(module):
        yield from in_order(imported, (*above, module))
    yield module


def imports(module: Path) -> list[tuple[list[str], Path]]:
    """The names that are imported, and from where."""
    found = IMPORT.findall(module.read_text(encoding="utf-8"))
    return [
        ([name.strip() for name in names.split(",") if name.strip()], (module.parent / at).resolve())
        for names, at in found
    ]


def alone(path: Path, text: str) -> str:
    """The module without its import and export lines."""
    text = EXPORT.sub("", IMPORT.sub("", text))
    if left := LEFT.search(text):
        raise ValueError(
            f'{path.name}: {left[0]!r} can\'t be joined: write import {{ a, b }} from "./x.mjs"; or export'
        )
    return text


def check_names(modules: dict[Path, str]) -> None:
    owners: dict[str, Path] = {}
    exported: set[tuple[Path, str]] = set()
    for path, text in modules.items():
        for export, name in NAME.findall(text):
            if name[0] in "{[":
                raise ValueError(f"{path.name}: {name} at the top level: give each name a line of its own")
            if name in owners:
                raise ValueError(f"{name} is the name of something in {owners[name].name} and in {path.name}")
            owners[name] = path
            exported |= {(path, name)} if export else set()
    for path in modules:
        for names, source in imports(path):
            for name in names:
                if (source, name) not in exported:
                    raise ValueError(f"{path.name} imports {name} from {source.name}, which doesn't export it")
