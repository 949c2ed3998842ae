"""The estate is the same for the same arguments, and what is written about it is true."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestration.demo.estate import Arguments, generate
from orchestration.demo.estate.__main__ import main

from .conftest import SMALL
from .readback import READERS, balance

SOURCES = ["aws_cloudtrail", "okta_system_log", "windows_event"]


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _delivery_times(root: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime for path in root.glob("*/**/*.gz")}


def test_the_same_arguments_give_the_same_bytes_and_object_times(estate: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", SMALL)

    assert _contents(estate) == _contents(tmp_path / "again")
    assert _delivery_times(estate) == _delivery_times(tmp_path / "again")


def test_another_seed_gives_other_events_and_replaces_the_estate_whole(truth: dict[str, Any], tmp_path: Path) -> None:
    generate(tmp_path, Arguments(seed=3, events=1000, hours=4))
    other = generate(tmp_path, Arguments(seed=12, events=3000))

    assert other["incident"]["events"] != truth["incident"]["events"]
    assert other["sources"]["okta_system_log"]["by_event_hour"] != truth["sources"]["okta_system_log"]["by_event_hour"]
    assert other["sources"]["windows_event"]["read"] == balance("windows_event", tmp_path)["read"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_truth_is_what_a_reader_counts(source: str, estate: Path, truth: dict[str, Any]) -> None:
    expected = truth["sources"][source]
    reasons = Counter(expected["quarantined"])
    reasons["unreadable"] = reasons.pop("not_json", 0) + reasons.pop("truncated_object", 0)
    counts = {name: expected[name] for name in ("read", "landed", "duplicates", "published", "collisions")}

    assert {**counts, "quarantined": dict(+reasons)} == balance(source, estate)


@pytest.mark.parametrize("source", SOURCES)
def test_the_balance_closes_in_total_and_over_the_hours(source: str, truth: dict[str, Any]) -> None:
    counts = truth["sources"][source]
    arrivals, events = counts["by_arrival_hour"].values(), counts["by_event_hour"].values()

    assert counts["read"] == counts["landed"] + sum(counts["quarantined"].values())
    assert (
        counts["landed"]
        == counts["published"] + counts["duplicates"]
        == sum(counts["event_types"].values()) + counts["duplicates"]
    )
    assert counts["read"] == sum(hour["read"] for hour in arrivals)
    assert counts["landed"] == sum(hour["landed"] for hour in events)
    assert counts["published"] == sum(hour.get("published", 0) for hour in events)
    assert max(counts["by_arrival_hour"]) == max(counts["by_event_hour"]) == "2026-03-02T23"


@pytest.mark.parametrize("source", SOURCES)
def test_every_fault_is_planted_in_every_source(source: str, truth: dict[str, Any]) -> None:
    counts = truth["sources"][source]
    kinds = {kind.partition(":")[0] for kind in counts["kinds"]}

    assert {"clean", "late", "duplicate", "collision", "drift", "malformed"} <= kinds
    assert counts["collisions"] == 3
    assert counts["out_of_order"] > 0
    assert {"missing_field", "wrong_type", "bad_event_time"} <= set(counts["quarantined"])
    if source != "okta_system_log":
        assert counts["truncated_objects"] == counts["quarantined"]["truncated_object"] == 1
        assert {"not_json", "not_an_object", "event_in_future"} <= set(counts["quarantined"])


def test_the_sources_share_the_events_as_announced(truth: dict[str, Any]) -> None:
    read = {source: truth["sources"][source]["read"] / 5000 for source in SOURCES}

    assert pytest.approx(read, abs=0.02) == {"aws_cloudtrail": 0.30, "okta_system_log": 0.25, "windows_event": 0.45}


def test_objects_on_disk_are_the_objects_counted(estate: Path, truth: dict[str, Any]) -> None:
    trail = truth["sources"]["aws_cloudtrail"]

    assert trail["objects"] == len(list(estate.glob("cloudtrail/**/CloudTrail/**/*.json.gz")))
    assert trail["ignored_objects"] == len(list(estate.glob("cloudtrail/**/CloudTrail-Digest/**/*.json.gz"))) == 1
    assert truth["sources"]["windows_event"]["objects"] == len(list(estate.glob("windows/**/wec01-*.*")))


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("irreplaceable")

    with pytest.raises(FileExistsError, match="not an estate"):
        generate(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "arguments", [Arguments(start="2026-03-02T00:30:00Z"), Arguments(hours=2), Arguments(start="2026-03-02T00:00:00")]
)
def test_a_span_that_is_not_whole_hours_is_refused(arguments: Arguments, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a full hour"):
        generate(tmp_path / "estate", arguments)


def test_the_command_writes_an_estate_of_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["estate", "--out", str(tmp_path), "--events", "3000", "--hours", "6", "--start", "2026-03-04T12:00:00Z"]
    monkeypatch.setattr("sys.argv", words)
    main()

    assert "truth.json" in capsys.readouterr().out
    records = [record for record in READERS["okta_system_log"](tmp_path) if isinstance(record, dict)]
    assert {"2026-03-04"} == {
        record["published"][:10] for record in records if record.get("published", "").startswith("2026")
    }
