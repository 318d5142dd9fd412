"""Bugs of one word that are not of the museum: a function rebuilt from its own source with one thing changed."""

from minigpt.museum.bug import rebuilt


def mutate(monkeypatch, owner, name, old, new):
    """Put it in the place of owner.name."""
    monkeypatch.setattr(owner, name, rebuilt(owner, name, old, new))
