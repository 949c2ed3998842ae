"""The three contracts held against real logs: declared types, keys, and the facts behind the Windows event time."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import msgspec
import pytest

from ingest.contracts import Contract, Field, load_contracts
from ingest.contracts.model import split_path
from ingest.sources.windows_event.layouts import plain

Record = dict[str, Any]

JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
ALSO = {"map": {"object"}, "number": {"number", "integer"}, "any": set(JSON_TYPES.values())}


def violations(contract: Contract, records: Iterable[Record]) -> Counter[tuple[str, str]]:
    """How often each field path was `missing` or of which wrong JSON type."""
    found: Counter[tuple[str, str]] = Counter()
    for record in records:
        for field in contract.fields:
            check(field, value(record, field), found)
    return found


def value(holder: Record, field: Field) -> Any:
    """The field's value in the object that holds it: its own name first, then its aliases."""
    for steps in [(field.name,), *map(split_path, field.aliases)]:
        found: Any = holder
        for step in steps:
            found = found.get(step) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None


def check(field: Field, found: Any, violations: Counter[tuple[str, str]]) -> None:
    """Counts what is wrong with this value and inside it."""
    if found is None:
        if field.required:
            violations[field.path, "missing"] += 1
        return
    kind = JSON_TYPES[type(found)]
    if kind not in ALSO.get(field.type, {field.type}) | set(field.accepts):
        violations[field.path, kind] += 1
    elif field.type == "object":
        for each in field.properties:
            check(each, value(found, each), violations)
    elif field.type == "array" and field.items is not None:
        for element in found:
            check(field.items, element, violations)


def lines(path: Path) -> Iterator[Record]:
    """The records of an NDJSON file."""
    with path.open("rb") as file:
        yield from map(msgspec.json.decode, file)


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    """All contracts of the repository."""
    return load_contracts()


@pytest.fixture(scope="module")
def windows_lines(shared_data: Path) -> list[tuple[str, bytes]]:
    """(file, line) of every record in the four zips, junk members left out: 108,159 lines."""
    found = []
    for archive in sorted((shared_data / "Security-Datasets/datasets/atomic/windows").rglob("*.zip")):
        with ZipFile(archive) as members:
            for name in members.namelist():
                if not name.startswith("__MACOSX"):
                    found += [(name, line) for line in members.read(name).splitlines() if line]
    return found


@pytest.fixture(scope="module")
def windows_records(windows_lines: list[tuple[str, bytes]]) -> list[Record]:
    """The same, decoded."""
    return [msgspec.json.decode(line) for _, line in windows_lines]


def test_cloudtrail_objects_keep_their_contract(contracts: dict[str, Contract], shared_data: Path) -> None:
    """2,900 records in 55 delivered objects: nothing is missing or of another type, and no top field is undeclared."""
    records: list[Record] = []
    for path in sorted((shared_data / "aws_dataset/CloudTrail").glob("*.json")):
        assert contracts["aws_cloudtrail"].arrival_pattern.search(path.name), path.name  # type: ignore[union-attr]
        records += json.loads(path.read_text())["Records"]
    assert 2900 == len(records) == len({each["eventID"] for each in records})
    assert {} == violations(contracts["aws_cloudtrail"], records)
    assert set().union(*records) <= {each.name for each in contracts["aws_cloudtrail"].fields}


def test_delivery_time_of_cloudtrail_names(contracts: dict[str, Contract]) -> None:
    """The arrival is in the name; digests are ignored."""
    contract = contracts["aws_cloudtrail"]
    folder = "AWSLogs/o-abc/111122223333"
    name = f"{folder}/CloudTrail/us-east-1/2023/07/10/111122223333_CloudTrail_us-east-1_20230710T1220Z_WMiH.json.gz"
    assert contract.arrival_pattern is not None and contract.arrival_format is not None
    found = contract.arrival_pattern.search(name)
    assert found is not None
    assert datetime(2023, 7, 10, 12, 20) == datetime.strptime(found["at"], contract.arrival_format)
    assert not contract.ignores(name)
    assert contract.ignores(f"{folder}/CloudTrail-Digest/us-east-1/2023/07/10/x.json.gz")


