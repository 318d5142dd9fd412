"""Shapes checked at run time, at less than half the cost of jaxtyping's own decorator.

That one binds a call's arguments to their names, which only an axis like "{size}" needs, and checks them twice. With
models as small as the tests' it takes longer than the model.
"""

import functools
import inspect
from typing import Any, get_type_hints

import jaxtyping
from beartype import beartype

jaxtyped = jaxtyping.jaxtyped


def checked(function=None, **how):
    """In the place of `jaxtyping.jaxtyped`: beartype checks what is annotated, and an axis named twice in one call has
    one size.

    Left to jaxtyping: a class, since it checks the fields of dataclasses; and a generator, whose arguments beartype
    checks as it starts, when the call that made it is over.
    """
    if function is None:
        return functools.partial(checked, **how)
    if isinstance(function, type) or inspect.isgeneratorfunction(function):
        return jaxtyped(function, **how)
    hints = {name: known(hint, function) for name, hint in function.__annotations__.items()}
    if not hints:
        return function
    function.__annotations__ = hints
    inside, has_shapes = beartype(function), "jaxtyping." in str(hints)

    @functools.wraps(function)
    def outside(*args, **kwargs):
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        if not has_shapes:
            return inside(*args, **kwargs)
        with jaxtyped("context"):
            return inside(*args, **kwargs)

    return outside


def known(hint, function):
    """What a hint in quotes stands for; anything, if that is only imported for type checkers."""

    def example(argument: hint): ...

    try:
        return get_type_hints(example, function.__globals__, include_extras=True)["argument"]
    except NameError:
        return Any


def install() -> None:
    """For all of the package that is imported from here on."""
    jaxtyping.jaxtyped = checked  # by which the hook's line in each module calls it
    jaxtyping.install_import_hook("minigpt", "beartype.beartype")
