"""Faults between Headwater and S3: nothing is lost, nothing comes twice, and what cannot be healed says what is wrong.

Passing faults are met by trying again and show nowhere. Lasting ones end a command with a message; once they are over,
the same command arrives where it would have arrived.
"""

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE
from tests.integration.s3.conftest import IMPATIENCE_SECONDS, Way
from tests.integration.s3.lakes import State
from tests.simulators.faulty_http import Fault

DELIVERED, BRONZE, RECEIPT = r"/in/.*gz$", r"/bronze/.*parquet$", r"/ledger/.*json$"
LONG, DAY = IMPATIENCE_SECONDS * 3, 86400.0

EVERYWHERE = {
    "500 at every third request": [Fault("error", every=3, times=None)],
    "503 SlowDown at every other request": [Fault("error", every=2, times=None, status=503, code="SlowDown")],
    "no answer in time": [Fault("hang", method, seconds=LONG) for method in ("GET", "PUT", "POST")],
    "lost answers to every other write": [Fault("lost", "PUT", every=2, times=None)],
    "a server's clock a day behind": [Fault("skew", times=None, seconds=-DAY)],
}
LANDING = EVERYWHERE | {
    "503 in a burst": [Fault("error", times=5, status=503, code="SlowDown")],
    "resets in delivered objects": [Fault("reset", "GET", DELIVERED, at_bytes=100, every=2, times=4)],
    "delivered objects that end early": [Fault("cut", "GET", DELIVERED, at_bytes=100, every=2, times=4)],
    "resets in receipts": [Fault("reset", "GET", RECEIPT, at_bytes=40, every=2, times=6)],
    "receipts that end early": [Fault("cut", "GET", RECEIPT, at_bytes=40, every=2, times=6)],
    "resets in what DuckDB reads": [Fault("reset", "GET", BRONZE, at_bytes=200, every=2, times=None)],
    "what DuckDB reads ends early": [Fault("cut", "GET", BRONZE, at_bytes=200, every=2, times=None)],
    "no answer in time to DuckDB": [Fault("hang", "GET", BRONZE, seconds=LONG)],
    "resets in uploads": [Fault("reset_upload", "PUT", at_bytes=100, every=3, times=None)],
    "lost answers to every third write": [Fault("lost", "PUT", every=3, times=None)],
    "lost answers to deletions": [Fault("lost", "POST", every=2, times=None)],
    "slow bodies": [Fault("slow", "GET", every=5, seconds=0.5)],
    "a server's clock a day ahead": [Fault("skew", times=None, seconds=DAY)],
}


def one_of_each_kind(faults: dict[str, list[Fault]]) -> list[Any]:
    """The names of faults; those after the first of their kind belong to the storm."""
    seen: set[str] = set()
    params = []
    for name, made in faults.items():
        kind = made[0].kind
        params.append(pytest.param(name, marks=pytest.mark.storm) if kind in seen else name)
        seen.add(kind)
    return params


@pytest.mark.parametrize("name", one_of_each_kind(LANDING))
def test_a_passing_fault_of_landing_shows_nowhere(name: str, landed: State, way: Way) -> None:
    faults = way.spoil(*map(replace, LANDING[name]))
    assert way.land().code == 0
    said = headwater("query", "--json", f"select count(*)::int as n, min(length(_raw)) > 0 as raw from bronze.{SOURCE}")
    assert said.json == [{"n": 19, "raw": True}], said.err
    assert way.lake.state() == landed
    assert all(fault.made for fault in faults), "the fault was never made: this test proves nothing"


@pytest.mark.parametrize("name", one_of_each_kind(EVERYWHERE))
def test_a_passing_fault_of_the_whole_way_shows_nowhere(name: str, built: State, way: Way) -> None:
    faults = way.spoil(*map(replace, EVERYWHERE[name]))
    assert way.go() == built
    assert all(fault.made for fault in faults), "the fault was never made: this test proves nothing"


LASTING = {
    "listing": (Fault("error", "GET", r"list-type=2&prefix=in"), "s3:ListBucket", "/in/"),
    "reading": (Fault("error", "GET", DELIVERED), "s3:GetObject", "/in/a.ndjson.gz"),
    "staging": (Fault("error", "PUT", r"/_staging/"), "s3:PutObject", "/_staging/"),
    "locking": (Fault("error", "PUT", r"/\.lock-publish$"), "s3:PutObject", "/.lock-publish"),
    "journaling": (Fault("error", "PUT", r"/_journal/"), "s3:PutObject", "/_journal/"),
    "moving": (Fault("error", "PUT", BRONZE), "s3:PutObject", "/bronze/"),
    "receipts": (Fault("error", "PUT", RECEIPT), "s3:PutObject", "/ledger/landing/"),
    "deleting": (Fault("error", "POST", r"\?delete"), "s3:DeleteObject", ""),
}


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), pytest.param(500, "InternalError", marks=pytest.mark.storm)]
)
def test_a_lasting_fault_is_told_by_bucket_key_and_permission(
    status: int, code: str, name: str, landed: State, way: Way
) -> None:
    fault, permission, key = LASTING[name]
    [made] = way.spoil(replace(fault, times=None, status=status, code=code))
    said = way.land()
    # Objects that cannot be read are a batch that did not land; what the lake refuses is an error.
    assert made.made and said.code == (3 if name == "reading" else 1), said.out
    bucket = (way.delivered if name in ("listing", "reading") else way.lake.url).removeprefix("s3://").split("/")[0]
    for word in (permission, f"s3://{bucket}/", key, code):
        assert word in said.err
    assert "Traceback" not in said.err and "testing" not in said.err.replace(bucket, "")
    way.proxy.heal()
    assert way.land().code == 0
    assert way.lake.state() == landed


def test_a_build_that_may_not_read_bronze_says_so_and_goes_well_when_it_may(built: State, way: Way) -> None:
    assert way.land().code == 0
    way.spoil(Fault("error", "GET", BRONZE, times=None, status=403, code="AccessDenied"))
    said = way.build()
    assert said.code == 1
    assert "/bronze/okta_system_log/" in said.err and "403" in said.err and "Traceback" not in said.err
    way.proxy.heal()
    assert way.go() == built


def test_a_clock_that_is_wrong_is_named(landed: State, way: Way) -> None:
    way.spoil(Fault("error", times=None, status=403, code="RequestTimeTooSkewed"))
    said = way.land()
    assert said.code == 1 and "RequestTimeTooSkewed" in said.err and "clock" in said.err
    way.proxy.heal()
    assert way.land().code == 0
    assert way.lake.state() == landed
