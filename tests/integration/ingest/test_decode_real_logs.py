"""Real logs: the number of records in each data set is known from its own description."""

from datetime import UTC, datetime
from pathlib import Path

from ingest.decode import DecodeReport, Limits, decode
from ingest.objects import RawObject


def _objects(folder: Path, pattern: str) -> list[RawObject]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        RawObject(path.name, lambda path=path: path.open("rb"), path.stat().st_size, moment, "")  # type: ignore[misc]
        for path in sorted(folder.rglob(pattern))
    ]


def _counts(objects: list[RawObject]) -> tuple[int, int, list[str]]:
    """Records counted, rows without a problem, and the names of what was ignored."""
    report = DecodeReport()
    sound = sum(batch["problem"].null_count for batch in decode(objects, Limits(), report=report))
    return report.records, sound, sorted(name.split("!")[1] for name, _ in report.ignored)


def test_cloudtrail_objects_hold_2900_records(shared_data: Path) -> None:
    objects = _objects(shared_data / "aws_dataset" / "CloudTrail", "*.json")
    assert len(objects) == 55
    assert _counts(objects) == (2900, 2900, [])


def test_windows_archives_hold_108159_records_and_two_junk_members(shared_data: Path) -> None:
    objects = _objects(shared_data / "Security-Datasets" / "datasets" / "atomic" / "windows", "*.zip")
    records, sound, ignored = _counts(objects)
    assert (records, sound) == (108_159, 108_159)
    assert len(ignored) == 2
    assert all(name.startswith("__MACOSX/._") for name in ignored)
