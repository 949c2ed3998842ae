"""Marts on a small log: rows that look back come out the same in whatever order the hours were built."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

from tests.integration import okta_logs
from tests.integration.lakes import headwater, rows
from tests.integration.okta_logs import SOURCE, event, write
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
        " reads: {seen_addresses: {before: 3h}}}}}]"
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
