"""A seeded bug: where it is, what its code is, and how it takes the place of the right code for a while."""

import difflib
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest.mock import patch

from minigpt.cache import CACHES
from minigpt.proof.oracles import one_pass

JUDGE = "minigpt.proof.oracles"  # keeps the right code


@dataclass(frozen=True)
class BrokenCache:
    """A class that takes the place of the cache of that name, with one thing wrong. what: what goes wrong."""

    what: str
    cache: str
    kind: type
    language: ClassVar[str] = "python"  # of its code

    @property
    def where(self) -> str:
        return self.cache

    @property
    def noticed_by(self) -> tuple[str, ...]:
        return (self.cache,)

    def code(self) -> str:
        """What the class says that the right one doesn't."""
        own = [kind for kind in self.kind.__mro__ if kind not in CACHES[self.cache].__mro__]
        return "\n\n".join(textwrap.dedent(inspect.getsource(kind)).rstrip() for kind in reversed(own))

    @contextmanager
    def planted(self) -> Iterator[None]:
        with patch.dict(CACHES, {self.cache: self.kind}), forgetting():
            yield


@dataclass(frozen=True)
class ChangedWord:
    """A function in which `new` stands instead of `old`. place: as "minigpt.cache.text:Text.append". noticed_by: the
    caches that must notice it (empty: whichever does)."""

    what: str
    place: str
    old: str
    new: str
    noticed_by: tuple[str, ...] = ()
    language: ClassVar[str] = "diff"

    @property
    def where(self) -> str:
        return self.place.removeprefix("minigpt.")

    @property
    def right(self) -> str:
        """The function's source."""
        return source_of(*found(self.place))

    @property
    def broken(self) -> str:
        """The same with the bug in it."""
        return self.right.replace(self.old, self.new)

    def code(self) -> str:
        """The changed lines of the function, and those around them, as a diff."""
        one, other = self.right.splitlines(), self.broken.splitlines()
        return "\n".join(difflib.unified_diff(one, other, self.where, "with the bug", lineterm=""))

    @contextmanager
    def planted(self) -> Iterator[None]:
        owner, name = found(self.place)
        original, mutant = inspect.getattr_static(owner, name), rebuilt(owner, name, self.old, self.new)
        modules = [module for key, module in sys.modules.items() if key.startswith("minigpt") and key != JUDGE]
        holders = [module for module in modules if vars(module).get(name) is original]
        with ExitStack() as until_the_end, forgetting():
            for holder in {id(each): each for each in [owner, *holders]}.values():
                until_the_end.enter_context(patch.object(holder, name, mutant))
            yield


@contextmanager
def forgetting() -> Iterator[None]:
    """What an uncached run says with a bug does not outlive it."""
    try:
        yield
    finally:
        one_pass.cache_clear()


def found(place: str) -> tuple[Any, str]:
    """The module or class that holds it, and its name there."""
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    return functools.reduce(getattr, outer, importlib.import_module(module)), name


def source_of(owner, name: str) -> str:
    return textwrap.dedent(inspect.getsource(plain(inspect.getattr_static(owner, name))))


def plain(function: Any):
    """The function itself, of a property or of what decorates it."""
    getter: Any = function.fget if isinstance(function, property) else function
    return inspect.unwrap(getter)


def rebuilt(owner, name: str, old: str, new: str):
    """owner's function (or property) of that name, made anew from its source with one thing changed."""
    original = inspect.getattr_static(owner, name)
    source = source_of(owner, name)
    if old not in source:
        raise ValueError(f"{name} no longer says {old!r}: the bug needs a new place")
    # Inside a function that has a `__class__`, for a method's super() to find.
    body = f"def rebuild(__class__):\n{textwrap.indent(source.replace(old, new), '    ')}\n    return {name}"
    scope = dict(plain(original).__globals__)
    exec("from __future__ import annotations\n" + body, scope)  # noqa: S102
    made = scope["rebuild"](owner)
    return property(made.fget) if isinstance(original, property) else made
