"""A simulated Splunk HTTP Event Collector (HEC): real HTTP on this machine, with Splunk's published behaviour.

Routes, authorization, HTTP and faults; `index` takes events from a body. From the shell: `python -m
orchestration.demo.simulators.splunk`.

Facts, from Splunk's documentation: "HTTP Event Collector REST API endpoints", "Format events for HTTP Event Collector"
(authorization, channel, envelope), "About HTTP Event Collector Indexer Acknowledgment" (numbers per channel),
"Troubleshoot HTTP Event Collector" (codes 0 to 27 and their HTTP statuses), limits.conf `[http_input]`
(`max_content_length` 838860800). What these leave open is as measured on Splunk Enterprise 10.4.3 by the project logit
(decision record `splunk-hec`): the events before the one that `invalid-event-number` names (from 0) are indexed and
have an `ackId` of their own; code 7 names the event after the one it means; numbers begin at 0; a number is
acknowledged once; a 404 has a JSON body; Splunk Cloud (`cloud`) takes 5 MiB and says code 6, number 0 to more, and
code 28 for a missing channel. Not simulated: metrics, `auto_extract_timestamp`, envelope keys unknown to Splunk.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from orchestration.demo.simulators.loopback import LoopbackHandler, LoopbackServer, counted
from orchestration.demo.simulators.splunk.index import CODES, Index, Indexed, Refused, Token, checked_channel, envelopes

_EVENT = ("/services/collector", "/services/collector/event", "/services/collector/event/1.0")
_RAW = ("/services/collector/raw", "/services/collector/raw/1.0")
_ACK = ("/services/collector/ack",)
_HEALTH = ("/services/collector/health", "/services/collector/health/1.0")
_CLOUD_BYTES = 5 << 20

Kind = Literal[
    "answer",  # an answer with `code`, nothing is taken; codes 24 and 25 take all
    "page",  # an answer with `status` and a page of HTML, as proxies give; nothing is taken
    "wait",  # `seconds` of silence, then all is as ever
    "reset_before",  # the connection is reset, nothing is taken
    "reset_after",  # the events are indexed, and the connection is reset before the answer
    "lost",  # the answer is as ever, but the events get lost on the way and are never acknowledged
    "never_acknowledged",  # the events are indexed, and never acknowledged
    "restart",  # as after a restart: the events are indexed, all numbers of acknowledgement are forgotten
]


@dataclass
class Fault:
    """One fault, at the paths that begin with `where` and, if given, the bodies for which `when` is true.

    The first `after` of these go well, then every `every`-th meets it, at most `times` (None: for ever).
    """

    kind: Kind
    where: str = "/services/collector/event"
    after: int = 0
    every: int = 1
    times: int | None = 1
    code: int = 9
    status: int = 502
    seconds: float = 0.0
    retry_after: str = ""
    when: Callable[[bytes], bool] | None = None
    seen: int = field(default=0, init=False)
    made: int = field(default=0, init=False)

    def strikes(self, path: str, body: bytes) -> bool:
        """Whether a request meets this fault; counts it."""
        return path.startswith(self.where) and (self.when is None or self.when(body)) and counted(self)


@dataclass(frozen=True)
class Request:
    """One request as the collector saw it: `status` is 0 when there was no answer, `events` are those taken."""

    path: str
    channel: str
    status: int
    code: int
    events: int
    gzip: bool
    fault: str | None


class _Handler(LoopbackHandler):
    server_of: SplunkSimulator

    def do_OPTIONS(self) -> None:
        self._begin()
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._begin()
        if self._place.path not in _HEALTH:
            return self._missing()
        try:
            self._token(health=True)
        except Refused as refused:
            if refused.code != 2:
                return self._say({1: 22, 4: 21}.get(refused.code, refused.code))
        self._say(self.server_of.health)

    def do_POST(self) -> None:
        self._begin()
        fault = self.server_of.met(self._place.path, self._body)
        self._fault = fault
        kind = fault.kind if fault else ""
        if fault and kind == "wait":
            self.server_of.stopping.wait(fault.seconds)
        if fault and kind == "page":
            return self._answer(fault.status, b"<html><body>Bad Gateway</body></html>", "text/html")
        if fault and kind == "answer" and fault.code not in (24, 25):
            return self._say(fault.code, retry_after=fault.retry_after)
        if kind == "reset_before":
            return self._reset()
        try:
            self._serve(kind, fault.code if fault and kind == "answer" else 0)
        except Refused as refused:
            if kind == "reset_after":
                return self._reset()
            more = {} if refused.number is None else {"invalid-event-number": refused.number}
            if refused.ack_id is not None:
                more["ackId"] = refused.ack_id
            self._say(refused.code, more, status=refused.status, text=refused.text)

    def _serve(self, kind: str, code: int) -> None:
        if self._place.path not in (*_EVENT, *_RAW, *_ACK):
            return self._missing()
        token = self._token()
        raw = self._place.path in _RAW
        if not self._channel and token.acknowledges and self.server_of.cloud:
            raise Refused(28)
        channel = checked_channel(token, self._channel, raw=raw)
        if self._place.path in _ACK:
            return self._acknowledge(token, channel)
        body = self._unpacked()
        before = len(self.server_of.events)
        if kind == "restart":
            self.server_of.index.restart()
        given = self._raw_events(body) if raw else envelopes(body)
        try:
            number = self.server_of.index.take(
                token, channel, given, index=kind != "lost", ack=kind not in ("lost", "never_acknowledged")
            )
        finally:
            self._taken = len(self.server_of.events) - before
        if kind == "reset_after":
            return self._reset()
        self._say(code, {} if number is None else {"ackId": number})

    def _raw_events(self, body: bytes) -> Any:
        """Lines as events, with what the query says of them."""
        told = {name: values[-1] for name, values in parse_qs(self._place.query).items() if name != "channel"}
        lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
        if not lines:
            raise Refused(5)
        return envelopes("".join(json.dumps({**told, "event": line}) for line in lines).encode())

    def _acknowledge(self, token: Token, channel: str) -> None:
        if not token.acknowledges:
            raise Refused(14)
        try:
            numbers = [int(each) for each in json.loads(self._body)["acks"]]
        except (ValueError, KeyError, TypeError):
            raise Refused(6) from None
        told = {"acks": self.server_of.index.acknowledged(channel, numbers)}
        self._answer(200, json.dumps(told).encode())

    def _token(self, *, health: bool = False) -> Token:
        given = self.headers.get("Authorization")
        asked = parse_qs(self._place.query).get("token")
        if given is None and asked and not health:
            if not self.server_of.query_string_tokens:
                raise Refused(16)
            value = asked[-1]
        elif given is None:
            raise Refused(2)
        else:
            value = _token_of(given)
        token = self.server_of.tokens.get(value)
        if token is None:
            raise Refused(4)
        if not token.enabled:
            raise Refused(1)
        return token

    def _unpacked(self) -> bytes:
        body, encoding = self._body, self.headers.get("Content-Encoding", "")
        if len(body) > self.server_of.max_content_length:
            raise self._too_large(len(body))
        if encoding == "gzip":
            try:
                body = zlib.decompress(body, wbits=31)
            except zlib.error:
                raise Refused(6) from None
        elif encoding:
            raise Refused(415, status=415, text="Unsupported Media Type")
        if len(body) > self.server_of.max_content_length:
            raise self._too_large(len(body))
        if self.server_of.cloud and len(body) > _CLOUD_BYTES:
            raise Refused(6, 0)
        return body

    def _too_large(self, length: int) -> Refused:
        limit = self.server_of.max_content_length
        return Refused(413, status=413, text=f"Content-Length of {length} too large (maximum is {limit})")

    def _begin(self) -> None:
        self._place = urlsplit(self.path)
        self._fault: Fault | None = None
        self._taken = 0
        self._body = self.content()
        asked = parse_qs(self._place.query).get("channel", [""])
        self._channel = self.headers.get("X-Splunk-Request-Channel") or asked[-1]

    def _missing(self) -> None:
        told = {"text": "The requested URL was not found on this server.", "code": 404}
        self._answer(404, json.dumps(told).encode(), code=404)

    def _say(
        self,
        code: int,
        more: dict[str, Any] | None = None,
        *,
        status: int | None = None,
        text: str = "",
        retry_after: str = "",
    ) -> None:
        published, words = CODES.get(code, (status or 500, text))
        told = {"text": text or words, "code": code, **(more or {})}
        self._answer(status or published, json.dumps(told, separators=(",", ":")).encode(), code=code, wait=retry_after)

    def _answer(
        self, status: int, body: bytes, kind: str = "application/json", *, code: int = -1, wait: str = ""
    ) -> None:
        self._record(status, code)
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if wait:
            self.send_header("Retry-After", wait)
        self.end_headers()
        self.wfile.write(body)

    def _record(self, status: int, code: int = -1) -> None:
        """Recorded before the answer goes out: who has the answer finds the request."""
        packed = self.headers.get("Content-Encoding") == "gzip"
        fault = self._fault.kind if self._fault else None
        self.server_of.record(Request(self._place.path, self._channel, status, code, self._taken, packed, fault))

    def _reset(self) -> None:
        self._record(0)
        self.reset()


class SplunkSimulator(LoopbackServer):
    """One collector.

    ack_delay: seconds from taking to acknowledging. max_content_length: bytes of a body, packed or not. health: the
    code of the health endpoints.
    """

    handler = _Handler
    fault_type = Fault

    def __init__(
        self,
        tokens: Sequence[Token],
        *,
        port: int = 0,
        ack_delay: float = 0.0,
        max_content_length: int = 838_860_800,
        query_string_tokens: bool = False,
        cloud: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(port)
        self.tokens = {token.value: token for token in tokens}
        self.index = Index(ack_delay, clock)
        self.max_content_length = max_content_length
        self.query_string_tokens, self.cloud = query_string_tokens, cloud
        self.health = 17

    @property
    def events(self) -> list[Indexed]:
        """What is indexed."""
        return self.index.events

    def counts(self) -> Counter[str]:
        """How often each event id stands there."""
        return self.index.counts()


def _token_of(header: str) -> str:
    """Return the token of `Splunk <token>`, or of `Basic` with any user and the token as the password."""
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() == "splunk":
        if not value.strip():
            raise Refused(2)
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().split(":", 1)[1]
        except (binascii.Error, UnicodeDecodeError, IndexError):
            raise Refused(3) from None
    raise Refused(3)
