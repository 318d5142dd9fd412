"""Where tables are printed."""

from rich.console import Console


class Terminal(Console):
    """rich's console; but a reader that has seen enough (as in `| head`) is no reason for exit code 1."""

    def __init__(self):
        super().__init__(emoji=False)  # `:ring:` in a message is what somebody wrote

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
