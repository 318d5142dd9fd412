"""What was measured once, since it takes minutes."""

from pathlib import Path

DATA = Path(__file__).parent
