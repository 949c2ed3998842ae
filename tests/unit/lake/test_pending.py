"""Answers that events wait for change the rows of an hour; answers to others do not."""

import msgspec

from lake.ledger.build_receipts import BuildReceipt

RECEIPT = BuildReceipt(
    model="authentication__okta_system_log",
    source="okta_system_log",
    table="authentication",
    hour="2026-03-02T05",
    rows=3,
    bytes=10,
    inputs=(("bronze/a.parquet", "c1"),),
    mapping="m",
    built_at="2026-03-02T06:00:00+00:00",
    counts={"pending:abuse": 2},
    context={"geoip_city": "1", "lookups:abuse": "7"},
)


def test_an_hour_whose_events_were_answered_has_other_rows() -> None:
    answered = msgspec.structs.replace(RECEIPT, counts={})
    assert answered.rows_mark != RECEIPT.rows_mark


def test_answers_that_no_event_of_an_hour_waits_for_leave_its_rows_as_they_are() -> None:
    later = msgspec.structs.replace(RECEIPT, context=RECEIPT.context | {"lookups:abuse": "8", "lookups:vt": "1"})
    assert later.rows_mark == RECEIPT.rows_mark
    other = msgspec.structs.replace(RECEIPT, context=RECEIPT.context | {"geoip_city": "2"})
    assert other.rows_mark != RECEIPT.rows_mark
