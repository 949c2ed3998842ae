"""A queue (Amazon SQS) whose messages announce objects: receiving, keeping and deleting them.

What belongs here: SQS. What does not: what messages say (`announcements`), or when they may be deleted
(`ingest.landing.queue`).

A message that was received is hidden from others for `HIDDEN_SECONDS`; `kept` hides it again and again while somebody
works on it. One that is not deleted comes back by itself.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from lake.storage.aws import AwsAccess, client, explained

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


def endpoint_of(url: str) -> tuple[str | None, str | None]:
    """Return where a queue is asked, None for the usual endpoint of its region; and the region that its address tells.

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
    """One queue. Its address tells the endpoint and the region, which may be another one than the bucket's or ours."""

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
