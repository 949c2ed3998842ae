"""A product's contract is ODCS v3, says what it promises, and agrees with the table and the SQL that keep it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from lake.ocsf.attributes import declared_classes
from lake.ocsf.columns import columns
from orchestration.checks.products import ON_TIME, RULES, on_time, rules
from orchestration.dbt.project import load_project
from orchestration.settings import PROJECT
from orchestration.steps.products import (
    BadProduct,
    Product,
    load_product,
    load_products,
    overdue,
    product_checks,
    read_products,
)
from tests.unit.signals.lakes import built, lake

FILES = sorted(PROJECT.glob("products/*.odcs.yaml"))
SMALL = """
apiVersion: v3.2.0
kind: DataContract
id: p
name: p
version: 1.0.0
status: active
slaProperties: [{property: latency, value: 2, unit: h}]
schema:
  - name: p
    quality:
      - {name: few, type: sql, query: "select count(*) from ${object}", mustBeLessThan: 3, severity: warning}
      - {name: none_negative, type: sql, query: "select count(*) from ${object} where n < 0", mustBe: 0}
"""
BROKEN = SMALL.replace("name: p", "name: broken")


@pytest.fixture(scope="module")
def product() -> Product:
    """The first data product."""
    return load_products()["lateral_movement"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_product_says_what_for_for_whom_of_what_and_how_well(file: Path) -> None:
    told = load_product(file)
    assert told.description and told.owner and told.consumers and told.sources and told.rules
    assert {"latency", "availability", "retention"} <= set(told.levels)
    custom = {each["property"] for each in yaml.safe_load(file.read_text())["customProperties"]}
    assert "useCase" in custom


def test_every_product_is_a_mart_of_findings_that_is_kept_as_long_as_promised() -> None:
    marts = load_project().marts.by_name
    for name, product in load_products().items():
        assert "detection_finding" == marts[name].ocsf_class
        declared = yaml.safe_load(next(PROJECT.glob(f"models/gold/*/{name}.yml")).read_text())
        assert product.levels["retention"] == (declared["models"][0]["config"]["meta"]["retention_days"], "d")


def test_the_fields_of_the_contract_are_columns_of_the_class(product: Product) -> None:
    """By name and type, in an empty table of the class."""
    typed = ", ".join(f'null::{type_} as "{name}"' for name, type_ in columns(declared_classes()["detection_finding"]))
    with duckdb.connect() as con:
        con.execute(f"create table p as select {typed} where false")
        for path, (kind, _) in product.fields.items():
            ((found,),) = con.execute(
                f"select any_value(typeof(x)) from (select {path} as x from p right join (select 1) on true)"
            ).fetchall()
            assert not kind or kind == found, path


def test_every_factor_has_a_weight_and_every_severity_a_score() -> None:
    """The SQL and the seeds know the same factors; severities leave no score between them."""
    sql = next(PROJECT.glob("models/gold/*/episode_factors.sql")).read_text()
    used = {part.split("'")[0] for part in sql.split("{'factor': '")[1:]}
    with duckdb.connect() as con:
        seed = f"read_csv('{PROJECT}/seeds/signal_factors.csv', header = true)"
        known = {
            name for (name,) in con.execute(f"select factor from {seed} where product = 'lateral_movement'").fetchall()
        }
        assert known == used
        seed = f"read_csv('{PROJECT}/seeds/signal_severities.csv', header = true)"
        bands = con.execute(f"select from_score, below_score from {seed} order by severity_id").fetchall()
    assert [below for _, below in bands[:-1]] == [first for first, _ in bands[1:]]


def test_an_expected_administrator_outweighs_everything_together() -> None:
    seed = f"read_csv('{PROJECT}/seeds/signal_factors.csv', header = true)"
    ((up, down),) = duckdb.execute(
        f"select sum(weight) filter (weight > 0), sum(weight) filter (weight < 0) from {seed}"
    ).fetchall()
    assert up + down < 60


def test_rules_are_run_on_the_rows_that_are_meant(tmp_path: Path) -> None:
    small = load_product(_written(tmp_path, SMALL))
    with duckdb.connect() as con:
        con.execute("create table t as select * from (values (1), (2), (3), (-1)) as held (n)")
        every = {each.rule.name: (each.found, each.holds) for each in product_checks(con, small, "t")}
        some = {
            each.rule.name: (each.found, each.holds) for each in product_checks(con, small, "t", "n between 1 and 2")
        }
    assert {"few": (4, False), "none_negative": (1, False)} == every
    assert {"few": (2, True), "none_negative": (0, True)} == some


@pytest.mark.parametrize(
    ("hours", "complaint"),
    [(2.5, ""), (3.5, "the newest hour of p is 2.5 hours old (promised: 2)"), (None, "p has not been built yet")],
)
def test_a_product_that_is_late_says_so(tmp_path: Path, hours: float | None, complaint: str) -> None:
    """An event hour ends an hour after it began: the latency counts from then."""
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    newest = None if hours is None else now.replace(tzinfo=None) - timedelta(hours=hours)
    assert complaint == overdue(load_product(_written(tmp_path, SMALL)), newest, now)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SMALL.replace("name: p\nversion", "name: q\nversion"), "name: found 'q'"),
        (SMALL.replace("  - name: p\n", "  - name: q\n"), "expected one table 'p'"),
        (SMALL.replace("mustBe: 0", "unit: rows"), "quality: none_negative: expected type sql"),
        ("- not a mapping", "not ODCS v3"),
    ],
)
def test_a_contract_that_cannot_be_used_is_told_by_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadProduct, match=complaint):
        load_product(_written(tmp_path, text))


def _written(folder: Path, text: str) -> Path:
    path = folder / "p.odcs.yaml"
    path.write_text(text)
    return path


def test_the_checks_of_an_hour_run_the_rules_over_its_findings(tmp_path: Path) -> None:
    """A broken rule fails with its number, one that only warns warns, and an hour without findings keeps them all."""
    store = lake(tmp_path / "lake", ("f1", "2026-03-02T07:00:00", []), ("f1", "2026-03-02T07:10:00", []))
    built(store, "2026-03-02T07", "2026-03-02T09:00:00+00:00")
    text = SMALL.replace("name: p\n", "name: lateral_movement\n").replace("mustBeLessThan: 3", "mustBeLessThan: 2")
    path = tmp_path / "lateral_movement.odcs.yaml"
    asked = dg.AssetCheckKey(dg.AssetKey(["gold", "lateral_movement"]), RULES)
    path.write_text(text.replace("where n < 0", "where finding_info.uid = 'none'"))
    warned = rules(asked, store, load_product(path), ["2026-03-02T07"])
    assert (False, dg.AssetCheckSeverity.WARN, "few: found 2") == (warned.passed, warned.severity, warned.description)
    path.write_text(text.replace("where n < 0", "where finding_info.uid = 'f1'"))
    failed = rules(asked, store, load_product(path), ["2026-03-02T07"])
    assert (False, dg.AssetCheckSeverity.ERROR) == (failed.passed, failed.severity)
    assert rules(asked, store, load_product(path), ["2026-03-02T08"]).passed


def test_a_product_that_is_late_fails_its_check(tmp_path: Path) -> None:
    store, small = lake(tmp_path / "lake"), load_product(_written(tmp_path, SMALL))
    asked = dg.AssetCheckKey(dg.AssetKey(["gold", "p"]), ON_TIME)
    assert not on_time(asked, store, small, datetime(2026, 3, 2, 12, tzinfo=UTC)).passed


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [
        (b"", "expected `key: value` lines at the top, found nothing"),
        (b"- name: broken", "found a list"),
        (b"name: [", "not ODCS v3"),
        (b"name: \xff", "is not UTF-8 at byte 6"),
        (None, "cannot be read: Is a directory"),
        (BROKEN.replace("value: 2", "value: soon").encode(), "latency: expected a number"),
        (BROKEN.replace("mustBe: 0", "mustBe: zero").encode(), "found 'zero', expected a number"),
        (BROKEN.replace("[{property", "[5, {property").encode(), "slaProperties.0"),
    ],
)
def test_a_contract_that_cannot_be_used_stops_its_product_alone(
    contents: bytes | None, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "products/broken.odcs.yaml"
    file.parent.mkdir()
    _written(file.parent, SMALL)
    file.mkdir() if contents is None else file.write_bytes(contents)
    products, problems = read_products(tmp_path)
    assert (["p"], ["broken"]) == ([*products], [*problems])
    assert str(problems["broken"]).startswith(f"{file}: ") and complaint in str(problems["broken"])
    assert "\n" not in str(problems["broken"])
