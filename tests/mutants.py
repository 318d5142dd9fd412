"""Bugs of one word that are not of the museum: a function rebuilt from its own source with one thing changed."""

import inspect

from minigpt.museum.bug import rebuilt


def mutate(monkeypatch, owner, name, old, new, namespaces=()):
    """Put it in the place of owner.name, and wherever the original was in `namespaces`."""
    original, mutant = inspect.getattr_static(owner, name), rebuilt(owner, name, old, new)
    monkeypatch.setattr(owner, name, mutant)
    for namespace in namespaces:
        if vars(namespace).get(name) is original:
            monkeypatch.setattr(namespace, name, mutant)
