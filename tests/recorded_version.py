"""What was recorded of transformers' own lists holds for one minor version of it."""

import pytest
import transformers

from minigpt.measure.forms.config_types import TRANSFORMERS


def minor(version: str) -> list[str]:
    return version.split(".")[:2]


of_recorded_version = pytest.mark.skipif(
    minor(transformers.__version__) != minor(TRANSFORMERS),
    reason=f"compares with the lists of transformers {TRANSFORMERS}; {transformers.__version__} is installed",
)
