"""Falcon events land under their contract: keys, both clocks, numbers in any spelling, no drift from open records."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import Contract, load_contracts
from lake.ledger import LandingReceipt
from tests.unit.ingest.landing.landed import Landed, landed, landed_together, lines

AT = datetime(2026, 3, 2, 5, 0, 0, 123000)
MILLIS = round(AT.replace(tzinfo=UTC).timestamp() * 1000)
FILETIME = (MILLIS + 11644473600000) * 10000
EVENT = {
    "event_simpleName": "ProcessRollup2",
    "id": "e1",
    "aid": "a1",
    "cid": "c1",
    "timestamp": str(MILLIS),
    "ContextTimeStamp": f"{MILLIS / 1000:.3f}",
}


@pytest.fixture(scope="module")
def falcon() -> Contract:
    return load_contracts()["crowdstrike_fdr"]


def land(contract: Contract, folder: Path, *records: object) -> Landed:
    return landed(folder, lines(*records), contract)


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in EVENT.items() if name not in names} | more


CLOCKS: list[tuple[Any, Any, datetime]] = [
    (f"{MILLIS / 1000:.3f}", "1", AT),
    (MILLIS / 1000, "1", AT),
    (str(FILETIME), "1", AT),
    (FILETIME, "1", AT),
    (str(MILLIS // 1000), "1", AT.replace(microsecond=0)),
    ("2026-03-02 05:00:00.123", "1", AT),
    (None, str(MILLIS), AT),
    (None, MILLIS, AT),
    (None, f"{MILLIS}.0", AT),
    (None, "2026-03-02T05:00:00.123Z", AT),
    ("", str(MILLIS), AT),
    ("0", str(MILLIS), AT),
    ("0.000", str(MILLIS), AT),
    ("soon", str(MILLIS), AT),
    ("116444736000000000", str(MILLIS), AT),
    (None, str(MILLIS // 1000), AT.replace(microsecond=0)),
]


@pytest.fixture(scope="module")
def clocks(falcon: Contract, tmp_path_factory: pytest.TempPathFactory) -> Landed:
    records = [
        without("ContextTimeStamp", timestamp=cloud) | ({} if context is None else {"ContextTimeStamp": context})
        for context, cloud, _ in CLOCKS
    ]
    return landed_together(tmp_path_factory.mktemp("clocks"), map(lines, records), falcon)


@pytest.mark.parametrize(("number", "at"), [(str(number), at) for number, (*_, at) in enumerate(CLOCKS)])
def test_the_sensors_clock_counts_where_it_is_a_time_and_else_the_clouds(
    clocks: Landed, number: str, at: datetime
) -> None:
    assert clocks.bronze("_event_at", of=number) == [(at,)]


def test_a_record_without_any_time_is_quarantined_whole(falcon: Contract, tmp_path: Path) -> None:
    done = land(
        falcon, tmp_path, without("timestamp", "ContextTimeStamp"), without(ContextTimeStamp="x", timestamp="y")
    )
    assert done.quarantine("reason, field") == [
        ("missing_field", "ContextTimeStamp"),
        ("bad_event_time", "ContextTimeStamp"),
    ]


def test_the_key_is_id_sensor_and_kind_and_a_hash_where_one_is_missing(falcon: Contract, tmp_path: Path) -> None:
    records = [
        EVENT,
        without("event_simpleName", event_simpleName="DnsRequest"),
        without("aid"),
        without("id"),
        without("id", "aid", "event_simpleName", ExternalApiType="Event_X", CompositeId="d1", AgentId="a2"),
    ]
    keys = [row[0] for row in land(falcon, tmp_path, *records).bronze("_event_key")]
    assert [keys[0], keys[1], keys[4]] == ["e1|a1|ProcessRollup2", "e1|a1|DnsRequest", "d1|a2|Event_X"]
    assert [len(key) for key in keys[2:4]] == [64, 64]


def test_numbers_may_come_as_texts_or_as_numbers(falcon: Contract, tmp_path: Path) -> None:
    numbers = {"TargetProcessId": 1719309930613520072, "LocalPort": 443, "Size": 0, "ProcessStartTime": 1772445599.25}
    done = land(falcon, tmp_path, EVENT | {name: str(value) for name, value in numbers.items()}, EVENT | numbers)
    first, second = done.bronze("TargetProcessId, LocalPort, Size, ProcessStartTime, _violations")
    assert first == second == ("1719309930613520072", "443", "0", "1772445599.25", [])


def test_what_is_no_text_or_number_is_emptied_and_named_and_stays_raw(falcon: Contract, tmp_path: Path) -> None:
    record = EVENT | {"CommandLine": {"a": 1}, "Size": [1]}
    done = land(falcon, tmp_path, record)
    assert done.bronze("CommandLine, Size, _violations") == [(None, None, ["CommandLine", "Size"])]
    assert json.loads(done.bronze("_raw")[0][0]) == record


def test_undeclared_fields_stay_raw_and_are_no_drift(falcon: Contract, tmp_path: Path) -> None:
    record = EVENT | {f"Field{number}": {"Inside": number} for number in range(50)}
    done = land(falcon, tmp_path, record, "not json", record | {"id": "e2", "CommandLine": 1.5})
    receipt: LandingReceipt = done.receipt
    assert (receipt.read, receipt.landed, receipt.quarantined, receipt.drift) == (3, 2, 1, ())
    assert json.loads(done.bronze("_raw")[0][0]) == record


def test_a_clock_that_runs_ahead_beyond_the_tolerance_is_quarantined(falcon: Contract, tmp_path: Path) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    done = land(falcon, tmp_path, without(ContextTimeStamp=f"{tomorrow.timestamp():.3f}"))
    assert done.quarantine("reason") == [("event_in_future",)]
