"""Golden samples: raw records of every source beside the OCSF events they become.

`golden/<source>/<case>.ndjson` (`.log` where records are text) holds at most ten records, written by hand, whose ids
say why they are there; `<case>.yml` holds the published events in the order of metadata.uid, without what depends on
the run, in the form of `tests.dbt.golden`. After a wanted change, `python -m tests.dbt.golden` writes the expected
files anew: review their diff.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.ocsf.attributes import declared_classes
from lake.ocsf.validate import event_texts, validate_table
from lake.storage.publish import open_store
from orchestration.dbt.run import build
from orchestration.settings import load_settings
from orchestration.steps.verify import values_of_source
from tests.dbt import golden
from tests.dbt.facts import unfounded

_GOLDEN = golden.FOLDER
_CASES = sorted(case for case in _GOLDEN.glob("*/*") if case.suffix in (".ndjson", ".log"))

Event = golden.Event


@pytest.fixture(scope="module")
def lake(place: Path) -> Path:
    """A lake in which all cases are landed and built by one dbt run."""
    store, contracts = open_store(str(place / "lake")), load_contracts()
    sources = sorted({case.parent.name for case in _CASES})
    for source in sources:
        objects = list_objects(contracts[source], [case for case in _CASES if case.parent.name == source]).objects
        land_files(contracts[source], [replace(each, name=_object_name(Path(each.name))) for each in objects], store)
    build(load_settings(), store, sources)
    return place / "lake"


@pytest.fixture(scope="module")
def published(lake: Path) -> list[tuple[str, str, Event]]:
    """All events, each with its class and the object whose record it is."""
    found: list[tuple[str, str, Event]] = []
    for table, files in _tables(lake):
        rows = duckdb.read_parquet([*map(str, files)], hive_partitioning=False)
        objects = [name for (name,) in rows.project("_source_object").fetchall()]
        events = map(json.loads, event_texts(rows))
        found += [(table.name, name, event) for name, event in zip(objects, events, strict=True)]
    return found


@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_records_become_the_expected_events(
    case: Path, published: list[tuple[str, str, Event]], request: pytest.FixtureRequest
) -> None:
    """Every record of the case is published as the event that was reviewed."""
    events = _events_of(_object_name(case.resolve()), published)
    if request.config.getoption("--write-golden"):
        golden.write(case.with_suffix(".yml"), events)
    _, expected = golden.read(case.with_suffix(".yml"))
    assert expected == [golden.short(event) for event in events]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_every_expected_event_says_why_it_is_there(case: Path) -> None:
    whys, events = golden.read(case.with_suffix(".yml"))
    assert [] == [event["metadata"]["uid"] for why, event in zip(whys, events, strict=True) if why == golden.UNSAID]


def test_every_event_is_valid_ocsf(lake: Path) -> None:
    """What is published keeps the official schema, in every class."""
    reports = [validate_table(files, table.name) for table, files in _tables(lake)]
    assert [report.examples for report in reports if report.invalid] == []
    assert sum(report.checked for report in reports) > 0


def test_every_value_is_a_fact_or_absent(published: list[tuple[str, str, Event]]) -> None:
    """No placeholder is published, of any source; see `tests.dbt.facts`."""
    shapes = {name: each.shape for name, each in declared_classes().items()}
    found = {
        (table, place): event["metadata"].get("uid")
        for table, _, event in published
        for place in unfounded(event, shapes[table])
    }
    assert found == {}


def test_placeholders_are_found_wherever_they_stand() -> None:
    shape = declared_classes()["network_activity"].shape
    event = {
        "app_name": "-",
        "src_endpoint": {"name": "Unknown", "port": 70000, "location": {"lat": 0, "long": 0}},
        "dst_endpoint": {"name": "Unknown", "ip": "192.0.2.1", "autonomous_system": {"number": 0}},
        "actor": {"process": {"pid": 0, "uid": "1"}},
        "device": {"uid": "00000000-0000-0000-0000-000000000000", "type_id": 0, "type": "Unknown"},
        "observables": [{"name": "src_endpoint.ip", "value": "0.0.0.0"}, {"name": "user.name", "value": "Unknown"}],
    }
    assert list(unfounded(event, shape)) == [
        "actor.process.pid = 0",
        "device.uid = '00000000-0000-0000-0000-000000000000'",
        "src_endpoint.port = 70000",
        "src_endpoint.location.lat, long = 0, 0",
        "dst_endpoint.name = 'Unknown'",
        "dst_endpoint.autonomous_system.number = 0",
        "app_name = '-'",
        "observables src_endpoint.ip = '0.0.0.0'",
        "observables user.name = 'Unknown'",
    ]


def _tables(lake: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the classes that have rows, with their files."""
    for table in sorted((lake / "silver").iterdir()):
        if files := sorted(table.rglob("*.parquet")):
            yield table, files


def _object_name(case: Path) -> str:
    """The name that a case is landed under: records without an id are known by it, so it is the same everywhere."""
    return case.relative_to(_GOLDEN.resolve()).as_posix()


def _events_of(name: str, published: list[tuple[str, str, Event]]) -> list[Event]:
    """Return the events published from an object, sorted by uid, without the time they were logged."""
    events = [deepcopy(event) for _, of, event in published if of == name]
    for event in events:
        del event["metadata"]["logged_time"]
    return sorted(events, key=lambda event: str(event["metadata"]["uid"]))


@pytest.mark.parametrize("source", sorted({case.parent.name for case in _CASES}))
def test_every_value_of_a_record_is_in_its_row_or_declared(lake: Path, source: str) -> None:
    """Invariant I11, over all rows."""
    found = values_of_source(open_store(str(lake)), source)
    assert found.values.total() > 100
    assert found.missing == {}
