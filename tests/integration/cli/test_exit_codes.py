"""Nothing that needs a look, and nothing that was never set, ends with exit code 0."""

from pathlib import Path
from typing import BinaryIO

import pytest

from ingest.decode import DecodeReport, compression
from ingest.objects import RawObject
from tests.integration import okta_logs
from tests.integration.lakes import headwater


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export", "push"], 2, "declared by models, not configured"),
        (["export", "verify"], 2, "declared by models, not configured"),
        (["export", "status"], 2, "declared by models, not configured"),
        (["lookup", "status"], 2, "no lookup provider is set"),
        (["reference", "list"], 2, "no feed is configured or loaded"),
        (["lookup"], 2, "no lookup provider is set"),
        (["match"], 2, "no list of indicators is loaded"),
        (["reference", "load"], 2, "no feed is set"),
    ],
)
def test_what_is_not_set_is_told(
    words: list[str], code: int, said: str, okta_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    found = headwater(*words)
    assert code == found.code and said in found.out + found.err
    assert code == headwater(*words, "--json").code


def test_a_batch_of_which_every_record_is_quarantined_needs_a_look(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"a": 1}\n{"b": 2}\n')
    found = headwater("land", "okta_system_log", "bad.json")
    assert 1 == found.code and "2 read = 0 landed + 2 quarantined" in found.out
    assert 1 == headwater("land", "okta_system_log", "bad.json").code, "also when it has landed unchanged"


def test_a_settings_file_that_is_absent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CONFIG", "nowhere.yml")
    found = headwater("balance")
    assert 2 == found.code and "settings file nowhere.yml (HEADWATER_CONFIG) does not exist" in found.err


def test_a_build_of_a_project_with_a_file_that_cannot_be_read_needs_a_look(
    okta_lake: Path, okta_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 == headwater("build", "--source", "okta_system_log").code
    monkeypatch.setattr("orchestration.dbt.project.Project.problems", ["models/x.sql: not SQL"])
    assert 1 == headwater("build", "--source", "okta_system_log").code


@pytest.mark.parametrize("change", ["vanish", "shrink"])
def test_a_file_that_vanishes_or_shrinks_after_it_was_listed_needs_a_look(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.ndjson", "b.ndjson"):
        okta_logs.write(tmp_path / name, [okta_logs.event(f"{name}-{number}") for number in range(9)])
    first = tmp_path / "a.ndjson"

    def opened(source: RawObject, report: DecodeReport) -> BinaryIO | None:
        if source.name.endswith("a.ndjson") and first.exists():
            first.unlink() if change == "vanish" else first.write_bytes(first.read_bytes()[:1000])
        return compression.opened(source, report)

    monkeypatch.setattr("ingest.decode.opened", opened)
    found = headwater("land", "okta_system_log", tmp_path)
    said = "deleted after it was listed" if change == "vanish" else "and 1,000 when it was read"
    assert 1 == found.code and said in found.out
    assert ("9 read" if change == "vanish" else "12 read") in found.out
