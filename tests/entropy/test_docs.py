"""The examples of docs/entropy.md run as they are printed."""

import doctest
from pathlib import Path


def test_the_guide() -> None:
    guide = Path(__file__).parents[2] / "docs" / "entropy.md"
    result = doctest.testfile(str(guide), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0
