"""Rows go to Splunk as events, each acknowledged, each once; what is rebuilt goes again as the newest."""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lake.export.destination import configured
from lake.export.errors import BadDeclaration, DestinationDenied, ExportError
from tests.integration.export.adapters import TOKEN, Splunk
from tests.integration.export.contract import started
from tests.integration.export.hec import ids, once
from tests.unit.export.lakes import EVENT, GOLD, HOUR, KINDS, KINDS_ROWS, SmallLake, export, gold_export

BEGAN = datetime(2026, 3, 2, 4, tzinfo=UTC).timestamp()


@pytest.fixture
def splunk(lake: SmallLake, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Splunk]:
    with started(Splunk, lake, monkeypatch, request) as running:
        yield running


@pytest.fixture
def plain(lake: SmallLake, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Splunk]:
    """A collector whose token does not acknowledge."""
    monkeypatch.setattr(Splunk, "acknowledges", False)
    with started(Splunk, lake, monkeypatch, request) as running:
        yield running


def test_the_envelope_says_when_where_and_what(splunk):
    splunk.lake.silver(
        rows=3,
        columns=EVENT.replace("began + to_seconds(n) as time_dt", "began + to_microseconds(1500001 * n) as time_dt"),
    )
    splunk.push(index="security")
    first, second, third = splunk.hec.events
    assert [each.time for each in (first, second, third)] == [BEGAN, BEGAN + 1.500001, BEGAN + 3.000002]
    assert {(each.index, each.host, each.source, each.sourcetype) for each in splunk.hec.events} == {
        ("security", "okta_system_log", "headwater:authentication", "headwater:ocsf:authentication")
    }
    assert first.fields["event_id"] == "okta_system_log:m0"
    assert first.fields["event_hour"] == HOUR
    assert second.event["metadata"] == {
        "uid": "m1",
        "version": "1.8.0",
        "product": {"name": "Okta", "vendor_name": "Okta"},
        "labels": ["a", None, "l1"],
    }
    assert "_event_id" not in second.event and "_batch" not in second.event


def test_the_host_is_the_device_where_the_row_names_one(splunk):
    device = "case n when 0 then {'hostname': 'ws1'} when 1 then {'hostname': ''} end as device,"
    splunk.lake.silver(rows=3, columns=device + EVENT)
    splunk.push()
    assert [each.host for each in splunk.hec.events] == ["ws1", "okta_system_log", "okta_system_log"]


def test_sourcetype_source_and_host_can_be_set(splunk):
    splunk.lake.silver(rows=1)
    splunk.push(sourcetype="ocsf:{class}:{table}", source="lake", host="actor.user.name")
    (event,) = splunk.hec.events
    assert (event.sourcetype, event.source, event.host) == ("ocsf:authentication:authentication", "lake", "u0")


def test_the_class_is_the_rows_own_whatever_the_table_is_called(splunk):
    splunk.lake.silver(rows=1)
    there = splunk.open()
    splunk.lake.push(there, export(table="logins"))
    assert splunk.hec.events[0].sourcetype == "headwater:ocsf:authentication"
    assert splunk.hec.events[0].source == "headwater:logins"


def test_a_table_without_classes_and_hosts_goes_too(splunk):
    splunk.lake.gold(rows=2, columns=GOLD)
    receipt = splunk.lake.push(splunk.open(), gold_export())
    assert receipt.matches
    assert {(each.host, each.sourcetype) for each in splunk.hec.events} == {
        ("headwater", "headwater:ocsf:logons_daily")
    }


def test_the_events_own_time_is_exact_and_the_hours_where_the_row_has_none(splunk):
    splunk.lake.silver(rows=KINDS_ROWS, columns=KINDS)
    splunk.push()
    raw = {each.fields["event_id"][-2:]: each.time for each in splunk.hec.events}
    assert raw["k1"] == BEGAN
    assert raw["k3"] == 0.000001
    assert raw["k4"] == pytest.approx(9223372036.854775, abs=1e-6)


