"""Marts on a small log: rows that look back come out the same in whatever order the hours were built."""

import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest

from orchestration.dbt.project import load_project
from tests.integration import okta_logs
from tests.integration.lakes import files, headwater, rows
from tests.integration.okta_logs import EXPORTED, MODELS, SOURCE, event, write
from tests.integration.parsed import parsed

SEEN = """
select user.name as who, src_endpoint.ip as address, min(time_dt) as first_at, count(*) as events,
  date_trunc('hour', time_dt) as _event_at
from {{ ref("authentication__okta_system_log") }}
group by all
"""
NEW = """
select 1 as activity_id, {'uid': who || address, 'title': 'new address'} as finding_info,
  {'product': {'name': 'Headwater', 'vendor_name': 'Headwater'}} as metadata,
  who || ' came from ' || address as message, who || address || now._event_at as _event_key,
  first_at as _event_at, first_at as _arrived_at
from {{ ref("seen_addresses") }} as now
where not exists (
  select 1 from {{ ref("seen_addresses") }} as earlier
  where earlier.who = now.who and earlier.address = now.address
    and earlier._event_at >= now._event_at - interval 3 hours and earlier._event_at < now._event_at
)
"""
FILES = {
    "seen_addresses.sql": SEEN,
    "seen_addresses.yml": "models: [{name: seen_addresses, config: {meta: {content: [who, address]}}}]",
    "new_addresses.sql": NEW,
    "new_addresses.yml": (
        "models: [{name: new_addresses, config: {meta: {ocsf_class: detection_finding,"
        " exports: {destinations: [files]}, reads: {seen_addresses: {before: 3h}}}}}]"
    ),
}


@pytest.fixture(scope="session")
def mart_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = okta_logs.project(tmp_path_factory.mktemp("dbt") / "project")
    for name, text in FILES.items():
        path = folder / "models/gold" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return parsed(folder)


