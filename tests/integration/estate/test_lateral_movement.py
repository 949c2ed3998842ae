"""The data product over the estate: the planted stories are found and nothing else; the table keeps its contract."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.ocsf.validate import validate_table
from orchestration.settings import load_settings, open_lake
from orchestration.steps.products import Product, load_products, product_checks
from orchestration.steps.query import reading
from tests.integration.lakes import headwater

PRODUCT = "lateral_movement"
SENTENCE = (
    "A finance controller's account that never touched production logged into a PCI database server"
    " from an address flagged ten minutes ago"
)


@pytest.fixture(scope="module")
def con(estate: Path) -> duckdb.DuckDBPyConnection:
    """A connection that reads the estate's lake."""
    return reading(open_lake(load_settings()))


@pytest.fixture(scope="module")
def product() -> Product:
    """The product's contract."""
    return load_products()[PRODUCT]


def findings(con: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    """Some columns of the findings, the most severe first."""
    return con.execute(f"select {columns} from gold.{PRODUCT} order by risk_score desc, time").fetchall()


def test_the_planted_incident_is_critical_and_says_the_sentence(con: duckdb.DuckDBPyConnection) -> None:
    severity, message, unmapped = findings(con, "severity, message, unmapped")[0]
    assert ("Critical", f"{SENTENCE}.") == (severity, message)
    assert message == json.loads(unmapped)["sentence"]


def test_every_incident_is_found_and_nothing_else(estate: Path) -> None:
    said = headwater("signals", "score", "--truth", estate / "estate/truth.json", "--json")
    (found,) = said.json
    assert (0, 1.0, 1.0, []) == (said.code, found["precision"], found["recall"], found["missed"])
    assert {"incident", "pass_the_hash"} == {name for each in found["signals"] for name in each["incidents"]}
    told = headwater("signals", "score", "--truth", estate / "estate/truth.json")
    assert "precision 100%" in " ".join(told.out.split()) and SENTENCE in " ".join(told.out.split())


def test_the_severity_is_the_one_that_the_truth_asks_for(estate: Path, truth: dict[str, Any]) -> None:
    (found,) = headwater("signals", "score", "--truth", estate / "estate/truth.json", "--json").json
    for incident in truth["signals"][PRODUCT]["incidents"]:
        severities = {each["severity"] for each in found["signals"] if incident["incident"] in each["incidents"]}
        assert severities <= set(incident["severity"])


def test_the_same_way_of_the_expected_administrator_is_weighed_and_gives_nothing(
    con: duckdb.DuckDBPyConnection,
) -> None:
    held = con.execute(
        "select list_transform(factors, lambda each: each.factor), score from gold.lateral_movement_candidates"
        " where user_name = 'marcus.oyelaran' and list_contains(services, 'LarkspurBackup')"
    ).fetchall()
    assert held
    for factors, score in held:
        assert {"expected_administrator", "service_created", "sensitive_asset"} <= set(factors) and score < 0
    assert [] == con.execute(f"from gold.{PRODUCT} where actor.user.name = 'marcus.oyelaran'").fetchall()


def test_a_finding_rests_on_events_that_the_lake_has(con: duckdb.DuckDBPyConnection) -> None:
    ((missing,),) = con.execute(
        f"""select count(*) from (select unnest(finding_info.related_events).uid as uid from gold.{PRODUCT})
        where uid not in (select metadata.uid from silver.authentication union all
          select metadata.uid from silver.authorize_session union all select metadata.uid from silver.process_activity
          union all select metadata.uid from silver.windows_service_activity
          union all select metadata.uid from silver.registry_value_activity)"""
    ).fetchall()
    assert 0 == missing


def test_every_rule_of_the_contract_holds(con: duckdb.DuckDBPyConnection, product: Product) -> None:
    checked = product_checks(con, product, f"gold.{PRODUCT}")
    assert len(checked) >= 8
    assert [] == [(each.rule.name, each.found) for each in checked if not each.holds]


def test_the_table_has_the_fields_of_the_contract(con: duckdb.DuckDBPyConnection, product: Product) -> None:
    for path, (kind, is_required) in product.fields.items():
        types = con.execute(f"select distinct typeof({path}), {path} is null from gold.{PRODUCT}").fetchall()
        assert {kind or found for found, _ in types} == {found for found, _ in types}, path
        assert not is_required or not any(is_null for _, is_null in types), path


def test_every_finding_is_valid_ocsf(estate: Path, con: duckdb.DuckDBPyConnection) -> None:
    files = sorted((estate / f"lake/gold/{PRODUCT}").rglob("*.parquet"))
    report = validate_table(files, "detection_finding")
    assert (len(findings(con, "1")), []) == (report.checked, report.examples)


def test_dispositions_come_back_and_the_funnel_shows_them(own_estate: Path, tmp_path: Path) -> None:
    uids = [uid for (uid,) in findings(reading(open_lake(load_settings())), "finding_info.uid")]
    reviewed = tmp_path / "reviewed.csv"
    reviewed.write_text("finding_uid,disposition,by\n" + "".join(f"{uid},true_positive,ann\n" for uid in uids[1:]))
    assert 0 == headwater("disposition", "add", uids[0], "true_positive", "--by", "ann", "--note", "reset").code
    assert 0 == headwater("disposition", "load", reviewed).code
    said = headwater("disposition", "add", "no such finding", "benign")
    assert 1 == said.code and "no product has a finding 'no such finding'" in " ".join((said.out + said.err).split())
    (row,) = headwater("query", "select * from gold.signal_quality", "--json").json
    assert len(uids) == row["signals"] == row["reviewed"] == row["true_positives"]
    assert 1.0 == row["precision"]
    assert row["raw_events"] > row["matches"] > row["candidates"] > row["signals"]
    (one,) = headwater("query", "select note from gold.dispositions where note <> ''", "--json").json
    assert "reset" == one["note"]


def test_analysts_read_when_a_pair_was_first_seen(estate: Path) -> None:
    asked = "select * from gold.first_seen_user_asset where user_uid = 'E01100' order by first_at"
    rows = headwater("query", asked, "--json").json
    assert any(row["asset_uid"] == "CI-LKS-PCIDB01" for row in rows)
    asked = "select source, events, baseline_days from gold.user_source_baseline where user_uid = 'E01100'"
    rows = headwater("query", asked, "--json").json
    assert any(row["events"] > 0 and row["baseline_days"] == 0 for row in rows)
