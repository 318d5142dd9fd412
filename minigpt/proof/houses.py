"""Which of the two interfaces a cache has, and how a script names it."""

import inspect
import sys
from collections.abc import Callable

from minigpt.proof.ours import Ours
from minigpt.proof.theirs import Theirs


def house_of(make: Callable) -> Ours | Theirs:
    """Raises ValueError where `make` gives no cache, for neither model."""
    refused = []
    for whose, kind, verbs in (
        ("minigpt's", Ours, ("serve", "admit", "update")),
        ("transformers'", Theirs, ("update", "get_seq_length")),
    ):
        try:
            house = kind(make, *named(make))
            cache = house.driver(house.rules[0], 1).cache
        except Exception as error:
            refused.append(f"{whose}: {type(error).__name__}: {error}")
            continue
        if all(hasattr(cache, verb) for verb in verbs):
            return house
        refused.append(f"{whose}: what it gives, {type(cache).__name__}, lacks some of {', '.join(verbs)}")
    wanted = "a function or class of (config, batch_size, dtype, device) that gives a cache"
    where = "in minigpt's interface or in transformers'"
    raise ValueError(f"prove wants {wanted}, {where}; {make!r} gives none ({'; '.join(refused)})")


def named(make: Callable) -> tuple[str, str]:
    """How a script imports and calls it. What is made in a function, a notebook or a console can't be imported."""
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", "make")
    if module == "__main__":
        file = getattr(sys.modules[module], "__file__", None)
        module = file and inspect.getmodulename(file)
    outer, *_ = name.split(".")
    if module and "<" not in name:
        return f"from {module} import {outer}", f"{name}({{}})"
    own = name.rpartition(".")[2].strip("<>")
    return f"# here goes your {own}", f"{own}({{}})"
