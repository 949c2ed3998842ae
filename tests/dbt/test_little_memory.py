"""An hour is built within little memory: what is wide goes in steps, and the rows are those that much memory gives."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.build import staged
from lake.build.memory import BuildMemory
from lake.storage.publish import open_store
from orchestration.dbt import run
from orchestration.dbt.project import load_project
from orchestration.settings import load_settings, parse_bytes
from orchestration.steps.query import reading
from tests.integration import okta_logs

SOURCE, EVENTS = okta_logs.SOURCE, 600
HOUR, LITTLE = "2026-03-02T03", "448MiB"
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


def test_a_class_of_most_events_gives_the_same_rows_uncopied(
    landed: Path, tmp_path: Path, okta_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = rows(landed, tmp_path / "kept", okta_project, "2GiB")
    copied, select = set(), staged.kept_select

    def seen(folder: Path, columns: Sequence[tuple[str, str]]) -> str:
        copied.update(each.name for each in folder.iterdir())
        return select(folder, columns)

    monkeypatch.setattr(staged, "_MANY_ROWS", 1)
    monkeypatch.setattr(staged, "kept_select", seen)
    assert kept == rows(landed, tmp_path / "whole", okta_project, "2GiB")
    assert {"class_uid=3002", "class_uid=__HIVE_DEFAULT_PARTITION__"} == copied  # of 600, 400 are of class 0


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


@pytest.mark.parametrize(
    ("memory", "many", "told"), [("512MiB", 500, True), ("640MiB", 500, False), ("512MiB", 900, False)]
)
def test_that_an_hour_may_take_more_than_is_set_is_said_beforehand(
    landed: Path, monkeypatch: pytest.MonkeyPatch, memory: str, many: int, told: bool
) -> None:
    monkeypatch.setattr(run, "_MANY_ROWS", many)
    said = run._more_than_set(open_store(str(landed)), parse_bytes(memory), {(SOURCE, ("any",)): [HOUR]})
    assert (f"{SOURCE} has 660 events in {HOUR}" in said, "`memory: 640MiB` is the least" in said) == (told, told)
