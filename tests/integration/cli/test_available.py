"""`sources --available` names the sources that are neither in the settings nor in the lake, and how to add each."""

from pathlib import Path

import pytest

from ingest.contracts import source_names
from tests.integration import okta_logs
from tests.integration.lakes import headwater


def test_what_is_set_or_has_landed_is_not_available_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    okta_logs.write(tmp_path / "a.ndjson", [okta_logs.event("one")])
    assert 0 == headwater("land", "okta_system_log", tmp_path / "a.ndjson").code
    monkeypatch.setenv("HEADWATER_SOURCES__AWS_CLOUDTRAIL__ROOT", str(tmp_path))
    found = headwater("sources", "--available", "--json")
    assert 0 == found.code
    left = {*source_names()} - {"okta_system_log", "aws_cloudtrail"}
    assert left == {each["source"] for each in found.json}
    said = headwater("sources", "--available").out
    assert "windows_event" in said and "okta_system_log" not in said
