"""Falcon events of a thousand kinds with any values, and real ones: each is published somewhere, valid, none lost.

What belongs here: what holds for every event of this source, through the command line. What single events become is in
`golden/crowdstrike_fdr/`.
"""

import csv
import json
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.contracts import load_contracts
from lake import ledger
from lake.ocsf.validate import event_texts, validate_table
from lake.storage.publish import open_store
from orchestration.settings import PROJECT
from tests.integration.lakes import headwater

SOURCE = "crowdstrike_fdr"
SAMPLES = Path(__file__).parents[3] / "shared/data/panther_samples/Crowdstrike.FDREvent.ndjson"
KINDS, PER_ROUTE, MILLIS = 1000, 20, 1772445600123
ODD_NAMES = [
    "Sensor*",
    "Na'me",
    'Quo"ted',
    "With Space",
    "ünïcode事",
    "%_",
    "null",
    "FileWritten",
    "x" * 300,
    "Event_",
    "-",
]
TEXTS = [
    "",
    "-",
    "0",
    "1",
    "-1",
    "4294967295",
    "99999999999999999999",
    "1e400",
    "NaN",
    "abc",
    "a;b;;",
    ";",
    "'",
    "\0",
    "0x10",
]
PLACES = ["\\Device\\HarddiskVolume2\\a\\b.exe", "/bin/sh", "\\", "/", "C:\\", "a.", "..", "x" * 5000]
ADDRESSES = [
    "0.0.0.0",
    "::",
    "::1",
    "10.0.0.300",
    "10.0.0.5",
    "::ffff:10.0.0.5",
    "2001:db8::1",
    "fe80::1%eth0",
    "1.2.3",
]
OTHERS: list[Any] = [
    0,
    -1,
    1,
    2**31,
    2**32,
    2**63 - 1,
    2**64,
    1.5,
    -0.0,
    1e308,
    True,
    None,
    [],
    ["a"],
    {},
    {"a": {"b": 1}},
]
VALUES: list[Any] = [*TEXTS, *PLACES, *ADDRESSES, *OTHERS]


