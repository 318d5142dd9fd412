"""Joins ES modules into one script: each once, after all that it imports, in a scope of its own.

A page opened from a file may not import other files. So each module becomes a function that is called at once and gives
back what the module exports; all else stays as it was written, and can be read in the page's source.
"""

import re
from collections.abc import Iterator
from pathlib import Path

IMPORT = re.compile(r'^import \{([^{}]*)\} from "(\.[^"]*\.mjs)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:const|class|function\*?|async function\*?) ([\w$]+))", re.MULTILINE)
LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """One script out of this module and all that it imports, directly or not.

    Raises ValueError for modules that import each other, an imported name that isn't exported, and any other form of
    import or export.
    """
    modules = dict.fromkeys(in_order(entry.resolve(), ()))
    root = entry.resolve().parents[1]
    return "\n".join(scoped(module, root) for module in modules)


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
    return [(re.findall(r"[^\s,]+", names), (module.parent / at).resolve()) for names, at in found]


def exports(module: Path) -> list[str]:
    return EXPORT.findall(module.read_text(encoding="utf-8"))


def scoped(module: Path, root: Path) -> str:
    """The module as a constant: an object of what it exports."""
    text = EXPORT.sub("", IMPORT.sub("", module.read_text(encoding="utf-8")))
    if left := LEFT.search(text):
        how = 'write import { a, b } from "./x.mjs"; or export before a const, class or function'
        raise ValueError(f"{module.name}: {left[0]!r} can't be joined: {how}")
    lines = [f"const {scope(module, root)} = (() => {{ // {module.relative_to(root).as_posix()}"]
    for names, source in imports(module):
        if missing := set(names) - set(exports(source)):
            raise ValueError(f"{module.name} imports {min(missing)} from {source.name}, which doesn't export it")
        lines.append(f"const {{ {', '.join(names)} }} = {scope(source, root)};")
    return "\n".join([*lines, f"{text}return {{ {', '.join(exports(module))} }};", "})();\n"])


def scope(module: Path, root: Path) -> str:
    """A name for it: shell/dom.mjs is shell_dom."""
    return "_".join(module.relative_to(root).with_suffix("").parts)
