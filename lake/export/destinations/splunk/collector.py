"""One HTTP Event Collector (HEC): posting a body, asking which were acknowledged, and what its answers mean.

Sources: Splunk, "Troubleshoot HTTP Event Collector" (codes and their HTTP statuses), "About HTTP Event Collector
Indexer Acknowledgment", "Format events for HTTP Event Collector". What the documentation leaves open was taken from
published runs against Splunk Enterprise 10.4.3 and Splunk Cloud 10.5 (decision record `splunk-hec` of the project
logit): `invalid-event-number` counts from 0 and the events before it ARE indexed, with an `ackId` of their own where
the token acknowledges; code 7 names the event after the one it means; a number of acknowledgement answers `true` once
and `false` ever after; Splunk Cloud answers a body that is too large with code 6, number 0, and a missing channel with
code 28.
"""

import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

import msgspec

from lake.base.http import Answer, Clock, FailedTry, GaveUp, HeaderAuth, HttpClient, Retry, retry_after
from lake.export.errors import DestinationDenied, DestinationUnavailable

EVENTS, ACKS = "/services/collector/event", "/services/collector/ack"
_REFUSED = (6, 12, 13, 15)  # the event is wrong: format, no event, blank event, indexed fields
_TOKEN = (1, 2, 3, 4, 21, 22)
_CHANNEL = (10, 11, 28)


class _Said(msgspec.Struct):
    text: str = ""
    code: int = -1
    ack_id: int | None = msgspec.field(default=None, name="ackId")
    invalid: int | None = msgspec.field(default=None, name="invalid-event-number")


class _Acks(msgspec.Struct):
    acks: dict[str, bool]


@dataclass(frozen=True)
class Posted:
    """What became of a body: taken whole, or refused.

    `invalid` is the number (from 0) of the event that Splunk named: those before it were taken, under `ack_id` where
    the token acknowledges. `code` is Splunk's own, or `http <status>`. `bytes` are those of the body as it was sent.
    `repeated` says that the body was sent before without an answer, so that its events may be there twice.
    """

    taken: bool
    code: str
    text: str
    ack_id: int | None
    invalid: int | None
    bytes: int
    repeated: bool


