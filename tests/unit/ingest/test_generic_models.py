"""Sources without models of their own get generated ones; what somebody wrote stays as it is."""

from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.contracts.generate import drift, write_all
from ingest.contracts.generic_models import MARK, generic_macro, generic_models

JSON, TEXT = "okta_system_log", "aws_s3_access"
MODELS = Path("dbt_project/models")
EVENTS, OUTCOMES, BASE = (
    MODELS / f"events/{JSON}.sql",
    MODELS / f"silver/dispositions/dispositions__{JSON}.sql",
    MODELS / f"silver/base_event/base_event__{JSON}.sql",
)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with an empty dbt project."""
    (tmp_path / MODELS / "silver").mkdir(parents=True)
    (tmp_path / "dbt_project/seeds").mkdir()
    (tmp_path / "dbt_project/seeds/ocsf_routing.csv").write_text("source,event_type,class_uid,activity_id,note\n")
    return tmp_path


def _write(top: Path, path: Path, text: str) -> None:
    (top / path).parent.mkdir(parents=True, exist_ok=True)
    (top / path).write_text(text)


def test_a_source_without_models_gets_events_outcomes_and_base_event(top: Path) -> None:
    found = generic_models(top, [load_contracts()[JSON]])
    assert {EVENTS, OUTCOMES, BASE} == set(found)
    assert all(text.startswith(MARK) for text in found.values())
    assert "bronze_row._raw as unmapped" in found[BASE]
    assert 'ocsf_metadata("okta", "Okta System Log")' in found[EVENTS]


def test_a_text_format_keeps_every_field_and_the_line(top: Path) -> None:
    contract = load_contracts()[TEXT]
    sql = generic_models(top, [contract])[MODELS / f"silver/base_event/base_event__{TEXT}.sql"]
    assert all(f"bronze_row.{each.name}" in sql or f'bronze_row."{each.name}"' in sql for each in contract.fields)
    assert "'_raw': bronze_row._raw" in sql


def test_a_model_that_somebody_wrote_is_neither_written_over_nor_removed(top: Path) -> None:
    contracts = {JSON: load_contracts()[JSON]}
    _write(top, EVENTS, "select 1")
    write_all(top, contracts)
    assert "select 1" == (top / EVENTS).read_text() and (top / BASE).is_file()
    _write(top, BASE, (top / BASE).read_text().removeprefix(MARK))
    assert [] == [each for each in drift(top, contracts) if "/models/" in each]
    assert [OUTCOMES.as_posix()] == [each for each in write_all(top, {}) if "/models/silver" in each]
    assert (top / EVENTS).is_file() and (top / BASE).is_file() and not (top / OUTCOMES).exists()


def test_events_that_all_have_a_route_need_no_base_event(top: Path) -> None:
    seed = top / "dbt_project/seeds/ocsf_routing.csv"
    _write(top, EVENTS, "select 1")
    assert BASE in generic_models(top, [load_contracts()[JSON]])
    seed.write_text(f"{seed.read_text()}{JSON},*,3002,,\n")
    assert {OUTCOMES} == set(generic_models(top, [load_contracts()[JSON]]))


def test_the_view_of_the_class_gets_the_generated_models() -> None:
    made = [Path("base_event__b.sql"), Path("base_event__a.sql"), EVENTS]
    assert 'ref("base_event__a"), ref("base_event__b")' in generic_macro(made)
