"""A story as a script that shows it in a process of its own: how far the logits of each feed are from uncached ones."""

import textwrap

MOST_ROWS, LONGEST, SEED = 6, 700, 0  # of the texts that stories are told of
WIDTH = 80
NEW_TOKENS = 6  # that are generated


class Script:
    """house: how a cache is made and called, in words (`head`, `call`). Each verb adds its lines."""

    def __init__(self, house, rule: str, pads: list[int]):
        self.house = house
        self.steps: list[list[str]] = []
        self.ones: tuple[int, int, int] | None = None  # a loop that may go on: start, end, rows
        self.head, self.made = house.head(rule, pads), house.making(len(pads))

    def feed(self, at: int, count: int, rows: int):
        """Single tokens one after the other are a loop."""
        if count == 1 and self.ones and self.ones[1:] == (at, rows):
            start, _, _ = self.ones
            self.steps[-1] = [f"for at in range({start}, {at + 1}):", f"    feed(ids[:{rows}, at : at + 1])"]
            self.ones = start, at + 1, rows
        else:
            self.steps.append([f"feed(ids[:{rows}, {at}:{at + count}])"])
            self.ones = (at, at + 1, rows) if count == 1 else None

    def do(self, verb: str, *given):
        """given: what the verb takes, and for rows which these are."""
        self.ones = None
        self.steps.append({**OF_THE_TEXT, **self.house.calls}[verb](*given))

    def another(self):
        self.ones = None
        self.steps.append(["other = cache, text", *self.made, "text = text[:, :0]"])

    def generate(self, rows: int, length: int):
        ids = f"ids[{rows}:{2 * rows}, :{length}]"
        calls = [self.house.generates(ids, cached) for cached in (True, False)]
        self.steps.append([line for call in calls for line in folded(f"print({call})")])

    def last_is_refused(self):
        self.ones = None
        if self.steps:
            self.steps[-1] = ["with contextlib.suppress(Exception):", *(f"    {line}" for line in self.steps[-1])]

    def __str__(self):
        lines = [*self.head, *(line for step in self.steps for line in step)]
        needed = [name for name in ("contextlib", "copy") if any(f"{name}." in line for line in lines)]
        return "\n".join([*(f"import {name}" for name in needed), *lines])


def folded(call: str) -> list[str]:
    """A call whose arguments stand in lines of their own, if it is too long for one."""
    if len(call) <= WIDTH:
        return [call]
    name, _, given = call.partition("(")
    return [f"{name}(", *textwrap.wrap(given[:-1], WIDTH, initial_indent="    ", subsequent_indent="    "), ")"]


OF_THE_TEXT = {
    "fork": lambda: ["cache, other = copy.deepcopy(cache), (cache, text)"],
    "swap": lambda: ["(cache, text), other = other, (cache, text)"],
}


def ids_lines(pads: list[int]) -> list[str]:
    """The tokens, -1 where there is padding, and the text so far."""
    padded = [f"ids[{row}, :{count}] = -1" for row, count in enumerate(pads) if count]
    ids = f"ids = torch.randint(53, ({MOST_ROWS}, {LONGEST}), generator=torch.Generator().manual_seed({SEED}))"
    return [ids, *padded, f"text = ids[:{len(pads)}, :0]"]
