"""An hour is built within little memory: what is wide goes in steps, and the rows are those that much memory gives."""

import json
import shutil
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.build.memory import BuildMemory
from lake.build.run import Plan
from lake.ledger import build_receipts
from lake.storage.publish import open_store
from orchestration.dbt import run
from orchestration.dbt.project import load_project
from orchestration.dbt.request import Request
from orchestration.settings import load_settings, parse_bytes
from orchestration.steps.query import reading
from tests.integration import okta_logs

SOURCE, EVENTS = okta_logs.SOURCE, 600
HOUR, LITTLE = "2026-03-02T03", "448MiB"
LOGS = [
    ("Security", "Microsoft-Windows-Security-Auditing", (4624, 4634, 4648, 4663, 4672, 4688, 4697, 4720, 4732, 5156)),
    ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", (1, 3, 6, 7, 11, 12, 13, 22)),
    ("Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-PowerShell", (4104,)),
    ("System", "Service Control Manager", (7045,)),
]
TABLES = ("silver.authentication", "silver.base_event")


@pytest.fixture(scope="module")
def landed(place: Path) -> Path:
    """An hour of sign-ins and of events that have no route, every tenth of them twice."""
    lines = [
        okta_logs.event(f"e{n}", f"2026-03-02T03:{n % 60:02}:00.000Z", *((okta_logs.UNROUTED,) if n % 3 else ()))
        for n in range(EVENTS)
    ]
    okta_logs.write(place / "logs/a.ndjson", lines + lines[::10])
    contract, store = load_contracts()[SOURCE], open_store(str(place / "lake"))
    land_files(contract, list_objects(contract, [place / "logs"]).objects, store)
    return place / "lake"


def rows(landed: Path, lake: Path, project: Path, memory: str) -> list[list[tuple[object, ...]]]:
    """Build a copy of a lake within `memory`; return what is published, in some order."""
    store = open_store(str(shutil.copytree(landed, lake)))
    settings = load_settings().model_copy(update={"memory": memory})
    built = run.build(settings, store, [SOURCE], project=load_project(project))
    assert {SOURCE: (HOUR,)} == built.hours
    with reading(store) as con:
        return [con.execute(f"from {table} order by all").fetchall() for table in TABLES]


def test_an_hour_gives_the_same_rows_within_little_memory(landed: Path, tmp_path: Path, okta_project: Path) -> None:
    assert BuildMemory(parse_bytes(LITTLE)).of_duckdb == 192 << 20
    much, little = (rows(landed, tmp_path / memory, okta_project, memory) for memory in ("2GiB", LITTLE))
    assert [200, 400] == [len(each) for each in much]
    assert much == little


def test_an_hour_of_wide_events_is_built_within_512_mib(place: Path, tmp_path: Path) -> None:
    """Windows events of many classes: to write a file of each while they are computed takes more."""
    lines = [
        json.dumps(
            {
                "Channel": channel,
                "EventID": kind,
                "EventTime": "2026-03-02T03:10:00.000Z",
                "RecordNumber": n * 1000 + kind,
                "Hostname": "ws1.example.com",
                "SourceName": provider,
                "EventType": "CreateKey" if kind == 12 else "INFO",
                "Image": "C:\\Windows\\explorer.exe",
                "SubjectUserName": "ann",
                "TargetUserName": "bob",
                "Message": f"Event {kind} with what was said of it, number {n}",
            }
        )
        for n in range(100)
        for channel, provider, kinds in LOGS
        for kind in kinds
    ]
    okta_logs.write(tmp_path / "logs/a.ndjson", lines)
    contract, store = load_contracts()["windows_event"], open_store(str(tmp_path / "lake"))
    (landed,) = land_files(contract, list_objects(contract, [tmp_path / "logs"]).objects, store)
    assert len(lines) == landed.receipt.landed

    settings = load_settings().model_copy(update={"memory": "512MiB"})
    request = Request(settings, store, load_project(), Plan({"windows_event": (HOUR,)}))
    ran = run.run_models(request, [f"{table}__windows_event" for table in ("base_event", "dispositions")])
    assert {} == ran.failures
    receipt = build_receipts.of_model(store, "dispositions__windows_event")[HOUR]
    assert len(lines) == receipt.rows


@pytest.mark.parametrize(
    ("memory", "what"),
    [
        (300, "set `memory: 768MiB` ("),
        (768, "double it until they are built ("),
        (2048, "double it until they are built ("),
    ],
)
def test_a_build_that_runs_out_of_memory_says_what_was_enough(memory: int, what: str) -> None:
    problem = run.BuildFailed({"a": "Out of Memory Error: failed to allocate data of size 1.0 MiB"}, memory << 20)
    assert f"`memory: {memory}MiB` is too little for these hours: {what}" in str(problem)
    assert "too little" not in str(run.BuildFailed({"a": "Conversion Error: no number"}, memory << 20))
