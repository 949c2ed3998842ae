"""Writing the estate the way its vendors deliver: objects in folders, with the vendor's key layout.

Objects are byte-identical for the same arguments (gzip without a time, zip with a fixed one) and carry their delivery
time as modification time. One CloudTrail and one Windows object is cut off in the middle: what precedes the cut decodes
everywhere to the same bytes, because the stream is flushed there.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from orchestration.demo.estate.company import identifier
from orchestration.demo.estate.events import DELIVERY_SECONDS, Event, delivery_slot, dump, hour_of
from orchestration.demo.estate.truth import Tally

_LEVEL = 3  # gzip level: twice as fast as the default at 1.15 times its size, measured on this estate
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "  # what macOS archives add beside a file
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _stamp(slot: float, form: str) -> str:
    return datetime.fromtimestamp(slot, UTC).strftime(form)


def _write(path: Path, data: bytes, at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))


def _cut(whole: bytes) -> bytes:
    """A gzip member of `whole` whose end never arrived: every byte given is readable, the trailer is missing."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(whole) + packer.flush(zlib.Z_SYNC_FLUSH)


def _groups(events: Iterable[Event]) -> dict[tuple[int, tuple[str, ...]], list[Event]]:
    groups: defaultdict[tuple[int, tuple[str, ...]], list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda e: e.arrived):
        groups[delivery_slot(event.arrived), event.lane].append(event)
    return dict(sorted(groups.items()))


def _to_cut(groups: dict[tuple[int, tuple[str, ...]], list[Event]], avoid: str = "") -> tuple[int, tuple[str, ...]]:
    """The first delivery after half of the span that nothing else was planted in."""
    slots = sorted(groups)
    for slot in slots[len(slots) // 2 :] + slots:
        events = groups[slot]
        if len(events) > 1 and hour_of(slot[0]) != avoid and not any(e.kinds or e.pinned or e.reason for e in events):
            return slot
    raise ValueError("no delivery with two plain records to cut off: the estate is too small, ask for more events")


def write_cloudtrail(events: list[Event], out: Path, tally: Tally, rng: random.Random) -> None:
    """Objects `AWSLogs/<account>/CloudTrail/<region>/…`, one ignored digest, one object that is an error page."""
    groups = _groups(events)
    cut = _to_cut(groups)
    for (slot, lane), records in groups.items():
        path = _cloudtrail_path(out, lane, slot, rng)
        texts = [event.text for event in records]
        if (slot, lane) == cut:
            whole = len(texts) // 2
            tally.cut(records, whole, slot)
            half = texts[whole][: len(texts[whole]) // 2]
            _write(path, _cut(b'{"Records":[' + b",".join([*texts[:whole], half])), slot)
            continue
        tally.add_object(records, slot)
        _write(path, gzip.compress(b'{"Records":[' + b",".join(texts) + b"]}", _LEVEL, mtime=0), slot)
    slot, lane = next(iter(groups))
    page = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
    error = Event(records[0].source, slot, slot, page, "", "", lane, ("malformed",), "not_json")
    tally.add_object([error], slot)
    _write(_cloudtrail_path(out, lane, slot, rng), gzip.compress(page, mtime=0), slot)
    _write_digest(out, lane, slot)
    tally.ignored_objects += 1


def _cloudtrail_path(out: Path, lane: tuple[str, ...], slot: float, rng: random.Random) -> Path:
    account, region = lane
    unique = identifier(f"{rng.getrandbits(96)}", 16, _ALPHABET)
    name = f"{account}_CloudTrail_{region}_{_stamp(slot, '%Y%m%dT%H%MZ')}_{unique}.json.gz"
    return out / "cloudtrail/AWSLogs" / account / "CloudTrail" / region / _stamp(slot, "%Y/%m/%d") / name


def _write_digest(out: Path, lane: tuple[str, ...], slot: float) -> None:
    account, region = lane
    name = f"{account}_CloudTrail-Digest_{region}_management_{region}_{_stamp(slot, '%Y%m%dT%H%M%SZ')}.json.gz"
    digest = {"awsAccountId": account, "digestStartTime": _stamp(slot, "%Y-%m-%dT%H:%M:%SZ"), "logFiles": []}
    path = out / "cloudtrail/AWSLogs" / account / "CloudTrail-Digest" / region / _stamp(slot, "%Y/%m/%d") / name
    _write(path, gzip.compress(dump(digest), mtime=0), slot)


def write_okta(events: list[Event], out: Path, tally: Tally) -> None:
    """`system_log.ndjson.gz` in the order of storing, which is not the order of publishing.

    The API files events by `published`; one whose `published` cannot be read stands where the event before it stands.
    """
    stored = sorted(events, key=lambda e: e.arrived)
    filed = stored[0].at
    for event in stored:
        filed = filed if event.reason == "bad_event_time" else event.at
        tally.add(event, filed)
    lines = b"\n".join(event.text for event in stored) + b"\n"
    _write(out / "okta/system_log.ndjson.gz", gzip.compress(lines, _LEVEL, mtime=0), stored[-1].arrived)


def write_windows(events: list[Event], out: Path, tally: Tally, hours: int) -> None:
    """One NDJSON object per five minutes; the objects of the middle hour come as one zip with a junk member."""
    groups = _groups(events)
    zipped = hour_of(min(slot for slot, _ in groups) + hours // 2 * 3600)
    cut = _to_cut(groups, avoid=zipped)
    members: list[tuple[int, bytes]] = []
    for (slot, lane), records in groups.items():
        path = out / "windows" / _stamp(slot, "%Y/%m/%d/%H") / f"wec01-{_stamp(slot, '%Y%m%dT%H%MZ')}.ndjson.gz"
        lines = [event.text for event in records]
        if (slot, lane) == cut:
            whole = len(lines) // 2
            tally.cut(records, whole, slot)
            _write(path, _cut(b"\n".join([*lines[:whole], lines[whole][: len(lines[whole]) // 2]])), slot)
            continue
        body = b"\n".join(lines) + b"\n"
        if hour_of(slot) == zipped:
            members.append((slot, body))
            tally.add_object(records, slot, members=len(members))
        else:
            tally.add_object(records, slot)
            _write(path, gzip.compress(body, _LEVEL, mtime=0), slot)
    _write_zip(out, members)


def _write_zip(out: Path, members: list[tuple[int, bytes]]) -> None:
    buffer, last = io.BytesIO(), members[-1][0]
    with zipfile.ZipFile(buffer, "w") as archive:
        for slot, body in members:
            name = f"wec01-{_stamp(slot, '%Y%m%dT%H%MZ')}.ndjson"
            for member, data in ((name, body), (f"__MACOSX/._{name}", _APPLE_DOUBLE + name.encode())):
                info = zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
                archive.writestr(info, data, zipfile.ZIP_DEFLATED, _LEVEL)
    folder = out / "windows" / _stamp(last, "%Y/%m/%d/%H")
    _write(folder / f"wec01-{_stamp(last, '%Y%m%dT%H%MZ')}.zip", buffer.getvalue(), last + DELIVERY_SECONDS - 1)
