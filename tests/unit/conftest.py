"""The fast loop stays fast: a unit test opens no connection, and imports neither Dagster nor dbt."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

_DEAR = ("dagster", "dagster_dbt", "dbt")
_ASKED = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ASKED:
        return
    if event in ("socket.connect", "socket.bind") and isinstance(arguments[1], tuple):  # a Unix socket has a path
        raise AssertionError(f"a unit test opens no connection, not even on loopback: {event} {arguments[1]}")
    if event == "import" and arguments[0].split(".")[0] in _DEAR:
        raise AssertionError(f"a unit test imports neither Dagster nor dbt: {arguments[0]}")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Watch while a unit test runs; imports that other tests of this process made before are not seen."""
    global _ASKED
    _ASKED = True
    yield
    _ASKED = False
