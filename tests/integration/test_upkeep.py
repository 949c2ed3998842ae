"""The lake is kept in shape by commands: files are merged, records erased, and every table stays what it should be."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.automation.compact_and_retain import definitions
from tests.integration.lakes import files, headwater, leftovers, rows
from tests.integration.okta_logs import SOURCE, event, write

ANN = "actor.alternateId = 'ann@larkspur.example'"
HOURS = [f"2026-03-02T0{hour}:10:00.000Z" for hour in (3, 4)]


def done(*words: object, code: int = 0) -> str:
    said = headwater(*words)
    assert said.code == code, said.err + said.out
    return said.out


def published() -> int:
    found = headwater("query", "--json", "select count(*)::int n from silver.authentication").json
    return int(found[0]["n"])


@pytest.fixture
def built(lake: Path, tmp_path: Path) -> Path:
    """Three batches of two hours, built; one record is of Bob, the others are Ann's."""
    for name in ("one", "two", "three"):
        records = [event(f"{name}-{hour[12]}", hour) for hour in HOURS]
        if name == "two":
            records[0] = records[0].replace("ann@larkspur.example", "bob@larkspur.example")
        done("land", SOURCE, write(tmp_path / f"{name}.ndjson", [*records, "{broken"]))
    done("build", "--source", SOURCE)
    return lake


def test_a_compacted_lake_answers_as_before_and_nothing_is_built_again(built: Path) -> None:
    bronze = f"select _batch, _raw, date, hour from bronze.{SOURCE} order by all"
    before = headwater("query", "--json", bronze).json, rows(built / "silver")
    assert "3 hours would be merged" in done("compact", "--dry-run")
    assert len(files(built, "bronze")) == 6
    assert "9 files became 3, of the same rows" in done("compact")
    assert len(files(built, "bronze")) == 2
    assert (headwater("query", "--json", bronze).json, rows(built / "silver")) == before
    assert "nothing is stale" in done("build", "--source", SOURCE)
    assert "nothing was merged" in done("compact")
    assert sum(row["records"] for row in headwater("quarantine", "list", "--json").json) == 3
    done("balance")
    # Erasing from the merged files leaves Bob, and takes Ann out of every table.
    assert "5 rows match in 2 files" in done("erase", SOURCE, "--where", ANN)
    assert published() == 6
    told = headwater("erase", SOURCE, "--where", ANN, "--reason", "request 7", "--apply", "--json")
    assert told.code == 0, told.err
    assert (told.json["holds"], told.json["rows"], published()) == (True, 5, 1)
    assert {name: count for name, count in told.json["proof"].items() if name != "untouched_files"} == {
        "left_in_bronze": 0,
        "left_in_quarantine": 0,
        "left_in_silver": 0,
        "left_in_dispositions": 0,
    }
    assert "ann@" not in (built / f"ledger/erasure/{SOURCE}/{told.json['erasure']}.json").read_text()
    done("land", SOURCE, built.parent / "one.ndjson", "--again")
    assert "nothing is stale" in done("build", "--source", SOURCE)
    sheet = headwater("balance", "--json")
    assert (sheet.code, sheet.json["total"]["erased"], sheet.json["total"]["landed"]) == (0, 5, 1)
    assert "erased" in done("balance")
    assert leftovers(built) == []


def test_calls_that_cannot_be_meant_are_refused(lake: Path) -> None:
    assert "subquery" in headwater("erase", SOURCE, "--where", "_raw in (select 1)").err
    done("erase", SOURCE, "--where", "_raw in (select 1)", code=2)
    done("erase", SOURCE, "--where", "nobody = 'x'", code=2)
    done("erase", SOURCE, "--where", ANN, "--apply", code=2)
    done("erase", SOURCE, "--end", "none", code=1)
    assert "nothing has expired" in done("retain")


def test_the_jobs_run_and_their_schedules_are_off(lake: Path, tmp_path: Path) -> None:
    done("land", SOURCE, write(tmp_path / "old.ndjson", [event("old", "2020-03-02T03:10:00.000Z")], at=1_583_100_000))
    graph: Any = None  # these jobs are the same whatever the project builds
    made = definitions(graph)
    assert {each.default_status for each in made.schedules or ()} == {dg.DefaultScheduleStatus.STOPPED}  # type: ignore[union-attr]
    jobs = {job.name: job for job in made.jobs or ()}
    assert jobs["compact_lake_files"].execute_in_process().success  # type: ignore[union-attr]
    assert jobs["expire_lake_hours"].execute_in_process().success  # type: ignore[union-attr]
    assert files(lake, "bronze") != {}, "without `apply` it only says what would go"
    assert "run `headwater retain --apply`" in done("retain")
    config = {"ops": {"expire_hours": {"config": {"apply": True}}}}
    assert jobs["expire_lake_hours"].execute_in_process(config).success  # type: ignore[union-attr]
    assert files(lake, "bronze") == {}
    sheet = headwater("balance", "--json")
    assert (sheet.code, sheet.json["total"]["expired"], sheet.json["hours"][0]["state"]) == (0, 1, "expired")


def test_a_build_whose_files_are_merged_under_it_reads_the_merged_ones(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper  # takes a second

    for name in ("one", "two"):
        done("land", SOURCE, write(tmp_path / f"{name}.ndjson", [event(name, HOURS[0])]))
    runs: list[int] = []
    execute = DuckDBCursorWrapper.execute

    def merging(self: object, sql: str, *more: object) -> object:
        if "copy (" in sql and not runs:  # the run has looked up its files, and now reads them
            runs.append(1)
            done("compact", "--unbuilt", "--settle-hours", "0")
        return execute(self, sql, *more)

    monkeypatch.setattr(DuckDBCursorWrapper, "execute", merging)
    done("build", "--source", SOURCE)
    assert (runs, published()) == ([1], 2)