@dataclass
class Built:
    """A lake in which the generated and the real events are landed and built, and what was put in."""

    lake: Path
    names: list[str]
    balance: dict[str, Any]

    @cached_property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Every published event with its class."""
        found = []
        for table in sorted((self.lake / "silver").iterdir()):
            if files := [str(file) for file in sorted(table.rglob("*.parquet"))]:
                rows = duckdb.connect().read_parquet(files, hive_partitioning=False)
                found += [(table.name, json.loads(text)) for text in event_texts(rows)]
        return found


def routes() -> dict[str, str]:
    """Class by routed event type, without the families."""
    with (PROJECT / "seeds" / "ocsf_routing.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == SOURCE]
    return {row["event_type"]: row["class_uid"] for row in rows if ":" not in row["event_type"]}


def kinds(choose: random.Random) -> list[str]:
    """Every routed name, members of the families, odd names, and names that nobody has seen."""
    words = ["Sensor", "Agent", "Kernel", "Cloud", "Policy", "Usb", "Fw", "Mobile", "Hunt", "Idp", "Container", "State"]
    names = [
        *routes(),
        "ZipFileWritten",
        "QuxFileWritten",
        "Event_EppDetectionSummaryEvent",
        "XdrDetectionSummaryEvent",
        *ODD_NAMES,
    ]
    while len(names) < KINDS:
        names.append("".join(choose.choices(words, k=3)) + str(len(names)))
    return names


def generated(choose: random.Random, names: list[str]) -> list[dict[str, Any]]:
    """One event of each kind, more of the routed ones; some of the declared fields and some others, with any values."""
    header = {
        "event_simpleName",
        "id",
        "aid",
        "timestamp",
        "ContextTimeStamp",
        "event",
        "Time",
        "_time",
        "ProcessStartTime",
    }
    declared = [each.name for each in load_contracts()[SOURCE].fields if each.name not in header]
    events = []
    for number, name in enumerate([*names, *list(routes()) * (PER_ROUTE - 1)]):
        fields = [*choose.sample(declared, k=choose.randint(0, 40)), f"Unknown{choose.randint(0, 500)}"]
        event = {field: choose.choice(VALUES) for field in fields}
        event |= {"event_simpleName": name, "id": f"g{number}", "timestamp": choose.choice([str(MILLIS), MILLIS])}
        if number % 10:
            event["aid"] = f"sensor{number % 7}"
        events.append(event)
    return events


def done(*words: str) -> dict[str, Any]:
    """What a command says with `--json`; it must find all well."""
    said = headwater(*words, "--json")
    assert said.code == 0, said.out[-3000:] + said.err[-3000:]
    return said.json if isinstance(said.json, dict) else {"all": said.json}


@pytest.fixture(scope="module")
def built(place: Path) -> Built:
    choose = random.Random(20260302)
    names = kinds(choose)
    file = place / "generated.ndjson"
    file.write_text("".join(json.dumps(each) + "\n" for each in generated(choose, names)))
    done("land", SOURCE, str(file), *([str(SAMPLES)] if SAMPLES.exists() else []))
    done("build")
    return Built(place / "lake", names, done("balance"))


def test_every_kind_of_event_lands_and_none_is_drift(built: Built) -> None:
    store = open_store(str(built.lake))
    with duckdb.connect() as con:
        files = [str(file) for file in (built.lake / "bronze").rglob("*.parquet")]
        rows = (
            con.read_parquet(files).filter("_source_object like '%generated.ndjson'").aggregate("count(*)").fetchone()
        )
    assert rows == (KINDS + (PER_ROUTE - 1) * len(routes()),)
    assert [receipt.drift for receipt in ledger.landings(store, SOURCE)] == [()]


def test_every_kind_of_event_is_published_under_its_name_in_the_class_of_its_route(built: Built) -> None:
    known = routes()
    published = {
        event["metadata"]["uid"]: (event["metadata"]["event_code"], str(event["class_uid"]), event.get("activity_name"))
        for _, event in built.events
        if event["metadata"].get("event_code") in built.names
    }
    codes = {code: (uid, activity) for code, uid, activity in published.values()}
    names = [name for name in built.names if name != "-"]
    assert sorted(set(names) - set(codes)) == []
    assert {name: codes[name][0] for name in known} == known
    assert codes["QuxFileWritten"][0] == "1001"
    assert codes["XdrDetectionSummaryEvent"][0] == "2004"
    unrouted = [
        name for name in names if name not in known and "FileWritten" not in name and "DetectionSummary" not in name
    ]
    assert [name for name in unrouted if codes[name] != ("0", name)] == []


def test_the_balance_closes_over_generated_and_real_events(built: Built) -> None:
    total = built.balance["total"]
    events = built.events
    assert total["balanced"]
    assert total["read"] == total["landed"] + total["quarantined"]
    assert total["landed"] == total["published"] == len(events)
    assert total["quarantined"] == (1 if SAMPLES.exists() else 0)  # a real record with nothing but a collector's notes


def test_every_published_event_is_valid_ocsf(built: Built) -> None:
    tables = [table for table in sorted((built.lake / "silver").iterdir()) if list(table.rglob("*.parquet"))]
    reports = [validate_table(sorted(table.rglob("*.parquet")), table.name) for table in tables]
    assert [report.examples for report in reports if report.invalid] == []
    assert sum(report.checked for report in reports) >= KINDS


@pytest.mark.skipif(not SAMPLES.exists(), reason="the public samples of ../shared are not on this machine")
def test_real_processes_and_connections_keep_what_names_them(built: Built) -> None:
    records = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    real = [record["event"] for record in records if "event" in record]
    published = [event for _, event in built.events]
    processes = [event["process"] for event in published if event["class_uid"] == 1007]
    named = {(each.get("uid"), str(each.get("pid", "")), each.get("cmd_line")) for each in processes}
    started = [event for event in real if event["event_simpleName"] == "ProcessRollup2"]
    wanted = {
        (
            each.get("TargetProcessId", None if "RawProcessId" in each else "Unknown"),  # OCSF asks for an id
            each.get("RawProcessId", ""),
            each["CommandLine"].strip(),
        )
        for each in started
    }
    assert len(started) == 52
    assert wanted - named == set()
    connection = next(event for event in real if event["event_simpleName"] == "NetworkConnectIP4")
    [found] = [
        event for event in published if event.get("dst_endpoint", {}).get("ip") == connection["RemoteAddressIP4"]
    ]
    assert found["src_endpoint"] | found["dst_endpoint"]  # both ends
    assert (found["src_endpoint"]["ip"], found["dst_endpoint"]["port"]) == (
        connection["LocalAddressIP4"],
        int(connection["RemotePort"]),
    )
