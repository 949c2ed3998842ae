"""A stand-in for the network: the given answers one after the other, without sockets."""

import io
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from lake.base.http import Clock

Given = tuple[int, dict[str, str], bytes] | Exception


class Answers(BaseAdapter):
    """Gives each request the next answer or raises it, the last one for ever; keeps what was asked."""

    def __init__(self, *given: Given) -> None:
        super().__init__()
        self._given = list(given)
        self.asked: list[requests.PreparedRequest] = []
        self.options: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Answer a request."""
        self.asked.append(request)
        self.options.append(options)
        given = self._given.pop(0) if len(self._given) > 1 else self._given[0]
        if isinstance(given, Exception):
            raise given
        answer = requests.Response()
        answer.status_code, headers, body = given
        answer.headers, answer.raw, answer.url = CaseInsensitiveDict(headers), io.BytesIO(body), str(request.url)
        answer.request = request
        return answer

    def close(self) -> None:
        """Nothing is open."""


class Naps(list[float]):
    """A clock that only sleeping moves; the list holds how long each sleep was."""

    def __init__(self, start: float = 1_000.0) -> None:
        super().__init__()
        self.now = start
        self.clock = Clock(lambda: self.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.append(seconds)
        self.now += seconds
