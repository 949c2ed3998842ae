"""One HTTP Event Collector (HEC) over HTTP: posting a body, and asking what has been acknowledged.

What belongs here: requests, what their answers mean, waiting and asking again within a bound. What does not: which
events are in a body (`_splunk_sending`).

Sources: Splunk, "Troubleshoot HTTP Event Collector" (codes and their HTTP statuses), "About HTTP Event Collector
Indexer Acknowledgment", "Format events for HTTP Event Collector". What the documentation leaves open was taken from
published runs against Splunk Enterprise 10.4.3 and Splunk Cloud 10.5 (decision record `splunk-hec` of the project
logit): `invalid-event-number` counts from 0 and the events before it ARE indexed, with an `ackId` of their own where
the token acknowledges; code 7 names the event after the one it means; a number of acknowledgement answers `true` once
and `false` ever after; Splunk Cloud answers a body that is too large with code 6, number 0, and a missing channel with
code 28.
"""

import random
import time
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from threading import Event
from typing import Any

import msgspec
import requests
from requests.adapters import HTTPAdapter

from lake.export.errors import DestinationDenied, DestinationUnavailable

EVENTS, ACKS = "/services/collector/event", "/services/collector/ack"
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 15.0  # seconds
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
class Answer:
    """How a body ended: taken whole, or refused.

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


class _Header(requests.auth.AuthBase):
    """Puts the token on a request; a netrc file of the machine is then not asked."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Splunk {self._token}"
        return request


