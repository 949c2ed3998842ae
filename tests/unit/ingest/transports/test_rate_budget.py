"""A client keeps within its share of a rate limit, and believes the server's clock more than its own."""

from email.utils import formatdate

import pytest

from ingest.transports.rate_budget import RateBudget, seconds_until_reset
from lake.base.http import Clock

NOW = 1_795_000_000.0


def answer(limit: int, remaining: int, reset: float, **more: str) -> dict[str, str]:
    return {
        "X-Rate-Limit-Limit": str(limit),
        "X-Rate-Limit-Remaining": str(remaining),
        "X-Rate-Limit-Reset": str(int(reset)),
        **more,
    }


@pytest.fixture
def at() -> list[float]:
    return [NOW]


@pytest.fixture
def budget(at):
    return RateBudget(0.5, Clock(lambda: at[0], lambda seconds: None))


def test_the_first_request_waits_for_nothing(budget):
    assert budget.seconds_to_wait() == 0


def test_half_of_the_limit_is_ours_and_then_the_reset_is_awaited(budget):
    waits = []
    for remaining in range(9, -1, -1):
        budget.observe(200, answer(10, remaining, NOW + 30))
        waits.append(budget.seconds_to_wait())
    assert waits == [0, 0, 0, 0] + [31] * 6


def test_others_who_take_much_do_not_take_our_share(budget):
    budget.observe(200, answer(10, 1, NOW + 30))
    assert budget.seconds_to_wait() == 0


def test_nothing_left_is_waited_for_whoever_took_it(budget):
    budget.observe(200, answer(10, 0, NOW + 30))
    assert budget.seconds_to_wait() == 31


def test_a_new_period_gives_a_new_share(budget, at):
    for _ in range(5):
        budget.observe(200, answer(10, 5, NOW + 30))
    at[0] = NOW + 31
    assert budget.seconds_to_wait() == 0
    budget.observe(200, answer(10, 9, NOW + 91))
    assert budget.seconds_to_wait() == 0


def test_a_429_for_concurrency_is_not_taken_for_the_limit_per_minute(budget):
    budget.observe(200, answer(120, 100, NOW + 30))
    budget.observe(429, answer(75, 0, NOW + 3600))
    assert budget.seconds_to_wait() == 0


def test_a_share_of_a_tiny_limit_is_at_least_one_request(budget):
    budget.observe(200, answer(1, 1, NOW + 30))
    assert budget.seconds_to_wait() == 31


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_a_wrong_clock_here_does_no_harm(skew):
    budget = RateBudget(1.0, Clock(lambda: NOW + skew, lambda seconds: None))
    budget.observe(200, answer(10, 0, NOW + 30, Date=formatdate(NOW, usegmt=True)))
    assert budget.seconds_to_wait() == 31


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Rate-Limit-Limit": "10"},
        answer(0, 0, NOW + 30),
        {**answer(10, 0, NOW), "X-Rate-Limit-Reset": "soon"},
        {**answer(10, 0, NOW), "X-Rate-Limit-Limit": "-1"},
        {**answer(10, 0, NOW), "X-Rate-Limit-Reset": "9" * 5000},
    ],
)
def test_headers_that_say_nothing_are_ignored(budget, headers):
    budget.observe(200, headers)
    assert budget.seconds_to_wait() == 0


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_that_makes_no_sense_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        RateBudget(share)


def test_a_reset_in_the_past_still_waits_the_rounding_out():
    assert seconds_until_reset(answer(10, 0, NOW - 50), NOW) == 1
