"""Records inside of other services' documents are taken out; what is not sound stays whole and is counted."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.decode import DecodeReport, Limits, decode
from ingest.decode.lines import LineForm
from ingest.objects import is_of_firehose, lies_as_by_firehose, why_not
from tests.integration.dagster.cloudtrail_hours import call
from tests.unit.ingest.decoding import stored
from tests.unit.ingest.landing.landed import landed

WRAPPERS = ("cloudwatch_logs", "eventbridge", "event_hook", "splunk_hec", "message")
FLOW = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 17 1 40 1772427600 1772427660 ACCEPT OK"


def subscribed(*messages: str, kind: str = "DATA_MESSAGE") -> bytes:
    """A document of a subscription, as CloudWatch Logs writes it."""
    events = [{"id": f"{number:056}", "timestamp": 1, "message": text} for number, text in enumerate(messages)]
    beside = {"owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"], "logEvents": events}
    return json.dumps({"messageType": kind, **beside}, separators=(",", ":")).encode()


CONTROL = subscribed("CWL CONTROL MESSAGE: Checking health of destination Firehose.", kind="CONTROL_MESSAGE")


def bridged(detail: object) -> str:
    """An event of EventBridge."""
    head = {
        "version": "0",
        "id": "e",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": "1",
    }
    return json.dumps({**head, "time": "2026-03-02T05:01:00Z", "region": "r", "resources": [], "detail": detail})


def texts(content: bytes, form: LineForm | None = None, **limits: int) -> Iterator[tuple[str, str | None]]:
    """Texts and problems of all records; the report counts as many."""
    report = DecodeReport()
    for batch in decode([stored(content)], Limits(**limits), ("Records", "logEvents"), report, form, WRAPPERS):
        yield from ((row["line"], row["problem"]) for row in batch.to_pylist())


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("between", [b"", b"\n"])
def test_messages_are_records_wherever_the_documents_are_cut(chunk: int, between: bytes) -> None:
    inner = [json.dumps({"a": number, "text": '{"messageType":"DATA_MESSAGE"} "é"'}) for number in range(5)]
    content = between.join([subscribed(*inner[:2]), CONTROL, subscribed(), subscribed(*inner[2:])])
    assert [(text, None) for text in inner] == list(texts(content, chunk_bytes=chunk))
    members = gzip.compress(gzip.compress(subscribed(*inner[:2])) + gzip.compress(subscribed(*inner[2:])))
    assert [(text, None) for text in inner] == list(texts(members, chunk_bytes=chunk))


def test_control_messages_alone_are_no_records() -> None:
    assert [] == list(texts(CONTROL * 3))


def test_a_damaged_document_stays_whole_and_costs_no_other() -> None:
    damaged = subscribed('{"b":2}').replace(b'"logEvents":[', b'"logEvents":')
    found = list(texts(subscribed('{"a":1}') + damaged + subscribed('{"c":3}')))
    assert ('{"a":1}', None) == found[0] and ('{"c":3}', None) == found[-1]
    assert damaged.decode() in "".join(text for text, _ in found[1:-1])


def test_what_is_cut_off_is_one_truncated_record() -> None:
    whole = gzip.compress(subscribed('{"a":1}') + subscribed("{" + " " * 3000 + '"b":2}'), compresslevel=0)
    found = list(texts(whole[:-500]))
    assert [None, "truncated_object"] == [problem for _, problem in found]
    assert '{"a":1}' == found[0][0]


def test_a_document_that_is_too_long_to_hold_is_not_lost() -> None:
    found = list(texts(subscribed('{"a":1}') + subscribed(*["x" * 90] * 50), max_document_bytes=1000))
    assert ('{"a":1}', None) == found[0]
    assert 50 == sum(text.count("x" * 90) for text, _ in found[1:])


def test_lines_inside_documents_are_lines() -> None:
    form = LineForm(" ", frozenset(("version",)))
    assert [("2 a", None), ("3 b", None)] == list(texts(subscribed("2 a\n", "3 b"), form))


@pytest.mark.parametrize("chunk", [1, 30, 5000])
def test_lines_of_an_export_are_records_without_the_time_in_front(chunk: int) -> None:
    inner = ['{"a":1}', '{"b":"2026-03-02T05:00:00.000Z x"}', "nonsense", '{"c":"' + "x" * 3000 + '"}']
    content = "".join(f"2026-03-02T05:00:00.000Z {text}\n" for text in inner).encode()
    found = list(texts(content, chunk_bytes=chunk))
    assert inner == [text for text, _ in found]
    cut = list(texts(gzip.compress(content, compresslevel=0)[:-100], chunk_bytes=chunk))
    assert (inner[:3], "truncated_object") == ([text for text, _ in cut[:3]], cut[3][1])


def test_a_line_longer_than_is_waited_for_keeps_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.decode.wrapped._LONGEST_LINE", 30)
    inner = ['{"a":"' + "2026-03-02T05:00:00.000Z " * 9 + '"}', '{"b":2}']
    content = "".join(f"2026-03-02T05:00:00.000Z {text}\n" for text in inner).encode()
    assert inner == [text for text, _ in texts(content, chunk_bytes=7)]


def test_the_detail_of_an_event_is_the_record() -> None:
    events = [bridged({"eventID": "a", "n": 1.50}), bridged("a text"), "{broken", json.dumps({"eventID": "b"})]
    found = list(texts("\n".join(events).encode()))
    assert ('{"eventID": "a", "n": 1.5}', None) == found[0]
    assert events[1:] == [text for text, _ in found[1:]]
    assert [found[0], (events[3], None)] == list(texts(f"{events[0]}\n{events[3]}".encode()))
    assert [(events[3], None), found[0]] == list(texts(f"{events[3]}\n{events[0]}".encode(), chunk_bytes=1))


def hooked(*events: object) -> str:
    """A call of an Okta event hook."""
    head = {"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "eventId": "h"}
    return json.dumps({**head, "data": {"events": events}})


@pytest.mark.parametrize(
    ("document", "record"),
    [
        (hooked({"uuid": "a"}), '{"uuid": "a"}'),
        (hooked(), ""),
        (json.dumps({"time": 1, "sourcetype": "OktaIM2:log", "event": {"uuid": "a"}}), '{"uuid": "a"}'),
        (json.dumps({"sourcetype": "OktaIM2:log", "event": '{"uuid": "a"}'}), '{"uuid": "a"}'),
        (json.dumps({"sourcetype": "x", "event": "a text"}), ""),
        (json.dumps({"sourcetype": 1, "event": {}}), ""),
    ],
)
def test_the_one_event_of_a_hook_or_of_a_collector_is_the_record(document: str, record: str) -> None:
    other = json.dumps({"uuid": "of its own"})
    assert [(record or document, None), (other, None)] == list(texts(f"{document}\n{other}".encode()))


A, B = ({"uuid": each, "text": "a\nb"} for each in "ab")
COLLECTED = [
    {"@timestamp": "x", "message": json.dumps(A)},
    {"event": {"original": json.dumps(A, indent=1)}, "message": "Something."},
    {"_source": {"message": json.dumps(A)}},
    {"event.original": json.dumps(A)},
    {"log": json.dumps(A) + "\n", "stream": "stdout"},
]


@pytest.mark.parametrize("chunk", [7, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [
        hooked(A, B),
        json.dumps(json.loads(hooked(A, B)), indent=2),
        f"{hooked(A)}\n{json.dumps(B)}\n",
        json.dumps({"events": [{"message": json.dumps(each), "timestamp": 1} for each in (A, B)]}),
        *(f"{json.dumps(each)}\n{json.dumps(B)}" for each in COLLECTED),
    ],
)
def test_texts_of_collectors_and_events_of_hooks_are_records(content: str, chunk: int) -> None:
    assert [A, B] == [json.loads(text) for text, _ in texts(content.encode(), chunk_bytes=chunk)]


@pytest.mark.parametrize(
    "content", ['{"message": "{broken"}', '{"message": "{}", "a"', '{"message": 1}\n{"message": "a b c"}']
)
def test_what_holds_no_record_passes_as_it_is(content: str) -> None:
    assert "".join(content.split("\n")) == "".join(text for text, _ in texts(content.encode()))


def test_lines_of_text_come_inside_objects_too(tmp_path: Path) -> None:
    flow = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 4000 443 6 20 4249 1772427600 1772427660 ACCEPT OK"
    content = "".join(json.dumps({"message": text, "stream": 1}) + "\n" for text in (flow, flow.replace("443", "80")))
    found = landed(tmp_path, content.encode(), load_contracts()["aws_vpc_flow"])
    assert [(443, flow), (80, flow.replace("443", "80"))] == found.bronze("dstport, _raw")


def test_an_event_lands_the_same_whatever_brought_it(tmp_path: Path) -> None:
    contract = load_contracts()["aws_cloudtrail"]
    text = json.dumps(call("a", "2026-03-02T05:01:00Z"))
    ways = [text, json.dumps({"Records": [json.loads(text)]}), bridged(json.loads(text)), subscribed(text).decode()]
    ways.append(subscribed(bridged(json.loads(text))).decode())
    columns = "eventID, eventName, _event_key, _event_at, _content_hash, _raw"
    found = [landed(tmp_path / str(n), way.encode(), contract).bronze(columns) for n, way in enumerate(ways)]
    assert [1] * 5 == [len(rows) for rows in found]
    assert 1 == len({rows[0] for rows in found})


def test_flows_of_a_log_group_land_in_the_default_format(tmp_path: Path) -> None:
    quiet = "2 123456789010 eni-1 - - - - - - - 1772427600 1772427660 - NODATA"
    custom = "5 vpc-1 10.0.0.1"  # a format of one's own has no header there
    result = landed(tmp_path, subscribed(FLOW, quiet, custom) + CONTROL, load_contracts()["aws_vpc_flow"])
    assert [("10.0.0.1", 2, FLOW)] == result.bronze("srcaddr, dstport, _raw")
    assert [("wrong_field_count",)] == result.quarantine("reason")
    lines = f"2026-03-02T05:00:01.000Z {FLOW}\n".encode() * 2
    exported = landed(tmp_path / "exported", lines, load_contracts()["aws_vpc_flow"])
    assert [("10.0.0.1", 2, FLOW)] * 2 == exported.bronze("srcaddr, dstport, _raw")
    assert (2, ["NODATA"]) == (result.receipt.read, [each.status for each in result.receipt.coverage])


def test_objects_of_firehose_are_known_by_their_names() -> None:
    contract = load_contracts()["aws_guardduty"]
    name = "findings-1-2026-03-02-05-04-03-0d0b8e0c-1111-2222-3333-444455556666"
    for each in (name, f"{name}.gz"):
        assert "" == why_not(contract, f"s3://b/p/2026/03/02/05/{each}", named=False)
        assert lies_as_by_firehose(f"2026/03/02/05/{each}")
    assert not lies_as_by_firehose(f"other/2026/03/02/05/{name}") and not is_of_firehose("notes-2026")
    assert "not a data file" in why_not(contract, "s3://b/p/notes-2026", named=False)
