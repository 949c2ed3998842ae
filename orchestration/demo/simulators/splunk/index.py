"""What a HEC takes of a body, and what it says: events kept in memory, numbers of acknowledgement per channel.

Codes, parsing a body, indexing, acknowledging; HTTP and faults are `hec`'s.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

# code: (HTTP status, text), as published
CODES: dict[int, tuple[int, str]] = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
    16: (400, "Query string authorization is not enabled"),
    17: (200, "HEC is healthy"),
    18: (503, "HEC is unhealthy, queues are full"),
    19: (503, "HEC is unhealthy, ack service unavailable"),
    20: (503, "HEC is unhealthy, queues are full, ack service unavailable"),
    21: (400, "Invalid token"),
    22: (400, "Token disabled"),
    23: (503, "Server is shutting down"),
    24: (200, "HEC queue is approaching its capacity limit"),
    25: (200, "HEC ACK is approaching its capacity limit"),
    26: (429, "HEC queue is at capacity and cannot process any more requests"),
    27: (429, "HEC ACK channel is at capacity and cannot process any more requests"),
    28: (
        400,
        "Data channel is missing. If you have multiple indexers, sticky session load balancers must be provisioned and"
        " client requests must be routed accordingly.",
    ),
}
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_SPACE = re.compile(r"\s*")
_decoder = json.JSONDecoder()


class Refused(Exception):
    """A request that is not taken, or not whole: `number` is what Splunk names, `ack_id` is of the events before."""

    def __init__(self, code: int, number: int | None = None, status: int | None = None, text: str = "") -> None:
        super().__init__(code)
        self.code, self.number, self.status, self.text = code, number, status, text
        self.ack_id: int | None = None


class Indexed(NamedTuple):
    """One event as it stands in an index. `raw` is the event's text, `at` when it was indexed (epoch seconds)."""

    index: str
    time: float | str | None
    host: str
    source: str
    sourcetype: str
    fields: dict[str, Any]
    raw: bytes
    at: float

    @property
    def event(self) -> Any:
        """The event, parsed."""
        return json.loads(self.raw)


class _Envelope(msgspec.Struct):
    event: msgspec.Raw = msgspec.Raw()
    time: float | str | None = None
    host: str = ""
    source: str = ""
    sourcetype: str = ""
    index: str = ""
    fields: Any = None


_lines = msgspec.json.Decoder(_Envelope)


@dataclass
class Token:
    """A token of the collector: whether it acknowledges, is enabled, and the indexes it may write to (none: all)."""

    value: str
    acknowledges: bool = True
    enabled: bool = True
    indexes: Collection[str] = ()
    index: str = "main"


@dataclass
class _Channel:
    issued: int = 0
    due: dict[int, float] = field(default_factory=dict)  # number: when it is acknowledged


