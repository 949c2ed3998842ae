"""How many requests a fetch may make, learnt from the rate limit headers of the answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from lake.base.http import SYSTEM_CLOCK, Clock, http_date, whole_number

# `Date` and `X-Rate-Limit-Reset` are whole seconds: one more second makes sure the reset lies behind us.
RESET_PAD_SECONDS = 1.0


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
    and when they use nothing we still leave theirs. When nothing is left at all we wait for the reset. Hours fetched
    one after another with one token should share one budget.
    """

    def __init__(self, share: float = 0.5, clock: Clock = SYSTEM_CLOCK) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share: expected more than 0 and at most 1, found {share}")
        self._share = share
        self._clock = clock
        self._period: _Period | None = None

    def observe(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from one answer.

        A 429 is not learnt from: when the limit of concurrent requests is hit, Okta reports concurrency, not requests
        per minute, in the same three headers (developer.okta.com/docs/reference/rl-best-practices).
        """
        if status == 429:
            return
        limit, remaining = whole_number(headers, "X-Rate-Limit-Limit"), whole_number(headers, "X-Rate-Limit-Remaining")
        wait = seconds_until_reset(headers, self._clock.now())
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
        period = self._period
        if period is None or (period.used < period.allowance and period.remaining > 0):
            return 0.0
        return max(0.0, period.ends_at - self._clock.now())


def seconds_until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from `now` (epoch) to `X-Rate-Limit-Reset`, or None when the answer does not say.

    Measured against the answer's own Date where it has one, so that a wrong clock here does no harm.
    """
    reset = whole_number(headers, "X-Rate-Limit-Reset")
    if reset is None:
        return None
    answered_at = http_date(headers, "Date")
    return max(0.0, reset - (now if answered_at is None else answered_at)) + RESET_PAD_SECONDS
