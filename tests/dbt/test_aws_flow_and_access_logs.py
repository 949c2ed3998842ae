"""VPC flows and S3 requests with any values anywhere: each is published once and valid; and OCSF's own example.

What belongs here: what holds for every record of the two sources. What single records become is in `golden/`.
"""

import csv
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.contracts import load_contracts
from ingest.landing import land
from lake.ledger.balance import balance
from lake.ocsf.validate import event_texts, validate_table
from lake.storage.store import LocalStore
from orchestration.dbt.run import build
from orchestration.settings import load_settings
from tests.unit.ingest.landing.landed import raw

FLOW, ACCESS = "aws_vpc_flow", "aws_s3_access"
TABLES = {FLOW: "network_activity", ACCESS: "api_activity"}
DOSSIER = Path(__file__).parents[3] / "shared/data/ocsf-examples/mappings/markdown/AWS/v1.5.0/VPC Flowlogs/samples"
RECORDS = 300
VALUES = [
    "0",
    "-1",
    "1",
    "6",
    "17",
    "58",
    "443",
    "70000",
    str(2**31),
    str(2**63 - 1),
    str(2**63),
    "1.5",
    "nan",
    "-",
    "x",
]
VALUES += [
    "2001:db8::1",
    "fe80::1%eth0",
    "10.0.0.300",
    "192.0.2.7",
    "::ffff:10.0.0.5",
    "arn:aws:iam::1:user/a",
    "AmazonS3",
]
VALUES += [
    "ingress",
    "egress",
    "ACCEPT",
    "REJECT",
    "IPv6",
    "EFA",
    "unknown",
    "€'\\",
    "svc:",
    "arn:",
    "REST.GET.OBJECT",
    "x" * 3000,
]


def flows(rng: random.Random) -> bytes:
    """Lines of all fields with values of any kind; only the time is one."""
    names = [each.name for each in load_contracts()[FLOW].fields if each.name not in ("log_format", "log_status")]
    lines = [" ".join(names)]
    for _ in range(RECORDS):
        values = {name: rng.choice(VALUES) for name in names} | {"start": "1772427600"}
        lines.append(" ".join(values.values()))
    return "\n".join(lines).encode()


def requests(rng: random.Random) -> bytes:
    """Requests in JSON, whose fields may hold what the pattern of a line would not let through."""
    names = [each.name for each in load_contracts()[ACCESS].fields]
    records = []
    for number in range(RECORDS):
        record = {name: rng.choice(VALUES) for name in names if rng.random() < 0.8}
        records.append(record | {"time": "2026-03-02T05:00:00Z", "request_id": f"R{number}"})
    return "\n".join(map(json.dumps, records)).encode()


@pytest.fixture(scope="module")
def lake(place: Path) -> LocalStore:
    """A lake in which odd records of both sources are landed twice, by two batches, and built."""
    rng, contracts, store = random.Random(7), load_contracts(), LocalStore(place / "lake")
    for source, data in ((FLOW, flows(rng)), (ACCESS, requests(rng))):
        odd = replace(raw(data), name="odd")
        for batch in ("one", "two"):
            land(contracts[source], [odd], store, batch)
    if DOSSIER.is_dir():
        with (DOSSIER / "vpcflowlog.raw").open(newline="") as file:
            lines = [" ".join(values) for values in csv.reader(file)]  # the example is written with commas
        land(contracts[FLOW], [replace(raw("\n".join(lines).encode()), name="dossier")], store, "dossier")
    build(load_settings(), store, [FLOW, ACCESS])
    return store


@pytest.mark.parametrize("source", [FLOW, ACCESS])
def test_every_record_is_published_once_whatever_is_in_it(lake: LocalStore, source: str) -> None:
    (row,) = balance(lake, [source]).sources
    assert row.balanced, row.why
    others = 1 if source == FLOW and DOSSIER.is_dir() else 0
    assert (2 * RECORDS, 0) == (row.landed - others, row.quarantined)
    assert (RECORDS, RECORDS) == (row.duplicates, row.published - others)


@pytest.mark.parametrize("source", [FLOW, ACCESS])
def test_every_event_is_valid_ocsf(lake: LocalStore, source: str) -> None:
    report = validate_table(_files(lake, source), TABLES[source])
    assert [] == [(each.uid, finding.rule) for each in report.examples for finding in each.findings]
    assert report.checked >= RECORDS


def test_ocsfs_own_example_becomes_what_ocsf_says(lake: LocalStore) -> None:
    """All that the dossier says, but for empty values (`-`), the words of captions, and times given as numbers."""
    if not DOSSIER.is_dir():
        pytest.skip("OCSF's examples are absent: expected ../shared/data/ocsf-examples beside the repository")
    rows = duckdb.connect().read_parquet([str(file) for file in _files(lake, FLOW)], hive_partitioning=False)
    (text,) = event_texts(rows.filter("_source_object = 'dossier'"))
    published = _flat(json.loads(text))
    differing = {
        name
        for name, value in _flat(json.loads((DOSSIER / "vpcflowlog.ocsf").read_text())).items()
        if value != "-" and published.get(name) != value
    }
    assert {
        "connection_info.protocol_ver",
        "metadata.profiles",
        "metadata.version",
        "observables",
        "start_time_dt",
        "end_time_dt",
        "time_dt",
    } == differing
    assert (1752247584000, 1752247603000) == (published["start_time"], published["end_time"])


def _files(lake: LocalStore, source: str) -> list[Path]:
    folder = Path(lake.url("")) / "silver" / TABLES[source]
    return sorted(folder.glob(f"source={source}/**/*.parquet"))


def _flat(event: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in event.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found
