"""Reading dispositions from the files that people send: CSV with a header, or NDJSON.

What belongs here: the columns and their other spellings. What does not: adding them (`dispositions`).

Columns: `finding_uid` (or `uid`), `disposition`, and, if they like, `by`, `note`, `at` (ISO 8601; UTC without offset).
"""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.signals.verdicts import VALUES, Disposition

_SPELLINGS = {"uid": "finding_uid", "finding": "finding_uid", "analyst": "by", "comment": "note", "decided_at": "at"}
_FIELDS = ("finding_uid", "disposition", "by", "note", "at")


class BadDispositions(HeadwaterError, ValueError):
    """A file of dispositions that cannot be used; the message names the file and the line."""

    exit_code = WRONG_CALL


def read_dispositions(path: Path) -> list[Disposition]:
    """Return the dispositions of a file; its suffix says its format (.csv, .ndjson, .jsonl, .json for one a line).

    Raises:
        BadDispositions: the file cannot be read, a column is missing or unknown, or a time is none. Nothing is taken.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadDispositions(f"{path}: cannot be read: {problem}") from None
    if path.suffix.lower() == ".csv":
        return [_disposition(row, f"{path.name}, line {line}") for line, row in _csv(text, path)]
    if path.suffix.lower() in (".ndjson", ".jsonl", ".json"):
        return [_disposition(row, f"{path.name}, line {line}") for line, row in _ndjson(text, path)]
    raise BadDispositions(f"{path}: expected a file .csv or .ndjson")


def parse_moment(text: str, where: str) -> datetime:
    """Return an instant, naive UTC. Raises BadDispositions."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadDispositions(f"{where}: {text!r} is no time (expected 2026-03-02T08:00:00Z)") from None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _csv(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(text.splitlines())
    if not reader.fieldnames:
        raise BadDispositions(f"{path}: is empty; expected a header with finding_uid and disposition")
    for row in reader:
        if None in row:
            raise BadDispositions(f"{path.name}, line {reader.line_num}: has more values than the header names")
        yield reader.line_num, row


def _ndjson(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise BadDispositions(f"{path.name}, line {number}: is no JSON") from None
        if not isinstance(row, dict):
            raise BadDispositions(f"{path.name}, line {number}: expected an object")
        yield number, row


def _disposition(row: Mapping[str, object], where: str) -> Disposition:
    named = {name.strip().lower(): value for name, value in row.items()}
    held = {_SPELLINGS.get(name, name): str(value).strip() for name, value in named.items() if value is not None}
    if unknown := sorted(set(held) - set(_FIELDS)):
        raise BadDispositions(f"{where}: unknown column {unknown[0]!r} (known: {', '.join(_FIELDS)})")
    for name in ("finding_uid", "disposition"):
        if not held.get(name):
            raise BadDispositions(f"{where}: {name} is missing")
    said = held["disposition"].lower().replace(" ", "_").replace("-", "_")
    at = parse_moment(held["at"], where) if held.get("at") else None
    if said not in VALUES:
        raise BadDispositions(f"{where}: {held['disposition']!r} is no disposition (expected {', '.join(VALUES)})")
    return Disposition(held["finding_uid"], said, held.get("by", ""), held.get("note", ""), at, where)
