"""Records that another AWS service wrapped on their way: taken out, so that they are what the vendor wrote.

There are four wrappers. `cloudwatch_logs`: a subscription of CloudWatch Logs, through Firehose or not, whose
documents hold records as texts ("Log group-level subscription filters", Amazon CloudWatch Logs User Guide: messageType,
owner, logGroup, …, logEvents [id, timestamp, message]), or an export of it to S3, whose lines begin with the time at
which CloudWatch Logs took the message. `eventbridge`: an event that holds the record as its `detail`
("AWS service events delivered by EventBridge", Amazon EventBridge User Guide). `event_hook`: a call of an Okta event
hook, which holds the record in `data.events` ("Event hooks", Okta Developer); one with several stays whole.
`splunk_hec`: what is sent to Splunk's HTTP event collector, with the record as its `event`, an object or a text
("Format events for HTTP Event Collector", Splunk). A contract names the wrappers of its source.

What is not sound passes as it is, so that it ends in quarantine, whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pyarrow as pa

from ingest.decode.documents import EXPORT_BEGIN, SUBSCRIPTION_BEGIN
from ingest.decode.records import BLANKS, Broken, Piece, piece_of

_LONGEST_BEGIN = 64
_LONGEST_LINE = 1 << 20  # that is waited for; of a longer one the begin is looked at


class _LogEvent(msgspec.Struct):
    message: str


class _Document(msgspec.Struct):
    kind: str = msgspec.field(name="messageType")
    events: list[_LogEvent] = msgspec.field(name="logEvents")


class _Event(msgspec.Struct):
    kind: str = msgspec.field(name="detail-type")
    detail: msgspec.Raw


class _HookData(msgspec.Struct):
    events: list[msgspec.Raw]


class _Hook(msgspec.Struct):
    kind: str = msgspec.field(name="eventType")
    data: _HookData


class _Hec(msgspec.Struct):
    sourcetype: str
    event: msgspec.Raw


_DOCUMENTS = msgspec.json.Decoder(_Document)
_SINGLES = msgspec.json.Decoder(_Event), msgspec.json.Decoder(_Hook), msgspec.json.Decoder(_Hec)
_TEXT = msgspec.json.Decoder(str)


def messages(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The messages of a subscription's documents, a line each. Control messages, which are no records, are left out.

    A document longer than `most` bytes, or damaged, passes as it is; Broken comes after all that could be read.
    """
    text, looked = b"", 1
    try:
        for chunk in chunks:
            text += chunk
            cuts = [0, *(found.start() for found in SUBSCRIPTION_BEGIN.finditer(text, looked))]
            for begin, end in pairwise(cuts):
                yield _texts(text[begin:end])
            text = text[cuts[-1] :]
            looked = max(1, len(text) - _LONGEST_BEGIN)
            if len(text) > most:
                yield text
                text, looked = b"", 1
    except Broken:
        yield text  # cut off: the decoder makes it one record, with the reason
        raise
    yield _texts(text)


def unstamped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of an export without the time in front of them. Broken comes after all that could be read."""
    text, at_begin = b"", True
    try:
        for chunk in chunks:
            text += chunk
            end = text.rfind(b"\n") + 1 or (len(text) if len(text) > _LONGEST_LINE else 0)
            if end:
                yield _without_stamps(text[:end], at_begin)
                at_begin, text = text[:end].endswith(b"\n"), text[end:]
    except Broken:
        yield _without_stamps(text, at_begin)
        raise
    yield _without_stamps(text, at_begin)


def _without_stamps(text: bytes, at_begin: bool) -> bytes:
    if at_begin:
        return EXPORT_BEGIN.sub(b"", text)
    first = text.find(b"\n") + 1 or len(text)  # the rest of a line whose begin has gone out already
    return text[:first] + EXPORT_BEGIN.sub(b"", text[first:])


def details(part: Piece, may_be: pa.BooleanArray) -> Piece:
    """The same records; in the stead of a document that holds one, this one. `may_be` says which could be such."""
    pairs = zip(part.lines.to_pylist(), may_be.to_pylist(), strict=True)
    made = piece_of([_detail(text.encode()) if wrapped else text.encode() for text, wrapped in pairs])
    return Piece(made.lines, {**made.problems, **part.problems})


def _texts(document: bytes) -> bytes:
    if not document.strip(BLANKS):
        return b""
    try:
        found = _DOCUMENTS.decode(document)
    except (msgspec.DecodeError, RecursionError):
        return document.rstrip(BLANKS) + b"\n"
    if found.kind == "CONTROL_MESSAGE":
        return b""
    return b"".join(each.message.rstrip("\r\n").encode() + b"\n" for each in found.events)


def _detail(text: bytes) -> bytes:
    for decoder in _SINGLES:
        try:
            found = decoder.decode(text)
        except (msgspec.DecodeError, RecursionError):
            continue
        inner = _inner(found)
        if inner[:1] == b'"':
            inner = _TEXT.decode(inner).strip().encode()
        if inner[:1] == b"{":
            return inner
    return text


def _inner(found: _Event | _Hook | _Hec) -> bytes:
    if isinstance(found, _Event):
        return bytes(found.detail)
    if isinstance(found, _Hec):
        return bytes(found.event)
    return bytes(found.data.events[0]) if len(found.data.events) == 1 else b""