class Index:
    """Everything that was indexed, in order, and what is to be acknowledged."""

    def __init__(self, ack_delay: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.events: list[Indexed] = []
        self.ack_delay = ack_delay
        self.clock = clock
        self._channels: dict[str, _Channel] = {}
        self._lock = threading.Lock()

    def take(
        self, token: Token, channel: str, envelopes: Iterator[_Envelope], *, index: bool = True, ack: bool = True
    ) -> int | None:
        """Index events up to the first that is wrong; return the number to ask for, where the token acknowledges.

        Without `index` they are lost on the way, without `ack` they are never acknowledged.

        Raises:
            Refused: with the number of the event that is wrong; those before it are indexed.
        """
        now, taken, wrong = self.clock(), [], None
        try:
            taken.extend(_indexed(each, number, token, now) for number, each in enumerate(envelopes))
        except Refused as problem:
            wrong = problem
            # What `extend` had got when the generator raised is in the list: the events before.
        with self._lock:
            if index:
                self.events += taken
            number = self._issue(channel, now, ack and index) if token.acknowledges and taken else None
        if wrong is not None:
            wrong.ack_id = number
            raise wrong
        if not taken:
            raise Refused(5)
        return number

    def _issue(self, channel: str, now: float, ack: bool) -> int:
        held = self._channels.setdefault(channel, _Channel())
        number = held.issued
        held.issued += 1
        if ack:
            held.due[number] = now + self.ack_delay
        return number

    def acknowledged(self, channel: str, numbers: Collection[int]) -> dict[str, bool]:
        """Tell which numbers are indexed; one that was told to be is forgotten."""
        with self._lock:
            due, now = self._channels.setdefault(channel, _Channel()).due, self.clock()
            told = {str(number): due.get(number, now + 1) <= now for number in numbers}
            for number in numbers:
                if told[str(number)]:
                    due.pop(number, None)
            return told

    def restart(self) -> None:
        """Forget all channels, as a server that is restarted does; events stay."""
        with self._lock:
            self._channels.clear()

    def counts(self) -> Counter[str]:
        """How often each event id stands there."""
        with self._lock:
            return Counter(each.fields.get("event_id", "") for each in self.events)

    def newest(self) -> dict[str, Indexed]:
        """What `sort 0 - pushed_at | dedup event_id` leaves, by event id."""
        with self._lock:
            ordered = sorted(self.events, key=lambda each: -int(each.fields["pushed_at"]))
        found: dict[str, Indexed] = {}
        for each in ordered:
            found.setdefault(each.fields["event_id"], each)
        return found


def checked_channel(token: Token, channel: str, *, raw: bool = False) -> str:
    """Return a channel. It is needed where the token acknowledges, and for raw data; it is a GUID."""
    if not channel:
        if token.acknowledges or raw:
            raise Refused(10)
        return ""
    if not _GUID.match(channel):
        raise Refused(11)
    return channel


def envelopes(body: bytes) -> Iterator[_Envelope]:
    """Yield the objects of a body, one behind the other with or without white space, or in an array.

    Raises:
        Refused: code 6 with the number of the first that cannot be read; 5 where there is none.
    """
    if not body.strip():
        raise Refused(5)
    try:
        yield from _lines.decode_lines(body)  # one a line: quick
    except msgspec.MsgspecError:
        pass
    else:
        return
    yield from _slowly(body)


def _slowly(body: bytes) -> Iterator[_Envelope]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused(6, 0) from None
    if text.lstrip().startswith("["):
        try:
            held = json.loads(text)
        except ValueError:
            raise Refused(6, 0) from None
        yield from (_envelope(each, number) for number, each in enumerate(held))
        return
    at, number = len(_SPACE.match(text).group()), 0  # type: ignore[union-attr]
    while at < len(text):
        try:
            found, at = _decoder.raw_decode(text, at)
        except ValueError:
            raise Refused(6, number) from None
        yield _envelope(found, number)
        at, number = _SPACE.match(text, at).end(), number + 1  # type: ignore[union-attr]


def _envelope(found: Any, number: int) -> _Envelope:
    if not isinstance(found, dict):
        raise Refused(6, number)
    try:
        told = msgspec.convert({key: value for key, value in found.items() if key != "event"}, _Envelope)
    except msgspec.ValidationError:
        raise Refused(6, number) from None
    if "event" in found:
        told.event = msgspec.Raw(json.dumps(found["event"], ensure_ascii=False).encode())
    return told


def _indexed(told: _Envelope, number: int, token: Token, now: float) -> Indexed:
    raw = bytes(told.event)
    if not raw or raw == b"null":
        raise Refused(12, number)
    if raw == b'""':
        raise Refused(13, number)
    fields = {} if told.fields is None else told.fields
    if not isinstance(fields, dict) or any(isinstance(value, dict) for value in fields.values()):
        raise Refused(15, number)
    index = told.index or token.index
    if token.indexes and index not in token.indexes:
        raise Refused(7, number + 1)  # measured: it names the one after
    return Indexed(index, told.time, told.host, told.source, told.sourcetype, fields, raw, now)
