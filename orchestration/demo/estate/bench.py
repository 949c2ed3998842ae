"""Clean events by the hundred thousand, for benchmarks: quick to make, real in shape.

A pool of records of the estate serves as templates in which only what must differ is replaced: the event's time in
every format, its key. No faults, no incident, no truth.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

from orchestration.demo.estate.company import found
from orchestration.demo.estate.events import Record, dump, sysmon_utc, times, utc_millis, utc_seconds, wall_clock
from orchestration.demo.estate.sources.cloudtrail import SOURCE as CLOUDTRAIL
from orchestration.demo.estate.sources.cloudtrail import CloudTrailFeed
from orchestration.demo.estate.sources.okta import SOURCE as OKTA
from orchestration.demo.estate.sources.okta import OktaFeed
from orchestration.demo.estate.sources.windows import SOURCE as WINDOWS
from orchestration.demo.estate.sources.windows import WindowsFeed

_POOL = 2000
_FEEDS: dict[str, Callable[..., Any]] = {CLOUDTRAIL: CloudTrailFeed, OKTA: OktaFeed, WINDOWS: WindowsFeed}
# Field → what stands there: a time format, or the key.
_FIELDS = {
    CLOUDTRAIL: {"eventTime": "utc_s", "eventID": "key"},
    OKTA: {"published": "utc_ms", "uuid": "key"},
    WINDOWS: {
        "EventTime": "wall",
        "EventReceivedTime": "wall",
        "@timestamp": "utc_ms",
        "TimeCreated": "utc_ms",
        "UtcTime": "sysmon",
        "RecordNumber": "number",
        "ProcessGuid": "key",
        "SubjectLogonId": "key",
        "TargetLogonId": "key",
        "Message": "message",
    },
}


@lru_cache(maxsize=4096)
def _stamps(second: int) -> dict[bytes, bytes]:
    return {
        b"utc_s": utc_seconds(second).encode(),
        b"utc_ms": utc_millis(second)[:-4].encode(),
        b"wall": wall_clock(second).encode(),
        b"sysmon": sysmon_utc(second)[:-3].encode(),
    }


def _template(source: str, record: Record) -> bytes:
    marks = {name: kind for name, kind in _FIELDS[source].items() if name in record}
    message = record.get("Message")
    for name, kind in marks.items():
        record[name] = f"@@{kind}@@"
    text = dump(record).replace(b"%", b"%%")
    for kind, form in (("utc_s", b'"%(utc_s)b"'), ("wall", b'"%(wall)b"'), ("key", b'"%(key)b"')):
        text = text.replace(f'"@@{kind}@@"'.encode(), form)
    text = text.replace(b'"@@utc_ms@@"', b'"%(utc_ms)b%(ms)bZ"').replace(b'"@@sysmon@@"', b'"%(sysmon)b%(ms)b"')
    text = text.replace(b'"@@number@@"', b"%(number)b")
    if message is not None:
        body = json.dumps(message)[:-1].encode().replace(b"%", b"%%") + b'\\r\\nRecord: %(key)b"'
        text = text.replace(b'"@@message@@"', body)
    return text


def bench_lines(
    source: str, n: int, seed: int = 7, start: str = "2026-03-02T00:00:00Z", hours: int = 24
) -> Iterator[bytes]:
    """Yield `n` records of one source as NDJSON lines (newline included), ascending in time over `hours`.

    KeyError when the source is unknown. Keys are unique; the diurnal shape is the estate's.
    """
    rng = random.Random(f"{seed}/bench/{source}")
    feed = _FEEDS[source](found(seed), rng)
    began = datetime.fromisoformat(start).timestamp()
    pool = [_template(source, json.loads(feed.event(began, began + 310.0).text)) for _ in range(min(n, _POOL))]
    prefix = f"{rng.getrandbits(64):016x}"
    head = f"{prefix[:8]}-{prefix[8:12]}-4{prefix[13:16]}-a000-"
    for number, at in enumerate(times(n, began, hours, rng)):
        second = int(at)
        values = _stamps(second)
        values[b"ms"] = b"%03d" % int((at - second) * 1000)
        values[b"key"] = f"{head}{number:012x}".encode()
        values[b"number"] = b"%d" % (1_000_000 + number)
        yield pool[number % len(pool)] % values + b"\n"
