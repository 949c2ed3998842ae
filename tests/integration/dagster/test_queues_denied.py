"""A queue that announces objects that may not be read: they hold up no others, and land when they may."""

from pathlib import Path

import dagster as dg
import pytest

from ingest.landing import LandingError
from lake import ledger
from lake.ledger.balance import balance
from orchestration.assets.bronze import bronze_asset
from orchestration.automation.queues import queue_schedules
from orchestration.demo.simulators.s3 import S3Server
from orchestration.steps.collect import AnnouncedUnreadable
from tests.integration.dagster.announcing import Announcing, landed, until_received
from tests.integration.dagster.cloudtrail_hours import SOURCE
from tests.integration.dagster.test_collecting_from_buckets import CONTRACT, at
from tests.simulators.faulty_http import Fault, FaultyProxy


def test_an_object_that_is_denied_holds_up_no_other_and_lands_when_it_may(
    denying: tuple[Announcing, FaultyProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, proxy, name = denying
    monkeypatch.setattr("ingest.transports.queue.HIDDEN_SECONDS", 1)
    done = trail.drain()
    assert (["a", "c"], [name]) == (trail.uids(), list(done.refused))
    assert f"s3:GetObject on {name} was denied (AccessDenied): allow the permission s3:GetObject" in done.notes()[-1]
    ((told, _),) = done.receipts[0].unreadable
    assert (name, 1) == (told, sum(trail.waiting()))
    again = until_received(trail, 1)  # the queue gives it again: no batch for nothing
    assert ([], [name], 1) == (again.receipts, list(again.refused), len(list(ledger.landings(trail.store))))
    assert "are in no batch" in balance(trail.store).total.why
    proxy.heal()
    trail.announce(trail.deliver(at(8), "d"))
    until_received(trail, 2)
    assert (["a", "c", "d", "secret"], (0, 0)) == (trail.uids(), trail.waiting())
    assert "are in no batch" not in balance(trail.store).total.why


def test_the_hour_lands_and_says_which_announced_object_is_denied(
    denying: tuple[Announcing, FaultyProxy, str],
) -> None:
    trail, proxy, name = denying
    trail.deliver(at(9), "never announced")
    with pytest.raises(AnnouncedUnreadable, match=f"batch 20260302T05 has landed, but .*{name}"):
        trail.land()
    assert (["a", "c", "never announced"], (0, 1)) == (trail.uids(), trail.waiting())
    receipt = ledger.landing(trail.store, SOURCE, "20260302T05")
    assert receipt and [name] == [each for each, _ in receipt.unreadable]
    proxy.heal()
    assert 2 == trail.land().landed  # the listing finds it before its message comes again
    assert ["a", "c", "never announced", "secret"] == trail.uids()


def test_dagster_fails_the_drain_of_a_denied_object_and_lands_the_others(
    denying: tuple[Announcing, FaultyProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, _, name = denying
    monkeypatch.setattr("orchestration.automation.queues.load_settings", lambda: trail.settings)
    job = queue_schedules(trail.settings, [CONTRACT]).resolve_job_def("drain_aws_cloudtrail")
    with pytest.raises(LandingError, match=f"1 announced objects could not be read.*{name}"):
        job.execute_in_process()
    assert (["a", "c"], (0, 1)) == (trail.uids(), trail.waiting())


def test_dagster_fails_the_hour_of_a_denied_object_and_keeps_what_landed(
    denying: tuple[Announcing, FaultyProxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail, proxy, name = denying
    monkeypatch.setattr("orchestration.assets.bronze.load_settings", lambda: trail.settings)
    hours = dg.HourlyPartitionsDefinition(start_date="2026-03-02-00:00")
    asset, key = bronze_asset(CONTRACT, hours), "2026-03-02-05:00"
    trail.deliver(at(9), "never announced")
    with dg.DagsterInstance.ephemeral() as instance:
        for announced in (True, False):  # then its message is hidden, and the listing alone meets it
            ran = dg.materialize([asset], partition_key=key, instance=instance, raise_on_error=False)
            assert not ran.success, announced
            said = "".join(str(event.event_specific_data) for event in ran.all_events)
            assert name in said and "could not be read" in said
            landed = instance.get_materialized_partitions(asset.key)
            assert {key} == landed
        proxy.heal()
        assert dg.materialize([asset], partition_key=key, instance=instance).success
    assert ["a", "c", "never announced", "secret"] == trail.uids()


def test_a_queue_of_nothing_but_denied_objects_is_not_asked_for_ever(
    tmp_path: Path, s3_server: S3Server, s3_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.landing.queue.MESSAGES", 2)
    with FaultyProxy(s3_server.url) as proxy:
        trail = Announcing(tmp_path, s3_server, proxy.url)
        for minute in range(30):
            trail.announce(trail.deliver(at(minute), f"a{minute}"))
        proxy.inject(Fault("error", "GET", "_CloudTrail_", status=403, code="AccessDenied", times=None))
        done = trail.drain()
        assert ([], True) == (done.receipts, 2 <= len(done.refused) < 30)
        assert 30 == sum(trail.waiting())
        assert [] == list(ledger.landings(trail.store))
        proxy.heal()
        assert 28 >= landed(trail.drain().receipts) > 0


def test_a_message_of_many_objects_stays_while_one_of_them_is_denied(
    denying: tuple[Announcing, FaultyProxy, str],
) -> None:
    trail, proxy, name = denying
    keys = [name.split("/", 3)[3], trail.deliver(at(10), "e")]
    made = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": trail.bucket}, "object": {"key": key}}}
        for key in keys
    ]
    trail.send({"Records": made})
    proxy.inject(Fault("error", "HEAD", "_secret", status=403, code="AccessDenied", times=None))
    done = trail.drain()
    assert (["a", "c", "e"], [name], (0, 2)) == (trail.uids(), list(done.refused), trail.waiting())
