"""An hour is fetched whole: no event lost, none doubled, neither at its boundaries nor between pages."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ingest.transports.fetch_errors import WindowNotSettled
from tests.integration.ingest.sources.okta_system_log.conftest import HOUR, OktaConfig, event, fetch_hour, spread, uuids

MS = timedelta(milliseconds=1)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 95])
def test_every_event_comes_once_and_in_order_whatever_the_page_count(org, fetch, count):
    pages = fetch(org(spread(count)))
    assert [f"event-{number}" for number in range(count)] == uuids(pages)
    assert max(1, -(-count // 10)) == len(pages)


def test_neighbouring_hours_share_no_event_and_miss_none_at_their_boundary(org, tmp_path, moved_clock):
    edges = [HOUR - MS, HOUR, HOUR + MS, HOUR + timedelta(hours=1) - MS, HOUR + timedelta(hours=1)]
    simulator = org([event(number, moment) for number, moment in enumerate(edges)])
    config = OktaConfig(base_url=simulator.url)
    got = {
        hours: uuids(fetch_hour(config, HOUR + timedelta(hours=hours), tmp_path / str(hours), clock=moved_clock.clock))
        for hours in (-1, 0, 1)
    }
    assert got == {-1: ["event-0"], 0: ["event-1", "event-2", "event-3"], 1: ["event-4"]}


def test_an_org_that_counts_until_in_doubles_the_boundary_and_loses_nothing(org, tmp_path, moved_clock):
    """Okta does not say whether `until` is exclusive; were it not, uuid removes the double."""
    simulator = org([event(1, HOUR), event(2, HOUR + timedelta(hours=1))], until_inclusive=True)
    config = OktaConfig(base_url=simulator.url)
    hours = [HOUR, HOUR + timedelta(hours=1)]
    got = [uuids(fetch_hour(config, hour, tmp_path / str(hour.hour), clock=moved_clock.clock)) for hour in hours]
    assert got == [["event-1", "event-2"], ["event-2"]]


def test_equal_times_at_a_page_boundary_are_neither_lost_nor_doubled(org, fetch):
    simulator = org([event(number, HOUR + timedelta(minutes=number // 35)) for number in range(70)])
    assert [f"event-{number}" for number in range(70)] == uuids(fetch(simulator))


def test_events_written_out_of_order_come_in_order_of_publication(org, fetch):
    assert [f"event-{number}" for number in range(50)] == uuids(fetch(org(spread(50)[::-1])))


def test_objects_tell_where_they_came_from_and_are_the_same_every_time(org, fetch):
    first, second = fetch(org(spread(15)))
    base = "okta://127.0.0.1/api/v1/logs?since=2026-11-20T05:00:00.000Z&until=2026-11-20T06:00:00.000Z"
    assert [f"{base}#page-00001", f"{base}#page-00002"] == [first.name, second.name]
    assert HOUR + timedelta(hours=1) == first.arrived_at
    body = second.open().read()
    assert (len(body), hashlib.sha256(body).hexdigest()) == (second.size, second.fingerprint)


def test_an_hour_in_another_zone_is_the_same_hour(org, fetch):
    plus_two = HOUR.astimezone(timezone(timedelta(hours=2)))
    assert uuids(fetch(org(spread(3)), plus_two)) == ["event-0", "event-1", "event-2"]


def test_raw_records_arrive_unchanged(org, fetch):
    line = '{"published": "2026-11-20T05:10:00.000Z",  "uuid":"\\u0041", "n": 1.0, "n": 2}'
    assert f"[{line}]".encode() == fetch(org([line]))[0].open().read()


@pytest.mark.parametrize(("seconds_after_end", "settled"), [(-1, False), (0, False), (299, False), (300, True)])
def test_an_hour_is_refused_until_it_is_closed_and_settled(org, fetch, moved_clock, seconds_after_end, settled):
    simulator = org(spread(3))
    moved_clock.at = (HOUR + timedelta(hours=1, seconds=seconds_after_end)).timestamp()
    if settled:
        assert len(uuids(fetch(simulator))) == 3
    else:
        with pytest.raises(WindowNotSettled, match=r"may be fetched from 2026-11-20T06:05:00\.000Z on"):
            fetch(simulator)
        assert simulator.requests == []


def test_what_was_persisted_late_is_picked_up_by_the_overlap_of_the_next_hour(org, fetch, moved_clock, tmp_path):
    simulator = org(spread(20), live=True, lag_seconds=3 * 3600, seed=4)
    moved_clock.at = (HOUR + timedelta(hours=1, minutes=5)).timestamp()
    early = uuids(fetch(simulator))
    moved_clock.at += 3 * 3600
    config = OktaConfig(base_url=simulator.url, overlap_seconds=3600)
    later = uuids(fetch_hour(config, HOUR + timedelta(hours=1), tmp_path / "next", clock=moved_clock.clock))
    assert 0 < len(early) < 20
    assert {f"event-{number}" for number in range(20)} == set(later)


def test_deleting_the_spool_fetches_the_hour_anew(org, fetch, tmp_path):
    simulator = org(spread(3))
    fetch(simulator)
    simulator.log.add([event(77, HOUR + timedelta(minutes=59))])
    assert len(uuids(fetch(simulator))) == 3
    (tmp_path / "spool").rename(tmp_path / "gone")
    assert len(uuids(fetch(simulator))) == 4


def test_an_hour_older_than_the_retention_is_fetched_with_a_warning(org, fetch, caplog):
    fetch(org([]), retention_days=1 / 24)
    assert "an empty answer proves nothing" in caplog.text


def test_anything_but_a_full_hour_is_refused(org, fetch):
    with pytest.raises(ValueError, match="full hour"):
        fetch(org([]), datetime(2026, 11, 20, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "http://acme.okta.com"},
        {"base_url": "https://acme.okta.com/api"},
        {"base_url": "https://user:s3cr3t@acme.okta.com"},
        {"base_url": "https://user:s3cr3t@acme.okta.com/api"},
        {"base_url": "acme.okta.com"},
        {"limit": 0},
        {"limit": 1001},
        {"budget_share": 0.0},
        {"budget_share": 1.1},
        {"scheme": "Basic"},
        {"settle_seconds": -1},
    ],
)
def test_settings_that_cannot_work_are_refused_without_repeating_secrets(settings):
    with pytest.raises(ValueError) as refused:
        OktaConfig(**{"base_url": "https://acme.okta.com", **settings})
    assert next(iter(settings)) in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_bearer_tokens_are_sent_as_such(org, fetch):
    assert len(uuids(fetch(org(spread(3)), scheme="Bearer"))) == 3
