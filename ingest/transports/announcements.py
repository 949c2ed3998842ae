"""What a queue's messages announce: objects that were made in a bucket.

What belongs here: the shapes of notifications. What does not: receiving and deleting messages (`queue`), or whether an
object is read (`ingest.landing.queue`).

Shapes: S3 event notifications ("Event message structure", Amazon S3 User Guide), as they are, inside an SNS envelope
("Parsing JSON formats", Amazon SNS Developer Guide) or as EventBridge events ("EventBridge event message structure",
Amazon S3 User Guide); and CrowdStrike's FDR messages, one for each finished batch of files.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

_ENVELOPES = 3  # one inside the other


class UnreadableMessage(ValueError):
    """A message that is no notification of its queue's shape. It says what was expected."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One object that was made: etag without quotes and size in bytes where the message tells them.

    `order` sorts the announcements of one key; the last one is about the object that is there.
    """

    bucket: str
    key: str
    size: int | None = None
    etag: str | None = None
    made_at: datetime | None = None
    order: str = ""


def announced(body: str, shape: str) -> list[Announced]:
    """Return the objects that a message announces; none for a test, a deletion and the like.

    Raises:
        UnreadableMessage: the message is not of its shape (`s3_event`, `crowdstrike_fdr`).
    """
    try:
        message = _opened(body)
        is_fdr = shape == "crowdstrike_fdr" and not _is_of_s3(message)  # who copies it to a bucket of his own has S3's
        return list(_of_fdr(message) if is_fdr else _of_s3(message))
    except (json.JSONDecodeError, RecursionError) as problem:
        raise UnreadableMessage(f"not JSON: {problem}") from None
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, OSError) as problem:
        if isinstance(problem, UnreadableMessage):
            raise
        raise UnreadableMessage(f"not a {shape} notification: {type(problem).__name__} {problem}") from None


def _opened(body: str) -> Mapping[str, Any]:
    """Return a message, taken out of the envelope that SNS puts around it."""
    message = json.loads(body)
    for _ in range(_ENVELOPES):
        if not isinstance(message, dict):
            raise UnreadableMessage(f"expected an object, found {type(message).__name__}")
        if not isinstance(message.get("Message"), str) or "TopicArn" not in message:
            return message
        message = json.loads(message["Message"])
    raise UnreadableMessage("more envelopes than SNS makes")


def _is_of_s3(message: Mapping[str, Any]) -> bool:
    return "files" not in message and bool(message.keys() & {"Records", "detail-type", "Event"})


def _of_s3(message: Mapping[str, Any]) -> Iterator[Announced]:
    if message.get("Event") == "s3:TestEvent":
        return
    if "detail-type" in message:
        yield from _of_event_bridge(message)
        return
    if not isinstance(message.get("Records"), list):
        raise UnreadableMessage("expected Records of an S3 event, an EventBridge event or either inside SNS's envelope")
    for record in message["Records"]:
        if not str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
            continue
        made = record["s3"]["object"]
        yield Announced(
            bucket=_text(record["s3"]["bucket"]["name"]),
            key=unquote_plus(_text(made["key"])),
            size=_size(made.get("size")),
            etag=_etag(made.get("eTag")),
            made_at=_instant(record.get("eventTime")),
            order=str(made.get("sequencer", "")).zfill(32) + str(record.get("eventTime", "")),
        )


def _of_event_bridge(message: Mapping[str, Any]) -> Iterator[Announced]:
    if message["detail-type"] != "Object Created":
        if not str(message.get("source", "")).startswith("aws.s3"):
            raise UnreadableMessage(f"an event of {message.get('source')!r}, expected one of aws.s3")
        return
    made = message["detail"]["object"]
    yield Announced(
        bucket=_text(message["detail"]["bucket"]["name"]),
        key=_text(made["key"]),  # EventBridge does not encode keys
        size=_size(made.get("size")),
        etag=_etag(made.get("etag")),
        made_at=_instant(message.get("time")),
        order=str(made.get("sequencer", "")).zfill(32) + str(message.get("time", "")),
    )


def _of_fdr(message: Mapping[str, Any]) -> Iterator[Announced]:
    made_at = message.get("timestamp")
    told = datetime.fromtimestamp(made_at / 1000, tz=UTC) if isinstance(made_at, int) else None
    if not isinstance(message["files"], list):
        raise UnreadableMessage("expected files to be a list")
    for file in message["files"]:
        yield Announced(
            bucket=_text(message["bucket"]),
            key=_text(file["path"]),
            size=_size(file.get("size")),
            made_at=told,
            order=str(made_at),
        )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UnreadableMessage(f"expected a name, found {value!r}")
    return value


def _size(value: object) -> int | None:
    size = int(str(value)) if value is not None else None
    if size is not None and size < 0:
        raise UnreadableMessage(f"expected a size in bytes, found {value!r}")
    return size


def _etag(value: object) -> str | None:
    return str(value).strip('"') if value else None


def _instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
