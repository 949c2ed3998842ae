"""Records that another service wrapped on their way: taken out, so that they are what the vendor wrote.

There are five wrappers. `cloudwatch_logs`: a subscription of CloudWatch Logs, through Firehose or not, whose
documents hold records as texts ("Log group-level subscription filters", Amazon CloudWatch Logs User Guide: messageType,
owner, logGroup, …, logEvents [id, timestamp, message]), or an export of it to S3, whose lines begin with the time at
which CloudWatch Logs took the message. `eventbridge`: an event that holds the record as its `detail`
("AWS service events delivered by EventBridge", Amazon EventBridge User Guide). `event_hook`: a call of an Okta event
hook, which holds its records in `data.events` ("Event hooks", Okta Developer).
`splunk_hec`: what is sent to Splunk's HTTP event collector, with the record as its `event`, an object or a text
("Format events for HTTP Event Collector", Splunk). `message`: objects of a collector (Filebeat, Logstash, fluent-bit,
Kibana) that have the record as a text, `message` or `event.original`, and the answers of `filter-log-events` of
CloudWatch Logs. A contract names the wrappers of its source.

What is not sound passes as it is, so that it ends in quarantine, whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

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


class _Texts(msgspec.Struct):
    message: str | None = None
    log: str | None = None
    dotted: str | None = msgspec.field(name="event.original", default=None)
    event: dict[str, Any] | str | None = None
    source: dict[str, Any] | None = msgspec.field(name="_source", default=None)


class _Answer(msgspec.Struct):
    events: list[_LogEvent]


_DOCUMENTS = msgspec.json.Decoder(_Document)
_SINGLES = msgspec.json.Decoder(_Event), msgspec.json.Decoder(_Hook), msgspec.json.Decoder(_Hec)
_TEXT = msgspec.json.Decoder(str)
_HOOKS = msgspec.json.Decoder(_Hook)
_ANSWERS = msgspec.json.Decoder(_Answer)
_COLLECTED = msgspec.json.Decoder(_Texts)
# What a text begins with that holds such objects; only what begins so is looked at.
HOOK_BEGIN = re.compile(rb"""\s*\{(?=[^\0]*?"com\.okta\.event_hook")""")
_NAMED = rb"""\s*\{(?=[^\0]*?"(?:message|log|original|event\.original)"\s*:\s*"(?:\s|\\[nrt])*"""
MESSAGE_BEGIN = re.compile(_NAMED + rb"\{)")
TEXT_BEGIN = re.compile(_NAMED + rb"[\w-]+ [\w.-]+ )")


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


def inner_lines(chunks: Iterator[bytes], most: int, *, as_text: bool = False) -> Iterator[bytes]:
    """The records inside objects of `event_hook` and `message`, a line each: of objects on a line each, or of one over
    many lines. What is none passes as it is, and so does what is longer than `most` bytes.

    `as_text`: the source's records are lines of text; else a text is a record when it holds a JSON object.
    """
    text, by_line = b"", False
    try:
        for chunk in chunks:
            text += chunk
            end = text.rfind(b"\n") + 1
            by_line = by_line or _is_object(text[:end].lstrip().partition(b"\n")[0])
            if by_line:
                yield from (_opened(line, as_text) for line in text[:end].splitlines(keepends=True))
                text = text[end:]
            elif len(text) > most:
                yield text
                yield from chunks
                return
    except Broken:
        yield text
        raise
    if text:
        yield _opened(text, as_text)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(text, type=dict[str, msgspec.Raw]), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _opened(document: bytes, as_text: bool) -> bytes:
    found: list[bytes] = []
    try:
        if b"com.okta.event_hook" in document:
            found = [bytes(each) for each in _HOOKS.decode(document).data.events]
        elif b'"message"' in document and b'"events"' in document:
            found = [each.message.encode() for each in _ANSWERS.decode(document).events]
        else:
            collected = _COLLECTED.decode(document)
            for text in _texts_in(collected):
                if as_text or (text.lstrip()[:1] == "{" and _is_object(text.encode())):
                    found = [text.encode()]
                    break
        if not as_text:
            found = [msgspec.json.format(each, indent=-1) if b"\n" in each else each.strip() for each in found]
    except (msgspec.MsgspecError, RecursionError):
        return document
    return b"".join(each.rstrip(b"\r\n") + b"\n" for each in found) or document


def _texts_in(collected: _Texts) -> Iterator[str]:
    """The texts that may be a record, the most original first."""
    for holder in (collected.event, (collected.source or {}).get("event")):
        if isinstance(holder, dict) and isinstance(text := holder.get("original"), str):
            yield text
    source = collected.source or {}
    for each in (collected.dotted, collected.message, collected.log, source.get("message"), collected.event):
        if isinstance(each, str):
            yield each


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
