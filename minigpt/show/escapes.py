"""Text that a terminal shows and does not obey."""

import re


def visible(text: str) -> str:
    r"""Control characters as escapes (\x1b), all but newline and tab. A prompt may have any, a model may write any."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", text)
