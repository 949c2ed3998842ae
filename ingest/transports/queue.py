"""A queue (Amazon SQS) whose messages announce objects: receiving, keeping and deleting them, and what they announce.

A message that was received is hidden from others for `HIDDEN_SECONDS`; `kept` hides it again and again while somebody
works on it. One that is not deleted comes back by itself. When messages may be deleted is decided in
`ingest.landing.queue`.

Shapes of messages: S3 event notifications ("Event message structure", Amazon S3 User Guide), as they are, inside an SNS
envelope ("Parsing JSON formats", Amazon SNS Developer Guide) or as EventBridge events ("EventBridge event message
structure", Amazon S3 User Guide); and CrowdStrike's FDR messages, one for each finished batch of files.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from lake.storage.aws import client, explained
from lake.storage.store import AwsAccess

HIDDEN_SECONDS = 900
_KEPT_EVERY_SECONDS = 300.0
_AT_ONCE = 8  # requests
_OF_ONE_REQUEST = 10  # messages; SQS's maximum
_WAIT_SECONDS = 1  # asking every server of the queue, which a request without waiting does not
_GATHERING_SECONDS = 20.0  # a queue into which messages trickle all the time is not waited for to be empty

_REGION = r"(?P<region>[a-z]{2}[a-z-]*-\d+)"
_USUAL = re.compile(
    rf"sqs\.{_REGION}\.amazonaws\.com(?:\.cn)?|(?:{_REGION.replace('region', 'older')}\.)?queue\.amazonaws\.com"
)
_OTHER = re.compile(rf"(?:^|\.)sqs(?:-fips)?\.{_REGION}\.(?:.*\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$")
_ENVELOPES = 3  # one inside the other


def endpoint_of(url: str) -> tuple[str | None, str | None]:
    """Return the endpoint of a queue (None: the usual one of its region) and the region in its address.

    Addresses: "Amazon SQS endpoints and quotas", AWS General Reference. Private endpoints (VPC), FIPS and dual-stack
    ones are asked as they are written, and so is a server that speaks SQS.
    """
    parts = urlsplit(url)
    usual, other = _USUAL.fullmatch(parts.hostname or ""), _OTHER.search(parts.hostname or "")
    if usual:
        return None, usual["region"] or usual["older"] or "us-east-1"
    return f"{parts.scheme}://{parts.netloc}", other["region"] if other else None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as received: its id, the handle by which it is deleted, its text, how often it was received."""

    id: str
    handle: str
    body: str
    received: int


class Queue:
    """One queue. Endpoint and region follow from its address; the region may differ from the bucket's and ours."""

    def __init__(self, url: str, access: AwsAccess) -> None:
        self.url = url
        endpoint, region = endpoint_of(url)
        self._client = client(replace(access, region=region) if region else access, "sqs", endpoint)

    def receive(self, most: int) -> list[Message]:
        """Return the messages that are there, up to about `most`; each once.

        Raises:
            AccessDenied, StoreUnavailable: the queue cannot be read; the message names the permission.
        """
        found: dict[str, Message] = {}
        until = time.monotonic() + _GATHERING_SECONDS
        at_once = 1
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="receive") as pool:
            while len(found) < most:
                answers = list(pool.map(lambda _: self._receive(), range(at_once)))
                found.update((each.id, each) for answer in answers for each in answer)
                full = all(len(answer) == _OF_ONE_REQUEST for answer in answers)
                if not any(answers) or (not full and time.monotonic() > until):
                    break
                at_once = _AT_ONCE if full else 1
        return list(found.values())

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages. One whose handle has expired comes back, which does no harm."""
        self._in_tens(
            messages,
            lambda entries: self._ask("delete_message_batch", "sqs:DeleteMessage", Entries=entries),
            lambda each: {"ReceiptHandle": each.handle},
        )

    @contextmanager
    def kept(self, messages: Sequence[Message]) -> Iterator[None]:
        """Hide messages from others for as long as this lasts."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(_KEPT_EVERY_SECONDS):
                try:
                    self.hide(messages)
                except OSError:  # they may be received by somebody else then, who finds their objects in the ledger
                    continue

        thread = threading.Thread(target=keep, name="keep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def hide(self, messages: Sequence[Message]) -> None:
        """Hide messages for `HIDDEN_SECONDS` from now."""
        self._in_tens(
            messages,
            lambda entries: self._ask(
                "change_message_visibility_batch", "sqs:ChangeMessageVisibility", Entries=entries
            ),
            lambda each: {"ReceiptHandle": each.handle, "VisibilityTimeout": HIDDEN_SECONDS},
        )

    def check(self) -> None:
        """Ask for the queue's attributes. Raises AccessDenied, StoreUnavailable."""
        self._ask("get_queue_attributes", "sqs:GetQueueAttributes", AttributeNames=["QueueArn"])

    def has_dead_letters(self) -> bool:
        """Return whether the queue itself puts aside what is received again and again; true where it will not tell."""
        try:
            answer = self._ask("get_queue_attributes", "sqs:GetQueueAttributes", AttributeNames=["RedrivePolicy"])
        except PermissionError:
            return True
        return "RedrivePolicy" in answer.get("Attributes", {})

    def _receive(self) -> list[Message]:
        answer = self._ask(
            "receive_message",
            "sqs:ReceiveMessage",
            MaxNumberOfMessages=_OF_ONE_REQUEST,
            WaitTimeSeconds=_WAIT_SECONDS,
            VisibilityTimeout=HIDDEN_SECONDS,
            AttributeNames=["ApproximateReceiveCount"],
        )
        return [
            Message(
                id=each["MessageId"],
                handle=each["ReceiptHandle"],
                body=each["Body"],
                received=int(each.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for each in answer.get("Messages", ())
        ]

    def _in_tens(self, messages: Sequence[Message], ask: Any, entry: Any) -> None:
        tens = [messages[at : at + _OF_ONE_REQUEST] for at in range(0, len(messages), _OF_ONE_REQUEST)]
        entries = [[{"Id": str(number), **entry(each)} for number, each in enumerate(ten)] for ten in tens]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(ask, entries))

    def _ask(self, action: str, permission: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, action)(QueueUrl=self.url, **request)
        except (ClientError, BotoCoreError, OSError) as problem:
            raise explained(problem, permission, "", self.url) from problem
        return answer


class UnreadableMessage(ValueError):
    """A message that is no notification of its queue's shape. It says what was expected."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One object that was made: etag without quotes and size in bytes where the message has them.

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
    at = datetime.fromtimestamp(made_at / 1000, tz=UTC) if isinstance(made_at, int) else None
    if not isinstance(message["files"], list):
        raise UnreadableMessage("expected files to be a list")
    for file in message["files"]:
        yield Announced(
            bucket=_text(message["bucket"]),
            key=_text(file["path"]),
            size=_size(file.get("size")),
            made_at=at,
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