class Collector:
    """A HEC with a token and a channel; threads may share it. `connections` bodies are under way at most."""

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
        self.url, self.channel = url.rstrip("/"), channel
        self._token, self._timeout, self._bound = token, timeout_seconds, retry_seconds
        self._verify = verify
        self.ended = Event()  # set when nothing more is wanted: who waits here then gives up
        # One session for all threads: where a load balancer keeps clients apart by a cookie, the acknowledgements are
        # with the indexer that took the events.
        self._session = requests.Session()
        self._session.auth = _Header(token)
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections + 1, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        """End connections."""
        self.ended.set()
        self._session.close()

    def send(self, body: bytes) -> Answer:
        """Post events until Splunk has taken or refused them.

        Raises:
            DestinationDenied: the token, the channel, the index or the address is wrong.
            DestinationUnavailable: no answer, or "busy", for longer than the bound; the events may have been taken.
        """
        packed = zlib.compressobj(1, wbits=31)
        data = packed.compress(body) + packed.flush()
        repeated, ends, pause, last = False, time.monotonic() + self._bound, _FIRST_WAIT, "no answer"
        while True:
            wanted: float | None = None
            try:
                answer = self._post(EVENTS, data, {"Content-Encoding": "gzip"})
            except requests.exceptions.SSLError as problem:
                raise DestinationDenied(self._tls(problem)) from None
            except requests.RequestException as problem:
                last = self._clean(problem)
                repeated = repeated or not _never_sent(problem)
            else:
                said, status = _said(answer), answer.status_code
                if status == 200:
                    return Answer(True, str(said.code), said.text, said.ack_id, None, len(data), repeated)
                if self._refuses(status, said):
                    code = str(said.code) if said.code >= 0 else f"http {status}"
                    return Answer(False, code, said.text, said.ack_id, said.invalid, len(data), repeated)
                last = self._told(status, said)
                # Busy answers (429, and 503 with a code) say that nothing was taken; of others nobody knows.
                repeated = repeated or not (status == 429 or (status == 503 and said.code >= 0))
                wanted = _asked_to_wait(answer)
            pause = self._wait(wanted or pause, ends, last)

    def check(self) -> None:
        """Make sure, before any event goes, that the token is good and acknowledges.

        Raises:
            DestinationDenied, DestinationUnavailable.
        """
        ends, pause = time.monotonic() + self._bound, _FIRST_WAIT
        while True:
            try:
                self.acknowledged([0])
                return
            except DestinationUnavailable as problem:
                pause = self._wait(pause, ends, str(problem))

    def acknowledged(self, ids: Collection[int]) -> set[int]:
        """Return which of some numbers Splunk acknowledges now. Asks once.

        Raises:
            DestinationDenied: the token does not acknowledge, or is wrong.
            DestinationUnavailable: there was no answer.
        """
        try:
            answer = self._post(f"{ACKS}?channel={self.channel}", msgspec.json.encode({"acks": sorted(ids)}), {})
        except requests.exceptions.SSLError as problem:
            raise DestinationDenied(self._tls(problem)) from None
        except requests.RequestException as problem:
            raise DestinationUnavailable(self._clean(problem)) from None
        if answer.status_code == 200:
            try:
                told = msgspec.json.decode(answer.content, type=_Acks).acks
                return {number for number in ids if told.get(str(number))}
            except msgspec.MsgspecError:
                raise DestinationUnavailable(f"{self.url}{ACKS} gave no list of acknowledgements") from None
        said = _said(answer)
        if said.code == 14:
            raise DestinationDenied(
                f"{self.url}: the token does not acknowledge (code 14, {said.text}). Enable indexer acknowledgment for"
                " it in Splunk, or set `acknowledge: false` for this destination"
            )
        self._refuses(answer.status_code, said)
        raise DestinationUnavailable(self._told(answer.status_code, said))

    def _post(self, path: str, data: bytes, headers: dict[str, str]) -> requests.Response:
        return self._session.post(
            self.url + path,
            data=data,
            headers={"Content-Type": "application/json", "X-Splunk-Request-Channel": self.channel, **headers},
            timeout=self._timeout,
            verify=self._verify,  # said with each request, or REQUESTS_CA_BUNDLE would take the place of `ca_file`
            allow_redirects=False,
        )

    def _wait(self, seconds: float, ends: float, last: str) -> float:
        """Wait, and return how long to wait next time."""
        if time.monotonic() + seconds > ends:
            raise DestinationUnavailable(
                f"{last}, after retries for {self._bound:g} s. What was acknowledged is remembered; the rest, which"
                " Splunk may hold in part, goes again with the next push"
            )
        if self.ended.wait(seconds * random.uniform(0.8, 1.2)):
            raise DestinationUnavailable(last)
        return min(_LONGEST_WAIT, seconds * 2)

    def _refuses(self, status: int, said: _Said) -> bool:
        """Whether the events are refused, and not the request: for that DestinationDenied is raised."""
        if said.code in _REFUSED or status == 413:
            return True
        if status in (401, 403) or said.code in _TOKEN:
            raise DestinationDenied(f"{self._told(status, said)}. Check the token in Splunk, and its variable here")
        if said.code == 7:
            raise DestinationDenied(
                f"{self._told(status, said)}: the token may not write to the index. Add it to the token's allowed"
                " indexes in Splunk, or set another `index`"
            )
        if said.code in _CHANNEL:
            raise DestinationDenied(f"{self._told(status, said)}. Something on the way removes the channel's header")
        if status == 400:
            return True
        if 300 <= status < 500 and status not in (408, 429):
            raise DestinationDenied(f"{self._told(status, said)}. Check `url`: is an event collector there?")
        return False

    def _told(self, status: int, said: _Said) -> str:
        code = f", code {said.code}" if said.code >= 0 else ""
        words = f" ({self.hidden(said.text)})" if said.text else ""
        return f"{self.url} answered {status}{code}{words}"

    def _tls(self, problem: Exception) -> str:
        return (
            f"{self._clean(problem)}. The server's certificate is not accepted: set `ca_file` to the"
            " certificates that it is signed with"
        )

    def _clean(self, problem: Exception) -> str:
        return f"{self.url}: {self.hidden(' '.join(str(_cause(problem)).split()))}"

    def hidden(self, text: str) -> str:
        """Return words of a server without the token, and not too many."""
        return text.replace(self._token, "…")[:200]


def _said(answer: requests.Response) -> _Said:
    try:
        return msgspec.json.decode(answer.content, type=_Said)
    except msgspec.MsgspecError:  # a proxy's page
        return _Said()


def _asked_to_wait(answer: requests.Response) -> float | None:
    told = answer.headers.get("Retry-After", "")
    return min(float(told), _LONGEST_WAIT) if told.isdigit() else None


def _never_sent(problem: Any) -> bool:
    """Whether the connection was not made, so that no event can have gone."""
    return isinstance(problem, requests.ConnectTimeout) or type(_cause(problem)).__name__ == "NewConnectionError"


def _cause(problem: Any) -> Any:
    """Return what an error of `requests` is wrapped around."""
    inner = problem.args[0] if problem.args else problem
    return getattr(inner, "reason", None) or inner