def test_a_value_of_16_megabytes_goes_in_a_body_of_its_own(splunk):
    splunk.lake.silver(
        rows=3, columns=EVENT.replace("'signed in as u' || n % 5", "repeat('é', case n when 1 then 8000000 else 1 end)")
    )
    assert splunk.push(timeout_seconds=30).matches
    assert sorted(len(each.event["message"]) for each in splunk.hec.events) == [1, 1, 8_000_000]


def test_bodies_are_packed_and_bounded_by_count_and_size(splunk):
    splunk.lake.silver(rows=100)
    splunk.push(batch_events=30)
    assert sorted(each.events for each in splunk.posts()) == [10, 30, 30, 30]
    assert all(each.gzip for each in splunk.posts())
    sizes = [len(each.raw) for each in splunk.hec.events]
    splunk.hec.requests.clear()
    splunk.lake.silver("2026-03-02T05", rows=100)
    splunk.push("2026-03-02T05", batch_bytes=5 * max(sizes))
    assert len(splunk.posts()) >= 20


def test_the_channel_is_a_guid_that_stays_the_same(splunk):
    for hour in ("2026-03-02T04", "2026-03-02T05"):
        splunk.lake.silver(hour, rows=1)
        splunk.push(hour)
    assert len({each.channel for each in splunk.hec.requests}) == 1
    splunk.lake.push(splunk.open(), export(table="other"))
    assert len({each.channel for each in splunk.hec.requests}) == 2


def test_late_rows_alone_are_sent_when_an_hour_is_built_anew(splunk):
    splunk.lake.silver(rows=50)
    splunk.push()
    splunk.lake.silver(rows=53)
    receipt = splunk.push()
    assert once(splunk, range(53))
    assert (receipt.rows, receipt.sent, receipt.matches) == (53, 3, True)
    assert splunk.push(again=True).sent == 0


def test_changed_rows_go_again_and_searches_find_the_newest(splunk):
    splunk.lake.silver(rows=20)
    splunk.push()
    splunk.lake.silver(
        rows=20,
        columns=EVENT.replace(
            "'signed in as u' || n % 5", "case n when 7 then 'corrected' else 'signed in as u' || n % 5 end"
        ),
    )
    receipt = splunk.push()
    assert receipt.sent == 1 and receipt.matches
    assert splunk.hec.counts() == Counter(ids(range(20))) + Counter(ids([7]))
    assert splunk.hec.index.newest()["okta_system_log:m7"].event["message"] == "corrected"
    assert receipt.notes[0].startswith("sent again under their event_id, as changed or not acknowledged before: 1 of")
    splunk.lake.silver(rows=20)
    assert splunk.push().sent == 1, "back to what it was is a change too"
    assert splunk.hec.index.newest()["okta_system_log:m7"].event["message"] == "signed in as u2"


def test_rows_that_left_the_table_stay_in_splunk_and_receipts_say_so(splunk):
    splunk.lake.silver(rows=20)
    splunk.push()
    splunk.lake.silver(rows=17)
    receipt = splunk.push()
    assert receipt.matches and (receipt.rows, receipt.held_rows, receipt.sent) == (17, 17, 0)
    assert receipt.notes == ("no longer in the table, and still in Splunk, which removes nothing: events 3",)
    splunk.lake.silver(rows=0)
    receipt = splunk.push()
    assert receipt.matches and "which removes nothing: events 20" in receipt.notes[0]
    assert once(splunk, range(20))


def test_another_index_knows_nothing_of_what_this_one_has(splunk):
    splunk.lake.silver(rows=5)
    splunk.push()
    splunk.push(index="security")
    assert Counter(each.index for each in splunk.hec.events) == {"main": 5, "security": 5}


def test_progress_is_one_file_of_ids_and_hashes(splunk):
    splunk.lake.silver(rows=500)
    splunk.push(batch_events=10)
    (key,) = splunk.progress
    held = splunk.lake.store.read(key)
    assert key.startswith(f"_exporting/there/authentication/date={HOUR[:10]}/hour={HOUR[11:]}/")
    assert b"example.com" not in held and b"signed in" not in held


