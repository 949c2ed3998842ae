"""The definitions load anywhere, show the whole graph, and one hour goes through it; what fails stops nothing else."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingest.contracts import load_contracts, odcs
from lake.ledger import build_receipts
from lake.storage.store import LocalStore
from orchestration.dbt.project import load_project
from orchestration.settings import PROJECT
from tests.integration.dagster import cloudtrail_hours as trail
from tests.integration.dagster.graph import FILE, graph_text, land_every_source

KEY = "2026-03-02-05:00"
BRONZE = dg.AssetKey(["bronze", trail.SOURCE])
TABLE_KEYS = {
    "api_activity": dg.AssetKey(["silver", f"api_activity__{trail.SOURCE}"]),
    "base_event": dg.AssetKey(["silver", f"base_event__{trail.SOURCE}"]),
    "dispositions": dg.AssetKey(["ledger", f"dispositions__{trail.SOURCE}"]),
}
NO_NETWORK = """
import socket
def refuse(*_, **__): raise AssertionError("the definitions opened a connection")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import orchestration.definitions
print(len(orchestration.definitions.defs.resolve_asset_graph().get_all_asset_keys()))
"""


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "DAGSTER_"))}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """An empty lake whose CloudTrail is delivered to `tmp_path/trail`."""
    for name in [name for name in os.environ if name.startswith("HEADWATER_")]:
        monkeypatch.delenv(name)
    settings = tmp_path / "headwater.yml"
    (tmp_path / "trail").mkdir()
    settings.write_text(
        'lake: lake\npartitions_start: "2026-03-02T00"\nocsf_validation_share: 1\nvalue_check_share: 1\nthreads: 2\n'
        f"sources: {{{trail.SOURCE}: {{root: {tmp_path / 'trail'}}}}}\n"
    )
    monkeypatch.setenv("HEADWATER_CONFIG", str(settings))
    monkeypatch.chdir(tmp_path)
    return LocalStore(tmp_path / "lake")


@pytest.fixture(scope="module")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt project with three tables of CloudTrail, parsed once."""
    return trail.project(tmp_path_factory.mktemp("dbt") / "project")


@pytest.fixture
def defs(lake: LocalStore, small_project: Path) -> dg.Definitions:
    """The definitions over the small project and the empty lake."""
    from orchestration.definitions import definitions

    return definitions(small_project)


@pytest.fixture
def broken_defs(lake: LocalStore, small_project: Path) -> Iterator[dg.Definitions]:
    """The same, where one mapping asks for a column that does not exist."""
    from orchestration.definitions import definitions

    model = small_project / f"models/silver/api_activity/api_activity__{trail.SOURCE}.sql"
    before = model.read_text()
    model.write_text(before.replace("\n    activity_id,\n", "\n    no_such_column as activity_id,\n"))
    yield definitions(small_project)
    model.write_text(before)


def _run(defs: dg.Definitions, *keys: dg.AssetKey) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("hour", selection=dg.AssetSelection.assets(*keys))
    merged = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    return merged.resolve_job_def("hour").execute_in_process(partition_key=KEY, raise_on_error=False)


def _rows(result: dg.ExecuteInProcessResult) -> dict[dg.AssetKey, object]:
    events = [event.materialization for event in result.all_events if event.is_step_materialization]
    return {each.asset_key: each.metadata["dagster/partition_row_count"].value for each in events}


def _checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    found = result.get_asset_check_evaluations()
    return {(each.asset_key.to_user_string(), each.check_name): each for each in found}


