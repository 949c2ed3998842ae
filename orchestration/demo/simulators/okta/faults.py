"""Faults the simulated Okta API can be told to make, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal[
    "rate_limit",  # 429, the limit of requests per minute is spent
    "concurrency",  # 429 that reports the concurrency limit in the same headers
    "server_error",  # 500, 502, 503, 504
    "reset",  # the connection is reset in the middle of the body
    "cut",  # the body ends early and no length was announced
    "hang",  # silence
    "slow",  # the body comes in small pieces
    "not_json",  # 200 with an HTML page, as proxies give
    "no_links",  # the Link header is lost on the way
    "expired",  # 401 from now on
    "forbidden",  # 403
    "bad_request",  # 400
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass
class Fault:
    """One fault: made at every `every`-th request, or at each one after the first `after`, at most `times` times.

    `status` is for server_error, `seconds` is the time to the reset of a 429, the length of a hang, or how long a slow
    body takes.
    """

    kind: Kind
    every: int | None = None
    after: int = 0
    times: int | None = None
    status: int = 503
    seconds: float = 1.0
    made: int = field(default=0, init=False)

    def strikes(self, request_number: int) -> bool:
        """Whether this fault is made at the n-th request (from 1); counts it when it is."""
        if request_number <= self.after or (self.times is not None and self.made >= self.times):
            return False
        if self.every is not None and request_number % self.every:
            return False
        self.made += 1
        return True