@pytest.fixture
def marts(lake: Path, mart_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty lake that is built with two marts."""
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", mart_project)
    return lake


def deliver(folder: Path, name: str, hours: Iterable[int], address: str) -> Path:
    lines = [
        event(f"{name}-{hour}", f"2026-03-02T{hour:02d}:10:00.000Z", client={"ipAddress": address}) for hour in hours
    ]
    return write(folder / f"{name}.ndjson", lines).parent


def land_and_build(place: Path, *words: str) -> str:
    assert headwater("land", SOURCE, place).code == 0
    said = headwater("build", *words)
    assert said.code == 0, said.err
    return said.out


def messages(lake: Path) -> list[tuple[int, str]]:
    found = f"read_parquet('{lake}/gold/new_addresses/**/*.parquet', hive_partitioning = false)"
    return duckdb.sql(f"select hour(time_dt), message from {found} order by all").fetchall()


def test_late_events_give_what_events_in_order_give(marts: Path, tmp_path: Path) -> None:
    first = deliver(tmp_path / "one", "plain", (5, 6, 12), "198.51.100.7")
    land_and_build(first)
    said = "ann@larkspur.example came from 198.51.100.7"
    assert [(5, said), (12, said)] == messages(marts)
    late = deliver(tmp_path / "two", "late", (10,), "198.51.100.7")
    land_and_build(late)
    assert [(5, said), (10, said)] == messages(marts), "what came late is looked back to"
    late_rows = rows(marts)
    assert headwater("build", "--again").code == 0
    assert late_rows == rows(marts), "building everything at once gives the same"
    assert "nothing is stale" in headwater("build").out
    kept = "select count(*) from ledger.builds where model = 'new_addresses' and invalid <> '{}'"
    assert headwater("query", kept, "--json").json[0] == {"count_star()": 0}


def test_a_damaged_table_that_marts_fail_over_is_put_aside_and_made_again(marts: Path, tmp_path: Path) -> None:
    land_and_build(deliver(tmp_path / "in", "plain", (5, 6, 12), "198.51.100.7"))
    sound, hour = rows(marts), "date=2026-03-02/hour=06/part.parquet"
    key = f"silver/authentication/source={SOURCE}/{hour}"
    whole = (marts / key).read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    damages = {
        "is no Parquet file": whole[:4] + bytes(len(whole) - 8) + whole[-4:],  # no view of it can be made
        "holds other bytes than its receipt says": whole[:4] + bytes(footer - 4) + whole[footer:],
    }
    for found, damaged in damages.items():
        (marts / key).write_bytes(damaged)
        (marts / f"gold/seen_addresses/{hour}").unlink()
        said = headwater("build")
        assert said.code == 1
        assert re.search(rf"{key} {found}.* and is now damaged/{key}; `headwater build` makes it again", said.err)
        assert "models failed" not in said.err
        assert damaged == (marts / "damaged" / key).read_bytes()
        shutil.rmtree(marts / "damaged")
        assert sound == rows(marts)
    assert "nothing is stale" in headwater("build").out


class TestAnEditedProject:
    """What each kind of edit makes stale; and that equal rows, built again, make nothing stale or behind."""

    @pytest.fixture
    def project(self, marts: Path, mart_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A copy of the project that may be edited, and a lake that it built and exported to a folder."""
        copy = Path(shutil.copytree(mart_project, tmp_path / "project"))
        monkeypatch.setattr("orchestration.dbt.project.PROJECT", copy)
        monkeypatch.delenv("HEADWATER_LAKE")
        settings = {"lake": "lake", "destinations": {"files": {"type": "files", "root": "out"}}}
        (tmp_path / "headwater.yml").write_text(json.dumps(settings))
        land_and_build(deliver(tmp_path / "in", "plain", (5, 6, 12), "198.51.100.7"))
        assert headwater("export", "push").code == 0
        assert (_due(), _behind()) == ({}, set())
        return copy

    def test_an_edit_makes_stale_what_it_can_change_and_equal_rows_change_nothing(self, project: Path) -> None:
        tables = {f"{table}__{SOURCE}" for table in MODELS}
        mapping, events = f"authentication__{SOURCE}", project / f"models/events/{SOURCE}.sql"

        _edit(project / f"models/silver/authentication/{mapping}.sql", lambda sql: f"-- it's a comment\n{sql}\n")
        described = [{"name": mapping, "description": "edited", "config": {"meta": {"exports": EXPORTED_AS}}}]
        (project / f"models/silver/authentication/{mapping}.yml").write_text(json.dumps({"models": described}))
        _edit(project / "seeds/ocsf_routing.csv", lambda rows: f"{rows}another_source,some.event,3002,1,\n")
        assert _due() == {}, "a comment, a description, a route of another source"

        _edit(project / f"models/silver/authentication/{mapping}.sql", lambda sql: f"select * from (\n{sql}\n)")
        assert _due() == {mapping: f"model {mapping} changed"}

        macro, callers = _macro_of_some(project)
        for file in project.glob("macros/*.sql"):
            _edit(file, lambda text: re.sub(rf"(macro {macro}\([^%]*?%\}})", r"\1{% set edited = true %}", text))
        found = _due()
        assert found.keys() == callers | {mapping}
        assert all(f"macro {macro}" in found[each] for each in callers)

        _edit(events, lambda sql: f"select * from (\n{sql}\n)")
        found = _due()
        assert {each for each, why in found.items() if f"model {SOURCE}" in why} >= {mapping, f"base_event__{SOURCE}"}

        _edit(project / "seeds/ocsf_routing.csv", lambda rows: f"{rows}{SOURCE},never.seen,3002,1,\n")
        found = _due()
        assert found.keys() == tables and "seed ocsf_routing changed" in found[f"dispositions__{SOURCE}"]
        dry = headwater("build", "--dry-run", "--json").json
        assert dry["hours"] == {SOURCE: HOURS} and dry["marts"] == {}
        assert dry["if_changed"].keys() == {"seen_addresses", "new_addresses"}

        built = headwater("build", "--json").json
        assert (built["hours"], built["marts"]) == ({SOURCE: HOURS}, {}), "all of silver again, and no mart"
        assert (_due(), _behind()) == ({}, set())
        assert "nothing was behind" in headwater("export", "push").out
        assert "nothing is stale" in headwater("build", "--dry-run").out

    def test_other_rows_go_on_to_marts_and_exports(self, project: Path) -> None:
        mapping = f"authentication__{SOURCE}"
        other = "select * replace ({'name': 'bob'} as user) from (\n%s\n)"
        _edit(project / f"models/silver/authentication/{mapping}.sql", lambda sql: other % sql)
        said = headwater("build", "--dry-run")
        assert said.code == 0
        assert f"    3 hours of authentication: model {mapping} changed" in said.out.splitlines()
        assert "3 event hours of sources and 0 of marts are stale; nothing was built" in said.out
        built = headwater("build", "--json").json
        assert built["marts"] == {"new_addresses": HOURS, "seen_addresses": HOURS}
        assert _behind() == {"authentication", "new_addresses"}

    def test_a_model_that_is_removed_is_told_and_stays_until_a_build(self, project: Path) -> None:
        lake = project.parent / "lake"
        (project / f"models/silver/base_event/base_event__{SOURCE}.sql").unlink()
        before = files(lake, "ledger")
        said = headwater("build", "--dry-run", "--json").json
        assert said["retired"].keys() == {f"base_event__{SOURCE}"}
        assert files(lake, "ledger") == before


HOURS = [f"2026-03-02T{hour}" for hour in ("05", "06", "12")]
EXPORTED_AS = {"destinations": EXPORTED["authentication"], "table": "authentication"}


def _edit(file: Path, change: Callable[[str], str]) -> None:
    file.write_text(change(file.read_text()))


def _due() -> dict[str, str]:
    """What a build would build for certain: table → why."""
    said = headwater("build", "--dry-run", "--json")
    assert said.code == 0, said.err
    certain = {*said.json["marts"], *(each["table"] for each in said.json["reasons"] if "__" in each["table"])}
    return {each["table"]: each["why"] for each in said.json["reasons"] if each["table"] in certain}


def _behind() -> set[str]:
    said = headwater("export", "status", "--destination", "files", "--json")
    return {each["table"] for each in said.json if each["behind"]}


def _macro_of_some(project: Path) -> tuple[str, set[str]]:
    """A macro of the source's own that some tables are made of and others are not, and these tables."""
    parts = load_project(project).mappings.parts
    for name in sorted({name for of in parts.values() for name in of if name.startswith("macro okta")}):
        callers = {model for model in parts if name in parts[model]}
        if callers < parts.keys():
            return name.removeprefix("macro "), callers
    raise AssertionError("no macro of the source is called by some tables alone")
