"""Dispositions come back through Dagster's launchpad as through the command line."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lake.storage.store import LocalStore
from orchestration.automation.verdicts import add_dispositions
from tests.integration.lakes import headwater
from tests.unit.signals.lakes import lake


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A lake with two findings, which the settings name."""
    monkeypatch.delenv("HEADWATER_CONFIG", raising=False)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)
    return lake(tmp_path / "lake", ("f1", "2026-03-02T07:39:54", []), ("f2", "2026-03-02T07:50:00", []))


def run(**config: Any) -> dg.ExecuteInProcessResult:
    """Launch the job with what somebody typed."""
    given = {"ops": {"record_dispositions": {"config": config}}}
    return add_dispositions.execute_in_process(run_config=given, raise_on_error=False)


def held(*words: str) -> dict[str, str]:
    """Disposition by finding, as the command line lists them."""
    return {
        each["finding_uid"]: each["disposition"] for each in headwater("disposition", "list", *words, "--json").json
    }


def test_what_is_typed_and_what_is_in_a_file_is_added(store: LocalStore, tmp_path: Path) -> None:
    file = tmp_path / "reviewed.csv"
    file.write_text("finding_uid,disposition\nf2,benign\n")
    typed = {"finding_uid": "f1", "disposition": "true_positive", "by": "ann", "at": "2026-03-03T08:00:00Z"}
    assert run(said=[typed], file=str(file)).success
    assert {"f1": "true_positive", "f2": "benign"} == held()


def test_what_cannot_be_taken_fails_the_run_and_the_rest_is_kept(store: LocalStore) -> None:
    said = [{"finding_uid": "f1", "disposition": "benign"}, {"finding_uid": "f9", "disposition": "benign"}]
    assert not run(said=said).success
    assert {"f1": "benign"} == held()


def test_commands_tell_what_they_did(store: LocalStore, tmp_path: Path) -> None:
    assert "1 benign" in headwater("disposition", "add", "f1", "benign", "--by", "ann").out
    assert "1 stood there already" in headwater("disposition", "add", "f1", "benign", "--by", "ann").out
    said = headwater("disposition", "add", "f1", "duplicate", "--at", "2099-01-01")
    assert 1 == said.code and "has not come yet" in " ".join(said.out.split())
    assert {"added": 1, "unchanged": 0, "refused": []} == headwater("disposition", "add", "f2", "benign", "--json").json
    said = headwater("disposition", "add", "f1", "perhaps")
    assert 2 == said.code and "'perhaps' is no disposition" in said.err
    broken = tmp_path / "broken.csv"
    broken.write_text("finding_uid,verdict\nf1,benign\n")
    said = headwater("disposition", "load", broken)
    assert 2 == said.code and "unknown column 'verdict'" in " ".join(said.err.split())
    assert {"f1": "benign", "f2": "benign"} == held("--history")


def test_labels_of_no_product_are_told(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"signals": {"unknown": {"incidents": []}}}')
    said = headwater("signals", "score", "--truth", tmp_path / "truth.json")
    assert 2 == said.code and "there is no product 'unknown'" in " ".join(said.err.split())
