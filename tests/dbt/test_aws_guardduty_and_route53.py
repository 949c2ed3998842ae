"""GuardDuty findings and DNS queries with any values anywhere, and real ones: each is published, valid, none lost.

What belongs here: what holds for every record of the two sources, and what OCSF's own examples say. What single records
become is in `golden/`.
"""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.ocsf.validate import event_texts, validate_table
from tests.integration.lakes import Said, headwater

GUARDDUTY, ROUTE53 = "aws_guardduty", "aws_route53_resolver"
TABLES = {GUARDDUTY: "detection_finding", ROUTE53: "dns_activity"}
GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[3] / "shared/data"
DOSSIERS = SHARED / "ocsf-examples/mappings/markdown/AWS"
RANDOM_RECORDS = 300
TEXTS = [
    "",
    " ",
    "-",
    "0",
    "-1",
    "99999999999999999999",
    "1e400",
    "NaN",
    "abc",
    "a.b.",
    ".",
    "'",
    '"',
    "\0",
    "\ud83d\ude00",
    "x" * 5000,
]
ADDRESSES = ["0.0.0.0", "::", "10.0.0.300", "::ffff:10.0.0.5", "2001:db8::1", "fe80::1%eth0", "1.2.3", "10.0.0.0/8"]
PLACES = ["/", "\\", "/a/b/", "C:\\x.exe", "T1562.008 - x", "T15", "arn:aws:s3:::b/*"]
OTHERS: list[Any] = [0, -1, 70000, 2**31, 2**63, 2**64, 1.5, -0.0, 1e308, 1772445600, True, False, None]
SHAPES: list[Any] = [[], [None], ["a"], [[]], [{}], {}, {"a": {"b": 1}}, [{"name": 1}, "x", None, 3]]
VALUES: list[Any] = [*TEXTS, *ADDRESSES, *PLACES, *OTHERS, *SHAPES]

Record = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """A lake in which odd and real records of both sources are landed and built."""

    lake: Path
    balance: dict[str, Any]

    def events(self, source: str) -> list[tuple[str, dict[str, Any]]]:
        """Every published event of a source, with the object that its record came in."""
        files = [str(file) for file in (self.lake / "silver" / TABLES[source]).rglob("*.parquet")]
        rows = duckdb.connect().read_parquet(files, hive_partitioning=False).order("metadata.uid")
        objects = [name for (name,) in rows.project("_source_object").fetchall()]
        return list(zip(objects, map(json.loads, event_texts(rows)), strict=True))


def samples(source: str) -> list[Record]:
    """The golden records of a source."""
    texts = [line for case in sorted((GOLDEN / source).glob("*.ndjson")) for line in case.read_text().splitlines()]
    return [json.loads(text) for text in texts]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place inside a value, as (holder, key)."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def odd(source: str) -> list[Record]:
    """Golden records with a few places each overwritten by any value; key and time are left alone."""
    rng, originals, found = random.Random(7), samples(source), []
    kept = {"id", "Id", "updatedAt", "UpdatedAt", "detail", "query_timestamp"}
    for _ in range(RANDOM_RECORDS):
        record = copy.deepcopy(rng.choice(originals))
        for _ in range(rng.randint(1, 6)):
            holder, key = rng.choice([each for each in places(record) if each[1] not in kept])
            holder[key] = copy.deepcopy(rng.choice(VALUES))
        found.append(record)
    return found


def done(*words: str | Path) -> Said:
    """Run a command that must go well."""
    said = headwater(*words)
    assert said.code == 0, said.out[-3000:] + said.err[-3000:]
    return said


@pytest.fixture(scope="module")
def built(place: Path) -> Built:
    """Odd records, and real ones where they are, landed and built by the command line."""
    real = {
        GUARDDUTY: [SHARED / "panther_samples/AWS.GuardDuty.ndjson"],
        ROUTE53: [DOSSIERS / "v1.5.0/Route53/samples/route53.raw"],
    }
    for source in TABLES:
        path = place / f"{source}.ndjson"
        path.write_text("".join(json.dumps(each) + "\n" for each in odd(source)))
        done("land", source, path, *(each for each in real[source] if each.exists()))
    done("build")
    return Built(place / "lake", done("balance", "--json").json)


@pytest.mark.parametrize("source", TABLES)
def test_every_record_is_published_or_in_quarantine(built: Built, source: str) -> None:
    (row,) = [each for each in built.balance["sources"] if each["source"] == source]
    assert row["balanced"]
    assert row["read"] >= RANDOM_RECORDS
    assert row["read"] == row["published"] + row["duplicates"] + row["quarantined"]
    assert row["quarantined"] < RANDOM_RECORDS / 20  # an odd value of an optional field costs no record
    assert row["published"] == len(built.events(source))


@pytest.mark.parametrize("source", TABLES)
def test_every_published_event_is_valid_ocsf(built: Built, source: str) -> None:
    table = TABLES[source]
    report = validate_table(sorted((built.lake / "silver" / table).rglob("*.parquet")), table)
    assert [] == report.examples
    assert report.checked == report.rows > 0


def test_real_findings_keep_who_what_and_how_severe(built: Built) -> None:
    """Panther's samples: attack sequences are critical, the others by their number; samples are labelled."""
    if not SHARED.is_dir():
        pytest.skip("real logs are absent: expected the folder ../shared/data beside the repository")
    found = [event for name, event in built.events(GUARDDUTY) if "panther_samples" in name]
    assert 8 == len(found)
    by_severity = sorted((event["unmapped"]["severity"], event["severity"]) for event in found)
    assert [(1.0, "Low"), (1.0, "Low"), (5.0, "Medium"), (5.0, "Medium"), (8.0, "High"), (8.0, "High"),
            (9.0, "Critical"), (9.0, "Critical")] == by_severity  # fmt: skip
    assert 4 == sum("sample" in event["metadata"].get("labels", []) for event in found)
    calls = [event for event in found if event["finding_info"]["types"][0].startswith("PrivilegeEscalation")]
    assert {"PutRolePolicy"} == {event["evidences"][0]["api"]["operation"] for event in calls}
    assert {"Privilege Escalation"} == {event["finding_info"]["attacks"][0]["tactic"]["name"] for event in calls}


def test_the_route_53_dossier_agrees(built: Built) -> None:
    """OCSF's own example, on what is stable across versions: its name keeps the dot."""
    wanted = DOSSIERS / "v1.5.0/Route53/samples/route53.ocsf"
    if not wanted.exists():
        pytest.skip("OCSF's examples are absent: expected ../shared/data/ocsf-examples beside the repository")
    example = json.loads(wanted.read_text())
    (event,) = [event for name, event in built.events(ROUTE53) if name.endswith("route53.raw")]
    for name in ("action", "action_id", "activity_id", "category_uid", "class_uid", "disposition", "dst_endpoint",
                 "firewall_rule", "rcode", "rcode_id", "severity_id", "src_endpoint", "time", "unmapped"):  # fmt: skip
        assert example[name] == event[name], name
    assert example["cloud"]["account"]["uid"] == event["cloud"]["account"]["uid"]
    assert {**example["query"], "hostname": example["query"]["hostname"].rstrip(".")} == event["query"]
    assert example["answers"] == [
        {name: value for name, value in each.items() if value is not None} for each in event["answers"]
    ]
    assert example["connection_info"]["protocol_name"].lower() == event["connection_info"]["protocol_name"]
    assert example["metadata"]["product"] == event["metadata"]["product"]
    assert set(example["metadata"]["profiles"]) == set(event["metadata"]["profiles"])
