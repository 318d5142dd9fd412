"""Whether a JSON object has exactly the keys and kinds of values that a command's FIELDS promise."""

KINDS = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,  # a boolean is no number here
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
}


def check(value: dict, fields: dict, path: str = "") -> None:
    """Asserts it, at every level."""
    assert list(value) == list(fields), f"keys of {path or 'the object'}"
    for key, said in fields.items():
        said, within = (said, None) if isinstance(said, str) else said
        kinds, _, meaning = said.partition(": ")
        where = f"{path}.{key}"
        assert meaning, f"{where} has no meaning: {said}"
        assert any(is_a(kind, value[key]) for kind in kinds.split(" or ")), f"{where} is no {kinds}: {value[key]}"
        if within is not None:
            for each in members(value[key]) if " of " in kinds else [value[key]]:
                check(each, within, where)


def is_a(kind: str, value) -> bool:
    outer, of, inner = kind.partition(" of ")
    if not of:
        return KINDS[kind](value)
    within = {"list": list, "object": dict}[outer]
    return isinstance(value, within) and all(KINDS[inner[:-1]](each) for each in members(value))


def members(value) -> list:
    return list(value.values()) if isinstance(value, dict) else value