def test_trimmed_samples_lose_only_records_without_key_or_time(
    contracts: dict[str, Contract], shared_data: Path
) -> None:
    """Panther's hand-trimmed samples: an optional field of another type never costs the record."""
    samples = shared_data / "panther_samples"
    found = violations(contracts["okta_system_log"], lines(samples / "Okta.SystemLog.ndjson"))
    assert {("uuid", "missing"): 4, ("published", "missing"): 4} == found
    windows = contracts["windows_event"]
    own_names = {each.name.lower(): each.name for each in windows.fields}
    assert {} == violations(
        windows, [plain(each, own_names) or {} for each in lines(samples / "Windows.EventLogs.ndjson")]
    )
    contract = contracts["aws_cloudtrail"]
    found = violations(contract, lines(samples / "AWS.CloudTrail.ndjson"))
    strict = {key for key in found if contract.field(key[0]).on_violation == "quarantine"}
    assert {("eventID", "missing"), ("eventTime", "missing")} == strict
    assert {("resources[*]", "string")} == (set(found) - strict)


def test_windows_records_keep_their_contract(contracts: dict[str, Contract], windows_records: list[Record]) -> None:
    """108,159 records in two layouts and two spellings of channel; every fifth is checked, none breaks anything."""
    assert 108_159 == len(windows_records)
    assert {} == violations(contracts["windows_event"], windows_records[::5])
    assert {"security", "Security"} <= {value(each, contracts["windows_event"].fields[1]) for each in windows_records}


def test_no_two_different_windows_lines_share_a_key(
    contracts: dict[str, Contract], windows_lines: list[tuple[str, bytes]], windows_records: list[Record]
) -> None:
    """Computer, channel and record number are unique; all 6,766 duplicates are exact and have no record number."""
    contract = contracts["windows_event"]
    fields = [contract.field(path) for path in contract.event_key]
    by_key = defaultdict(set)
    repeated, seen = Counter[bool](), set()
    for (_, line), record in zip(windows_lines, windows_records, strict=True):
        key = tuple(str(found).lower() for each in fields if (found := value(record, each)) is not None)
        if len(key) == len(fields):
            by_key[key].add(line)
        repeated[len(key) == len(fields)] += line in seen
        seen.add(line)
    assert 58_699 == len(by_key) == sum(map(len, by_key.values()))
    assert {False: 6_766, True: 0} == repeated


def instant(text: str) -> datetime:
    """The time as written, any Z left out."""
    return datetime.fromisoformat(text.removesuffix("Z"))


def test_nxlog_time_is_utc_with_the_zone_of_its_own_record(
    contracts: dict[str, Contract], windows_records: list[Record]
) -> None:
    """EventTime is four hours off; read with `zoneFrom` it is within 4 s of Sysmon's UtcTime.

    @timestamp, the receipt, is up to 120 s later: enough to file an event under the next hour.
    """
    candidate = next(each for each in contracts["windows_event"].event_times if each.zone_from)
    assert candidate.zone_from is not None
    local, utc = candidate.zone_from
    offsets, sysmon, received = Counter[float](), [], []
    for record in windows_records:
        if candidate.path in record:
            seconds = round((instant(record[utc]) - instant(record[local])).total_seconds() / 900) * 900
            event_at = instant(record[candidate.path]) + timedelta(seconds=seconds)
            offsets[seconds / 3600] += 1
            received.append((instant(record["@timestamp"]) - event_at).total_seconds())
            if "UtcTime" in record:
                sysmon.append((event_at - instant(record["UtcTime"])).total_seconds())
    assert {4.0: 58_699} == offsets
    assert 53_136 == len(sysmon)
    assert -1 <= min(sysmon) and max(sysmon) < 4
    assert 0 <= min(received) and 100 < max(received) < 121


def test_export_winevents_time_is_no_utc(windows_records: list[Record]) -> None:
    """TimeCreated = @timestamp is 19 hours before Sysmon's UtcTime (12-hour clock in UTC-7, labelled Z).

    That is why UtcTime comes first, and why 1,062 events of other logs have no true UTC anywhere. The UtcTime of
    Sysmon 3 and 22 in these two files is days behind that of its neighbours; nothing in the record tells.
    """
    hours: Counter[int] = Counter()
    stale: Counter[int] = Counter()
    for record in windows_records:
        if "TimeCreated" not in record:
            continue
        assert record["TimeCreated"] == record["@timestamp"]
        if "UtcTime" not in record:
            hours[-1] += 1
            continue
        off = round((instant(record["UtcTime"]) - instant(record["TimeCreated"])).total_seconds() / 60)
        if off == 19 * 60:
            hours[19] += 1
        else:
            stale[record["EventID"]] += 1
            assert off < -24 * 60
    assert {19: 48_235, -1: 1_062} == hours
    assert {3: 115, 22: 48} == stale


def test_every_windows_candidate_order_starts_with_true_utc(contracts: dict[str, Contract]) -> None:
    """Preference: Sysmon's own UTC, NXLog with its zone, then what only claims to be UTC."""
    order = [each.path for each in contracts["windows_event"].event_times]
    assert ["UtcTime", "EventTime", "TimeCreated", "@timestamp"] == order
