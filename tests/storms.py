"""Parameters of which a few stand for all: the others are for storms, which `make test-all` runs."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def mostly_in_storms(kinds: Iterable[str], always: Collection[str]) -> list[Any]:
    """Return kinds as parameters of a test; those that are not named in `always` are marked as storm."""
    kinds = list(kinds)
    assert set(always) <= set(kinds), f"no such kinds: {set(always) - set(kinds)}"
    return [each if each in always else pytest.param(each, marks=pytest.mark.storm) for each in kinds]