def test_the_definitions_load_without_network_secret_settings_or_lake(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "ignore", "-c", NO_NETWORK]
    done = subprocess.run(words, cwd=tmp_path, env=_plain_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 1
    assert list(tmp_path.iterdir()) == []


def test_sources_that_neither_the_settings_nor_the_lake_name_are_no_assets(lake: LocalStore, tmp_path: Path) -> None:
    from orchestration.definitions import definitions

    def groups() -> set[str]:
        nodes = definitions().resolve_asset_graph().asset_nodes
        return {each for node in nodes for each in node.key.path if each in load_contracts()}

    assert {trail.SOURCE} == groups()
    (tmp_path / "lake/ledger/landing/okta_system_log").mkdir(parents=True)
    assert {trail.SOURCE, "okta_system_log"} == groups()
    keys = {each.key.to_user_string() for each in definitions().resolve_asset_graph().asset_nodes}
    assert [] == [each for each in keys if each.endswith(("__windows_event", "/base_event__crowdstrike_fdr"))]
    assert {"gold/threat_matches", "silver/authentication__okta_system_log"} <= keys
    graph = definitions().resolve_asset_graph()
    assert all(
        graph.get(each).is_executable or each.path[0] in ("silver", "events", "staging", "gold")
        for each in graph.get_all_asset_keys()
    )


def test_a_lake_that_cannot_be_reached_leaves_the_sources_of_the_settings(
    lake: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import graph

    def away(*_: object, **__: object) -> LocalStore:
        raise OSError("no route to host")

    monkeypatch.setattr(graph, "open_lake", away)
    said: list[str] = []
    monkeypatch.setattr(graph, "warn_once", said.append)
    assert {trail.SOURCE} == graph.used_sources(graph.load_settings())
    assert ["no route to host" in each for each in said] == [True]


def test_wrong_settings_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "headwater.yml").write_text("lakes: typo\n")
    words = [sys.executable, "-W", "ignore", "-c", "import orchestration.definitions"]
    done = subprocess.run(words, cwd=tmp_path, env=_plain_environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "SettingsError" in done.stderr.splitlines()[-1] and "lakes" in done.stderr


def test_the_graph_is_the_committed_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HEADWATER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    land_every_source(tmp_path)
    from orchestration.definitions import definitions

    defs = definitions()
    assert FILE.read_text() == graph_text(defs), "if this is meant: python -m tests.integration.dagster.graph"
    graph = defs.resolve_asset_graph()
    expected = {path.stem for path in PROJECT.glob("models/silver/*/*__*.sql")} | {*load_project().marts.by_name}
    hourly = {
        node.key for node in graph.asset_nodes if node.partitions_def is not None and node.key.path[0] != "bronze"
    }
    assert expected == {key.path[-1] for key in hourly}
    assert all(graph.get(key).is_executable for key in hourly)
    checked = {each.asset_key for each in graph.asset_check_keys}
    assert hourly <= checked


def test_an_hour_is_landed_built_and_checked(defs: dg.Definitions, lake: LocalStore) -> None:
    trail.deliver(
        Path("trail"),
        "20260302T0505Z",
        trail.call("a", "2026-03-02T05:01:00Z"),
        trail.call("b", "2026-03-02T05:02:00Z"),
    )
    trail.deliver(Path("trail"), "20260302T0605Z", trail.call("c", "2026-03-02T06:01:00Z"))
    result = _run(defs, BRONZE, *TABLE_KEYS.values())
    assert result.success
    assert _rows(result) == {
        BRONZE: 2,
        TABLE_KEYS["dispositions"]: 2,
        TABLE_KEYS["api_activity"]: 2,
        TABLE_KEYS["base_event"]: 0,
    }
    checks = _checks(result)
    assert {key: each.passed for key, each in checks.items()} == {
        ("bronze/aws_cloudtrail", "balance"): True,
        ("bronze/aws_cloudtrail", "contract_drift"): True,
        ("bronze/aws_cloudtrail", "log_file_integrity"): False,
        ("bronze/aws_cloudtrail", "newest_closed_hour_present"): False,
        ("ledger/dispositions__aws_cloudtrail", "balance"): True,
        ("ledger/dispositions__aws_cloudtrail", "key_collisions"): True,
        ("silver/api_activity__aws_cloudtrail", "ocsf_validity"): True,
        ("silver/api_activity__aws_cloudtrail", "values_kept"): True,
        ("silver/base_event__aws_cloudtrail", "ocsf_validity"): True,
        ("silver/base_event__aws_cloudtrail", "values_kept"): True,
    }
    validity = checks["silver/api_activity__aws_cloudtrail", "ocsf_validity"]
    assert validity.metadata["checked_by_official_schema"].value == 2
    assert list(build_receipts.of_model(lake, f"api_activity__{trail.SOURCE}")) == ["2026-03-02T05"]


def test_a_failing_model_stops_no_other_and_is_named(broken_defs: dg.Definitions) -> None:
    trail.deliver(Path("trail"), "20260302T0505Z", trail.call("a", "2026-03-02T05:01:00Z"))
    result = _run(broken_defs, BRONZE, *TABLE_KEYS.values())
    assert not result.success
    assert _rows(result) == {BRONZE: 1, TABLE_KEYS["dispositions"]: 1, TABLE_KEYS["base_event"]: 0}
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == f"build_{trail.SOURCE}"
    told = failure.step_failure_data.error_display_string
    assert "1 models failed" in told and f"api_activity__{trail.SOURCE}: " in told and "no_such_column" in told


def test_what_is_broken_is_shown_and_the_rest_loads(
    small_project: Path,
    lake: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A contract, a model, a product's contract, a route, and a source's place in the settings."""
    from orchestration.checks import products as product_checks
    from orchestration.definitions import definitions

    sources = Path(shutil.copytree(odcs.SOURCES, tmp_path / "sources", ignore=shutil.ignore_patterns("__pycache__")))
    (sources / "aws_vpc_flow/contract.yaml").write_text("name: [")
    monkeypatch.setattr(odcs, "SOURCES", sources)
    project = Path(shutil.copytree(small_project, tmp_path / "project"))
    broken = next(project.glob("models/silver/api_activity/*.sql"))
    broken.write_text("select {{ nothing( }}")
    (project / "models/gold").mkdir(exist_ok=True)
    mart = f"select time_dt as _event_at from {{{{ ref('base_event__{trail.SOURCE}') }}}}"
    (project / "models/gold/counted.sql").write_text(mart)
    (project / "products").mkdir(exist_ok=True)
    (project / "products/counted.odcs.yaml").write_text("- a list")
    monkeypatch.setattr(product_checks, "PROJECT", project)
    seed = project / "seeds/ocsf_routing.csv"
    seed.write_text(seed.read_text().replace("\n", "\nno_such_source,a,3002,,\n", 1))
    settings = tmp_path / "headwater.yml"
    settings.write_text(settings.read_text().replace("sources: {", "sources: {aws_guardduty: {root: 'gs://x'}, "))
    with caplog.at_level(logging.WARNING):
        defs = definitions(project)
    said = "\n".join(caplog.messages)
    for each in (
        f"{sources}/aws_vpc_flow/contract.yaml: contract: not YAML",
        f"{broken}: unexpected '}}'",
        f"{project}/products/counted.odcs.yaml: not ODCS v3",
        "there is no source 'no_such_source'",
        "sources.aws_guardduty.root: 'gs://x'",
    ):
        assert each in said
    graph = defs.resolve_asset_graph()
    shown = graph.get(dg.AssetKey(["bronze", "aws_vpc_flow"]))
    assert not shown.is_materializable and "aws_vpc_flow/contract.yaml: " in str(shown.description)
    assert graph.get(BRONZE).is_materializable and graph.get(dg.AssetKey(["bronze", "aws_guardduty"])).is_materializable
    assert str(broken) in str(graph.get(TABLE_KEYS["api_activity"]).description)
    assert "Broken" not in str(graph.get(TABLE_KEYS["base_event"]).description)
    assert dg.AssetCheckKey(dg.AssetKey(["gold", "counted"]), "contract_rules") in graph.asset_check_keys
