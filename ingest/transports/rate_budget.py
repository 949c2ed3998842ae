"""How many requests a fetch may make, learnt from the rate limit headers of the answers, or told."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from lake.base.http import SYSTEM_CLOCK, Clock, http_date, whole_number

# `Date` and the time of a reset are whole seconds: one more second makes sure the reset lies behind us.
RESET_PAD_SECONDS = 1.0
_LEAST_EPOCH = 1_000_000_000  # a reset below that is no time but a number of seconds


@dataclass(frozen=True)
class LimitHeaders:
    """The headers in which an API tells its limit, what is left of it, and when it is whole again."""

    limit: str = "X-Rate-Limit-Limit"
    remaining: str = "X-Rate-Limit-Remaining"
    reset: str = "X-Rate-Limit-Reset"


USUAL_HEADERS = LimitHeaders()


@dataclass
class _Period:
    """One rate limit period: its end on our own clock, the most we take of it, what we took and what is left."""

    ends_at: float
    allowance: int
    used: int
    remaining: int


class RateBudget:
    """Keeps one client within its `share` (0 < share <= 1) of a rate limit that others need too.

    The share is counted over our own requests, not over what is left: when others use much we still get our share,
    and when they use nothing we still leave theirs. When nothing is left at all we wait for the reset. Hours and
    sources fetched one after another with one token should share one budget. `most` of a limit that no header tells
    are (requests, seconds): no span of so many seconds then has more than our share of the requests, failed ones too.
    """

    def __init__(
        self,
        share: float = 0.5,
        clock: Clock = SYSTEM_CLOCK,
        headers: LimitHeaders = USUAL_HEADERS,
        most: tuple[int, float] | None = None,
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share: expected more than 0 and at most 1, found {share}")
        self._share = share
        self._clock = clock
        self._headers = headers
        self._period: _Period | None = None
        self._span = most[1] if most else 0.0
        self._sent = deque[float](maxlen=max(1, int(most[0] * share))) if most else None

    def sent(self) -> None:
        """Count one request that goes out now."""
        if self._sent is not None:
            self._sent.append(self._clock.now())

    def observe(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from one answer.

        A 429 is not learnt from: when the limit of concurrent requests is hit, Okta reports concurrency, not requests
        per minute, in the same three headers (developer.okta.com/docs/reference/rl-best-practices).
        """
        if status == 429:
            return
        limit, remaining = whole_number(headers, self._headers.limit), whole_number(headers, self._headers.remaining)
        wait = self.seconds_until_reset(headers)
        if limit is None or remaining is None or wait is None or limit <= 0:
            return
        now = self._clock.now()
        ends_at = now + wait
        # Two looks at one period may differ by the second that `Date` and the reset are rounded to.
        if self._period is None or now >= self._period.ends_at or ends_at > self._period.ends_at + 2.0:
            self._period = _Period(ends_at, max(1, int(limit * self._share)), 0, remaining)
        self._period.used += 1
        self._period.remaining = remaining

    def seconds_to_wait(self) -> float:
        """How long to wait before the next request; 0 when it may go out now."""
        now, period, wait = self._clock.now(), self._period, 0.0
        if period is not None and (period.used >= period.allowance or period.remaining <= 0):
            wait = max(0.0, period.ends_at - now)
        if self._sent is not None and len(self._sent) == self._sent.maxlen:
            wait = max(wait, self._sent[0] + self._span - now)
        return wait

    def nothing_left(self, headers: Mapping[str, str]) -> bool:
        """Whether an answer says that nothing is left."""
        return whole_number(headers, self._headers.remaining) == 0

    def seconds_until_reset(self, headers: Mapping[str, str]) -> float | None:
        """Seconds until the limit is whole again, None when the answer does not say."""
        return seconds_until_reset(headers, self._clock.now(), self._headers.reset)


def seconds_until_reset(headers: Mapping[str, str], now: float, name: str = USUAL_HEADERS.reset) -> float | None:
    """Seconds from `now` (epoch) to the reset, an epoch or a number of seconds; None when the answer does not say.

    Measured against the answer's own Date where it has one, so that a wrong clock here does no harm.
    """
    reset = whole_number(headers, name)
    if reset is None:
        return None
    if reset < _LEAST_EPOCH:
        return reset + RESET_PAD_SECONDS
    answered_at = http_date(headers, "Date")
    return max(0.0, reset - (now if answered_at is None else answered_at)) + RESET_PAD_SECONDS
