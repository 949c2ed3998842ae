"""Indicators are held against the past of the lake, and what they hit is told once and for all."""

from pathlib import Path

import pytest

from lake.store import Store
from tests.lake.retro.lakes import Indicator, at, build, logon, matched, rows
from tests.lake.stores import KINDS, opened

EVIL = "203.0.113.7"


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return opened(request.param, tmp_path, request)()


def test_an_address_that_is_learned_later_is_found_in_the_past(store: Store, tmp_path: Path) -> None:
    build(store, [logon(3.5, "before", EVIL), logon(4.2, "other", "198.51.100.1"), logon(7, "after", EVIL)])
    done = matched(store, tmp_path, [Indicator("list", EVIL, learned=6, uid="i-1")])
    assert (done.found, done.failed, done.mended) == ({"list": 2}, {}, {})
    told = "event_uid, was_known, known_at, seconds_after, user_name, src_ip, attributes, indicator_uid, version"
    assert rows(store, told) == [
        ("after", True, at(7), 0, "ann", EVIL, ["src_endpoint.ip"], "i-1", "v6"),
        ("before", False, at(6), 9000, "ann", EVIL, ["src_endpoint.ip"], "i-1", "v6"),
    ]
