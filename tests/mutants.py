"""Seeded bugs: a function rebuilt from its own source with one thing changed."""

import inspect
import textwrap


def mutate(monkeypatch, owner, name, old, new, namespaces=()):
    """Rebuild owner.name with `old` replaced by `new`, and put it wherever the original was, in `namespaces` too."""
    original = inspect.getattr_static(owner, name)
    is_property = isinstance(original, property)
    function = inspect.unwrap(original.fget if is_property else original)
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{name} no longer says {old!r}: the mutant needs a new place"
    scope = dict(function.__globals__, SHARED={})
    # Inside a function that has a `__class__`, for a method's super() to find.
    body = f"def rebuild(__class__):\n{textwrap.indent(source.replace(old, new), '    ')}\n    return {name}"
    exec("from __future__ import annotations\n" + body, scope)  # noqa: S102
    rebuilt = scope["rebuild"](owner)
    mutant = property(rebuilt.fget) if is_property else rebuilt
    monkeypatch.setattr(owner, name, mutant)
    for namespace in namespaces:
        if vars(namespace).get(name) is original:
            monkeypatch.setattr(namespace, name, mutant)
