"""Shapes checked at run time, at less than half the cost of jaxtyping's own decorator.

That one binds a call's arguments to their names, which only an axis like "{size}" needs, and checks them twice. With
models as small as the tests' it takes longer than the model.
"""

import functools
import inspect
from typing import Any, get_type_hints

import jaxtyping

jaxtyped = jaxtyping.jaxtyped


def checked(function=None, *, typechecker):
    """In the place of `jaxtyping.jaxtyped`: the type checker sees each argument and the result once, and an axis that
    is named twice in a call has one size.

    Left to jaxtyping: a class, for the fields of dataclasses; and a generator, whose arguments beartype checks when it
    starts, and not when it is called.
    """
    if function is None:
        return functools.partial(checked, typechecker=typechecker)
    if isinstance(function, type) or inspect.isgeneratorfunction(function):
        return jaxtyped(function, typechecker=typechecker)
    function.__annotations__ = {name: known(hint, function) for name, hint in function.__annotations__.items()}
    if not function.__annotations__:
        return function
    inside = typechecker(function)

    @functools.wraps(function)
    def outside(*args, **kwargs):
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        with jaxtyped("context"):  # in which an axis has one size
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