def test_progress_in_a_bucket_is_as_good(bucket_lake, monkeypatch, request):
    with started(Splunk, bucket_lake, monkeypatch, request) as splunk:
        bucket_lake.silver(rows=30)
        assert splunk.push().matches
        bucket_lake.silver(rows=31)
        assert splunk.push().sent == 1
        assert once(splunk, range(31)) and len(splunk.progress) == 1


def test_without_acknowledgement_answers_are_the_proof(plain):
    plain.lake.silver(rows=1200)
    receipt = plain.push(acknowledge=False)
    assert receipt.matches and receipt.proof == "responses"
    assert once(plain, range(1200))
    assert plain.push(acknowledge=False, again=True).sent == 0


def test_a_token_that_does_not_acknowledge_is_found_before_anything_goes(plain):
    plain.lake.silver(rows=5)
    with pytest.raises(DestinationDenied, match="acknowledge: false"):
        plain.push()
    assert plain.hec.events == [] and plain.progress == []


def test_the_token_is_read_when_used_and_shown_nowhere(splunk, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    splunk.lake.silver(rows=5)
    there = splunk.open()
    receipt = splunk.lake.push(there, export())
    monkeypatch.delenv("HEADWATER_SPLUNK_TOKEN")
    with pytest.raises(DestinationDenied, match="HEADWATER_SPLUNK_TOKEN is not set"):
        splunk.lake.silver("2026-03-02T05", rows=5)
        splunk.push("2026-03-02T05")
    monkeypatch.setenv("HEADWATER_SPLUNK_TOKEN", "wrong" + TOKEN)
    with pytest.raises(DestinationDenied, match="code 4") as caught:
        splunk.push("2026-03-02T05")
    told = [str(caught.value), repr(there), there.identity, repr(vars(there)), str(receipt), caplog.text]
    assert not any(TOKEN in each for each in told)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "http://splunk.example.com:8088"}, "use https"),
        ({"url": "splunk.example.com:8088"}, "expected https://"),
        ({"url": "https://x:secret@splunk.example.com"}, "token_env"),
        ({"url": "https://splunk.example.com", "token": "secret"}, "token"),
        ({"url": "https://splunk.example.com", "batch_events": 0}, "batch_events"),
        ({}, "url"),
    ],
)
def test_wrong_settings_are_told_by_name(wrong, words):
    with pytest.raises(BadDeclaration, match=words) as caught:
        configured("siem", {"type": "splunk", **wrong})
    assert "secret" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_refused(splunk, tmp_path):
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = splunk.hec._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    splunk.lake.silver(rows=5)
    url = splunk.hec.url.replace("http:", "https:")
    with pytest.raises(DestinationDenied, match="ca_file"):
        splunk.push(url=url)
    assert splunk.push(url=url, ca_file=str(certificate)).matches
    assert once(splunk, range(5))


def test_an_hour_whose_receipt_is_lost_is_not_sent_twice(splunk):
    splunk.lake.silver(rows=20)
    splunk.push()
    for receipt in splunk.lake.store.list("ledger/export"):
        splunk.lake.store.move(receipt.key, f"damaged/{receipt.key}")
    assert splunk.push().sent == 0
    assert splunk.hec.counts() == Counter(ids(range(20)))


@pytest.mark.parametrize("aside", [True, False])
def test_an_hour_of_which_nothing_tells_what_was_taken_is_refused_with_what_to_do(splunk, aside):
    splunk.lake.silver(rows=20)
    splunk.push()
    for taken in splunk.progress:
        splunk.lake.store.move(taken, f"damaged/{taken}" if aside else f"elsewhere/{taken}")
    if aside:
        for receipt in splunk.lake.store.list("ledger/export"):
            splunk.lake.store.move(receipt.key, f"damaged/{receipt.key}")
    splunk.lake.silver(rows=21)
    with pytest.raises(ExportError, match=r"twice\. Delete those that are there \(`index=.* event_hour=.*\| delete`\)"):
        splunk.push()
    assert splunk.hec.counts() == Counter(ids(range(20)))
