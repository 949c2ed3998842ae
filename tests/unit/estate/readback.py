"""Reading an estate with nothing but the standard library: the second opinion that `truth.json` is compared with."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

KEYS = {
    "aws_cloudtrail": ("eventID",),
    "okta_system_log": ("uuid",),
    "windows_event": ("Hostname", "Channel", "RecordNumber"),
}
NAMES = {"aws_cloudtrail": "eventName", "okta_system_log": "eventType", "windows_event": "EventID"}
TIMES = {
    "aws_cloudtrail": ("eventTime",),
    "okta_system_log": ("published",),
    "windows_event": ("EventTime", "TimeCreated"),
}


def cloudtrail_texts(estate: Path) -> Iterator[Any]:
    """Every element of every Records array; a text where an object or its end is no JSON."""
    for path in sorted(estate.glob("cloudtrail/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz")):
        body = _inflate(path)
        try:
            yield from json.loads(body)["Records"]
        except ValueError:
            yield from _complete_records(body.decode())


def _complete_records(body: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), body.find("[") + 1
    while body.startswith('{"Records":['):
        try:
            record, at = decoder.raw_decode(body, at)
        except ValueError:
            break
        yield record
        at += 1
    yield body[at:]


def _inflate(path: Path) -> bytes:
    return zlib.decompressobj(31).decompress(path.read_bytes())


def _lines(body: bytes) -> Iterator[Any]:
    for line in body.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            yield line.decode()


def okta_texts(estate: Path) -> Iterator[Any]:
    """Every event in the order of storing."""
    yield from _lines(gzip.decompress((estate / "okta/system_log.ndjson.gz").read_bytes()))


def windows_texts(estate: Path) -> Iterator[Any]:
    """Every line of every object, members of zips included, junk members not."""
    for path in sorted(estate.glob("windows/*/*/*/*/*")):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if not name.startswith("__MACOSX/"):
                        yield from _lines(archive.read(name))
        else:
            yield from _lines(_inflate(path))


def _once(reader: Callable[[Path], Iterator[Any]]) -> Callable[[Path], list[Any]]:
    return cache(lambda estate: list(reader(estate)))


# Each reads an estate once, however many tests look at it.
READERS = {
    "aws_cloudtrail": _once(cloudtrail_texts),
    "okta_system_log": _once(okta_texts),
    "windows_event": _once(windows_texts),
}


def defect(source: str, record: Any) -> str | None:
    """What is wrong with a record, "unreadable" where it is no JSON."""
    if isinstance(record, str) and record != "restarted":
        return "unreadable"
    if not isinstance(record, dict):
        return "not_an_object"
    required = [NAMES[source]] if source == "windows_event" else [*KEYS[source], NAMES[source], *TIMES[source]]
    if any(name not in record for name in required):
        return "missing_field"
    if any(isinstance(record[name], dict) for name in required):
        return "wrong_type"
    times = [record[name] for name in TIMES[source] if name in record]
    if any(not time.startswith("20") for time in times):
        return "bad_event_time"
    return "event_in_future" if any(time.startswith("2099") for time in times) else None


def balance(source: str, estate: Path) -> dict[str, Any]:
    """The balance of one source, counted from the files alone."""
    quarantined: Counter[str] = Counter()
    contents: dict[Any, set[str]] = {}
    read = duplicates = 0
    for record in READERS[source](estate):
        read += 1
        if reason := defect(source, record):
            quarantined[reason] += 1
            continue
        text = json.dumps(record, sort_keys=True)
        key = tuple(record.get(name) for name in KEYS[source])
        known = contents.setdefault(text if None in key else key, set())
        duplicates += text in known
        known.add(text)
    return {
        "read": read,
        "landed": read - quarantined.total(),
        "quarantined": dict(quarantined),
        "duplicates": duplicates,
        "published": sum(map(len, contents.values())),
        "collisions": sum(len(texts) > 1 for texts in contents.values()),
    }