class Collector:
    """A HEC with a token and a channel; threads may share it. `connections` bodies are under way at most.

    All threads share one client and its cookies: where a load balancer keeps clients apart by a cookie, the
    acknowledgements are with the indexer that took the events. Who waits after `ended` is set gives up.
    """

    def __init__(
        self,
        url: str,
        token: str,
        channel: str,
        *,
        connections: int,
        timeout_seconds: float,
        retry_seconds: float,
        verify: bool | str,
    ) -> None:
        self.url, self.channel, self._token = url.rstrip("/"), channel, token
        self.ended = Event()
        self._client = HttpClient(
            auth=HeaderAuth("Authorization", lambda: f"Splunk {token}"),
            timeout_seconds=timeout_seconds,
            verify=verify,
            connections=connections + 1,
            retry=Retry(total_seconds=retry_seconds, longest_asked=15.0),
            clock=Clock(sleep=self._sleep),
            headers={
                "User-Agent": "headwater",
                "Content-Type": "application/json",
                "X-Splunk-Request-Channel": channel,
            },
        )

    def close(self) -> None:
        """End connections."""
        self.ended.set()
        self._client.close()

    def send(self, body: bytes) -> Posted:
        """Post events until Splunk has taken or refused them.

        Raises:
            DestinationDenied: the token, the channel, the index or the address is wrong.
            DestinationUnavailable: no answer, or "busy", for longer than the bound; the events may have been taken.
        """
        packed = zlib.compressobj(1, wbits=31)
        data = packed.compress(body) + packed.flush()
        with _explained():
            answer = self._client.send(
                "POST", self.url + EVENTS, judge=self._judge, data=data, headers={"Content-Encoding": "gzip"}
            )
        said, taken = _said(answer), answer.status == 200
        code = str(said.code) if taken or said.code >= 0 else f"http {answer.status}"
        number = None if taken else said.invalid
        return Posted(taken, code, said.text, said.ack_id, number, len(data), answer.repeated)

    def check(self) -> None:
        """Make sure, before any event goes, that the token is good and acknowledges.

        Raises:
            DestinationDenied, DestinationUnavailable.
        """
        with _explained():
            self._client.send("POST", self._acks_url, judge=self._acks, data=_asking([0]))

    def acknowledged(self, ids: Collection[int]) -> set[int]:
        """Return which of some numbers Splunk acknowledges now. Asks once.

        Raises:
            DestinationDenied: the token does not acknowledge, or is wrong.
            DestinationUnavailable: there was no answer.
        """
        try:
            acks = self._acks(self._client.exchange("POST", self._acks_url, data=_asking(ids)))
        except FailedTry as problem:
            raise DestinationUnavailable(str(problem)) from None
        return {number for number in ids if acks.get(str(number))}

    @property
    def _acks_url(self) -> str:
        return f"{self.url}{ACKS}?channel={self.channel}"

    def _acks(self, answer: Answer) -> dict[str, bool]:
        said = _said(answer)
        if answer.status == 200:
            try:
                return msgspec.json.decode(answer.body, type=_Acks).acks
            except msgspec.MsgspecError:
                raise FailedTry(f"{self.url}{ACKS}", "the answer is no list of acknowledgements") from None
        if said.code == 14:
            raise DestinationDenied(
                f"{self.url}: the token does not acknowledge (code 14, {said.text}). Enable indexer acknowledgment for"
                " it in Splunk, or set `acknowledge: false` for this destination"
            )
        self._refuses(answer.status, said)
        raise self._failed(answer, said)

    def _judge(self, answer: Answer) -> None:
        """Take an answer to a body that is final."""
        said = _said(answer)
        if answer.status != 200 and not self._refuses(answer.status, said):
            raise self._failed(answer, said)

    def _failed(self, answer: Answer, said: _Said) -> FailedTry:
        # Busy answers (429, and 503 with a code) say that nothing was taken; of others nobody knows.
        busy = answer.status == 429 or (answer.status == 503 and said.code >= 0)
        wait = retry_after(answer.headers, time.time())
        return FailedTry(self.url, self._reason(answer.status, said), wait=wait, may_have_arrived=not busy)

    def _refuses(self, status: int, said: _Said) -> bool:
        """Whether the events are refused, and not the request: for that DestinationDenied is raised."""
        if said.code in _REFUSED or status == 413:
            return True
        told = f"{self.url} {self._reason(status, said)}"
        if status in (401, 403) or said.code in _TOKEN:
            raise DestinationDenied(f"{told}. Check the token in Splunk, and its variable here")
        if said.code == 7:
            raise DestinationDenied(
                f"{told}: the token may not write to the index. Add it to the token's allowed indexes in Splunk, or set"
                " another `index`"
            )
        if said.code in _CHANNEL:
            raise DestinationDenied(f"{told}. Something on the way removes the channel's header")
        if status == 400:
            return True
        if 300 <= status < 500 and status not in (408, 429):
            raise DestinationDenied(f"{told}. Check `url`: is an event collector there?")
        return False

    def _reason(self, status: int, said: _Said) -> str:
        code = f", code {said.code}" if said.code >= 0 else ""
        return f"answered {status}{code}" + (f" ({self.hidden(said.text)})" if said.text else "")

    def hidden(self, text: str) -> str:
        """Return words of a server without the token, at most 200 characters."""
        return text.replace(self._token, "…")[:200]

    def _sleep(self, seconds: float) -> None:
        if self.ended.wait(seconds):
            raise DestinationUnavailable(f"{self.url}: the push was broken off")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except GaveUp as problem:
        raise DestinationUnavailable(
            f"{problem}. What was acknowledged is remembered; the rest, which Splunk may hold in part, goes again with"
            " the next push"
        ) from None
    except FailedTry as problem:  # no other try would help: the certificate, or an address that is none
        raise DestinationDenied(
            f"{problem}: check `url`, and set `ca_file` to the certificates that the server's is signed with"
        ) from None


def _asking(ids: Collection[int]) -> bytes:
    return msgspec.json.encode({"acks": sorted(ids)})


def _said(answer: Answer) -> _Said:
    try:
        return msgspec.json.decode(answer.body, type=_Said)
    except msgspec.MsgspecError:  # a proxy's page
        return _Said()
