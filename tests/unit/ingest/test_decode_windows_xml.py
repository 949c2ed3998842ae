"""Windows events in XML: cut out of any text around them, read as evtx_dump writes them, each fault for itself."""

import json
import random
from typing import Any

import pytest

from ingest.decode import DecodeReport, Limits, decode
from tests.unit.ingest.decoding import stored

NS = "http://schemas.microsoft.com/win/2004/08/events/event"
DATA = '<Data Name="TargetUserName">dora</Data><Data Name="IpAddress">-</Data><Data Name="ProcessName"/>'


def event(number: int = 1, data: str = DATA, more: str = "", ns: str = f' xmlns="{NS}"') -> str:
    return (
        f'<Event{ns}><System><Provider Name="Microsoft-Windows-Security-Auditing" Guid="{{1}}"/>'
        '<EventID>4624</EventID><TimeCreated SystemTime="2026-03-02T05:00:00.5Z"/>'
        f'<EventRecordID>{number}</EventRecordID><Correlation ActivityID="{{2}}"/>'
        '<Execution ProcessID="700" ThreadID="800"/>'
        f"<Channel>Security</Channel><Computer>dc1</Computer><Security/></System><EventData>{data}</EventData>{more}</Event>"
    )


def pretty(text: str) -> str:
    return text.replace("><", ">\r\n  <")


def read(text: str | bytes, limits: Limits | None = None) -> list[dict[str, Any]]:
    """The rows, each with its number of the event (`number`) if it has no problem."""
    content = text.encode() if isinstance(text, str) else text
    report = DecodeReport()
    found = decode([stored(content)], limits or Limits(), ("Records",), report, None, (), True)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert [report.records, *range(1, len(rows) + 1)] == [len(rows), *(row["row"] for row in rows)]
    return [{"raw": None, **row} for row in rows]


def told(text: str | bytes, limits: Limits | None = None) -> list[str]:
    """The record number of each event, or what is wrong with it."""
    return [row["problem"] or _number(row["line"]) for row in read(text, limits)]


def _number(line: str) -> str:
    if not line.startswith("{"):
        return "no JSON"
    return str(json.loads(line).get("Event", {}).get("System", {}).get("EventRecordID", "JSON"))


def parsed(text: str) -> dict[str, Any]:
    (row,) = read(text)
    assert row["problem"] is None, row["detail"]
    return dict(json.loads(row["line"]))


E1, E2, E3 = event(1), event(2), event(3)
LATIN = f'<?xml version="1.0" encoding="ISO-8859-1"?><Events>{E1}{E2}</Events>'.replace("dora", "dorä")
PREFIXED = (E1 + E2).replace("<", "<e:").replace("<e:/", "</e:")
WRAPPED = f'<?xml version="1.0" encoding="utf-16" standalone="yes"?>\r\n<Events>{E1}\r\n{E2}</Events>'


@pytest.mark.parametrize(
    "text",
    [
        E1 + "\n" + E2 + "\n",
        E1 + E2,
        pretty(E1) + "\r\n\r\n" + pretty(E2),
        WRAPPED,
        pretty(WRAPPED),
        "\ufeff" + WRAPPED,
        WRAPPED.encode("utf-16"),
        WRAPPED.encode("utf-16-le"),
        WRAPPED.encode("utf-16-be"),
        LATIN.encode("latin1"),
        f"<!-- exported --><e:Events xmlns:e='{NS}'>{PREFIXED}</e:Events>",
        (E1 + E2).replace('"', "'"),
        f"Record 1\n<?xml version='1.0'?>\n{pretty(E1)}\nRecord 2\n<?xml version='1.0'?>\n{pretty(E2)}\n",
        f"<Events>{E1}</Events>\n<Events>{E2}</Events>",
        f"<13>Mar  2 05:00:00 dc1 EvntSLog: {E1}\n<13>Mar  2 05:00:00 dc1 EvntSLog: {E2}\n",
        f"Mar  2 05:00:00 dc1 {E1}\nMar  2 05:00:00 dc1 {E2}",
        json.dumps({"_raw": E1}) + "\n" + json.dumps({"_raw": E2}),
        json.dumps({"event": {"original": E1}}).replace("<", "\\u003c") + "\n" + json.dumps({"full_log": pretty(E2)}),
    ],
)
@pytest.mark.parametrize("chunk", [1 << 20, 5])
def test_events_are_cut_out_whatever_is_around_them(text: str | bytes, chunk: int) -> None:
    assert ["1", "2"] == told(text, Limits(chunk_bytes=chunk))


def test_an_event_has_the_layout_of_evtx_dump() -> None:
    rendered = "<Message>a&#xA;b</Message><Keywords><Keyword>x</Keyword></Keywords></RenderingInfo>"
    assert {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing", "Guid": "{1}"}},
                "EventID": "4624",
                "TimeCreated": {"#attributes": {"SystemTime": "2026-03-02T05:00:00.5Z"}},
                "EventRecordID": "1",
                "Correlation": {"#attributes": {"ActivityID": "{2}"}},
                "Execution": {"#attributes": {"ProcessID": "700", "ThreadID": "800"}},
                "Channel": "Security",
                "Computer": "dc1",
                "Security": None,
            },
            "EventData": {"TargetUserName": "dora", "IpAddress": "-", "ProcessName": ""},
            "RenderingInfo": {
                "#attributes": {"Culture": "en-US"},
                "Message": "a\nb",
                "Keywords": {"Keyword": "x"},
            },
        }
    } == parsed(pretty(event(more=f'<RenderingInfo Culture="en-US">{rendered}')))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "<Data>a</Data><Data></Data><Data>b</Data><Binary>00FF</Binary>",
            {"Data": {"#text": ["a", "", "b"]}, "Binary": "00FF"},
        ),
        ("<Data>a</Data>", {"Data": {"#text": "a"}}),
        ('<Data Name="x">1</Data><Data Name="x">2</Data>', {"x": "1", "x_1": "2"}),
        ("<Header>1</Header><Header>2</Header>", {"Header": "1", "Header_1": "2"}),
        ('<Data Name="x"><![CDATA[a</Event><Event><System> & <b>]]></Data>', {"x": "a</Event><Event><System> & <b>"}),
        ('<Data Name="x">&lt;a&gt; &amp; &quot;&apos;&#228;&#xe4; é</Data>', {"x": "<a> & \"'ää é"}),
        ('<Data Name="x">one\r\n\ttwo\r\n</Data>', {"x": "one\r\n\ttwo\r\n"}),
        ('<Data Name="x"><![CDATA[one\r\ntwo]]></Data>', {"x": "one\r\ntwo"}),
        ('<Data Name="x">a\x1b[2J&#x1;</Data>', {"x": "a\x1b[2J\x01"}),
        ('<Data Name="x"><n:a n:k="1">t</n:a></Data>', {"x": {"a": {"#attributes": {"k": "1"}, "#text": "t"}}}),
        ("<!-- <Event><System> --><Data Name='x'>1</Data>", {"x": "1"}),
    ],
)
def test_event_data(data: str, expected: dict[str, Any]) -> None:
    assert expected == parsed(event(data=data))["Event"]["EventData"]


def test_user_data_keeps_its_elements() -> None:
    user = '<LogFileCleared xmlns="http://manifests"><SubjectUserName>a</SubjectUserName></LogFileCleared>'
    found = parsed(event(more=f"<UserData>{user}</UserData>"))
    assert {"LogFileCleared": {"SubjectUserName": "a"}} == found["Event"]["UserData"]


@pytest.mark.parametrize("text", [E1, pretty(E1)])
def test_messages_of_cloudwatch_logs_are_read_as_files_are(text: str) -> None:
    events = [{"id": "1", "timestamp": 1, "message": text}, {"id": "2", "timestamp": 2, "message": E2}]
    document = json.dumps({"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": events}).encode()
    found = decode([stored(document)], Limits(), (), None, None, ("cloudwatch_logs",), True)
    assert ["1", "2"] == [_number(row["line"]) for batch in found for row in batch.to_pylist()]


def test_the_time_of_an_event_is_utc_also_without_its_zone() -> None:
    found = parsed(E1.replace("2026-03-02T05:00:00.5Z", "2026-03-02 05:00:00.5"))
    assert {"#attributes": {"SystemTime": "2026-03-02 05:00:00.5Z"}} == found["Event"]["System"]["TimeCreated"]


def test_fields_as_nxlog_writes_them_are_the_record() -> None:
    sound = "<Event><EventTime>2026-03-02T05:00:00Z</EventTime><EventID>1</EventID></Event>"
    rows = read(f"{sound}\n{sound[:60]}\n{sound}")
    assert [None, "not_xml", None] == [row["problem"] for row in rows]
    assert {"EventTime": "2026-03-02T05:00:00Z", "EventID": "1"} == json.loads(rows[2]["line"])


def test_the_text_as_delivered_is_kept() -> None:
    header = "<13>Mar  2 05:00:00 dc1  x: "
    (row,) = read(f"<Events>\n{header}{pretty(E1)}\r\n</Events>")
    assert header + pretty(E1) == row["raw"]
    assert header.strip() == json.loads(row["line"])["LineHeader"]
    text = json.dumps({"EventID": 1, "EventData": "<EventData><Data Name='a'>1</Data></EventData>"})
    (row,) = read(text)
    assert (text, {"EventID": 1, "EventData": {"a": "1"}}) == (row["raw"], json.loads(row["line"]))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"n": 1.10, "message": f"Mar 2 dc1: {E1}"}, {"n": 1.10, "message": "Mar 2 dc1:"}),
        ({"EventData": f'<EventData xmlns="{NS}"><Data Name="a">1</Data></EventData>'}, {"EventData": {"a": "1"}}),
        (
            {"EventData": '<DataItem type="System.XmlData"><EventData><Data>1</Data></EventData></DataItem>'},
            {"EventData": {"Data": {"#text": "1"}, "DataItem.#attributes": {"type": "System.XmlData"}}},
        ),
        ({"fields": {"event.original": [E1], "a": [1, 2]}}, {"fields": {"a": [1, 2]}}),
        ({"EventData": "<UserData><A><B>1</B></A></UserData>"}, {"UserData": {"A": {"B": "1"}}}),
        (
            {"properties": {"EventData": "<EventData><Data Name='a'>1</Data></EventData>"}},
            {"properties": {"EventData": {"a": "1"}}},
        ),
    ],
)
def test_xml_in_a_text_of_json_is_taken_apart(record: dict[str, Any], expected: dict[str, Any]) -> None:
    found = parsed(json.dumps(record))
    found.pop("Event", None)
    assert expected == found


@pytest.mark.parametrize(
    "record",
    [
        {"ScriptBlockText": f"$sample = @'\n{E1}\n'@"},
        {"EventData": "<EventData><Data>"},
        {"EventData": ""},
        {"Message": "<Event is not XML"},
        {"RawXml": E1.replace("</System>", "")},
    ],
)
def test_other_texts_of_json_stay_as_they_are(record: dict[str, Any]) -> None:
    (row,) = read(json.dumps(record))
    assert (None, json.dumps(record)) == (row["raw"], row["line"])


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (E2[:200], "not_xml"),
        (E2.replace("</System>", ""), "not_xml"),
        (E2.replace("dora", "&lol;"), "not_xml"),
        (E2.replace("dora", "a & b"), "not_xml"),
        (E2.replace("dora", "<![CDATA[a"), "not_xml"),
        (E2.replace("dora", "<!-- a"), "not_xml"),
        (E2.replace("dora", "a\0b"), "not_xml"),
        (E2.replace("dora", "&#0;"), "not_xml"),
        (E2[100:], "not_xml"),
        (E2.replace("dora", "<a>" * 100_000 + "</a>" * 100_000), "too_deep"),
        (E2.replace("dora", "<a>" * 100_000), "not_xml"),
        ('<!DOCTYPE l [<!ENTITY a "a"><!ENTITY b "&a;&a;">]>', "not_xml"),
        ('{"a":1}', "JSON"),
        ("Mar 2 dc1 no event at all", "no JSON"),
    ],
)
@pytest.mark.parametrize("between", ["\n", "\r\n\r\n"])
def test_a_broken_event_costs_itself_alone(broken: str, problem: str, between: str) -> None:
    text = between.join((E1, broken, E3))
    assert ["1", problem, "3"] == told(text) == told(f"<Events>{text}</Events>")


@pytest.mark.parametrize("head", ["", "<13>Mar  2 05:00:00 dc1 x: ", "Mar  2 dc1 x: "])
def test_lines_of_json_between_events_are_records_whatever_they_hold(head: str) -> None:
    line = head + json.dumps({"EventID": 1, "Message": "a <b> </c>", "x": "<Event"})
    rows = read(f"{head}{E1}\n{line}\n{line}\n{E3}\n{line}")
    assert [None] * 5 == [row["problem"] for row in rows]
    assert [line, line, line] == [rows[at]["line"] for at in (1, 2, 4)]
    assert [(line, None)] * 2 == [(row["line"], row["problem"]) for row in read(f"{line}\n{line}")]


def test_xml_in_json_behind_a_header_is_taken_apart_in_its_place() -> None:
    line = "<13>Mar  2 dc1 x: " + json.dumps({"RawXml": E1, "n": 1})
    for text in (line, "\n" + line + "\n" + E2):
        row = read(text)[0]
        assert [None, line] == [row["problem"], row["raw"]]
        header, _, record = row["line"].partition("{")
        assert ["<13>Mar  2 dc1 x: ", "1"] == [header, _number("{" + record)]


def test_bad_utf8_costs_its_event_alone() -> None:
    rows = read(f"{E1}\n{E2}\n{E3}".encode().replace(b"dora", b"\xff\xfe", 2).replace(b"\xff\xfe", b"dora", 1))
    assert [None, "not_xml", None] == [row["problem"] for row in rows]
    assert r"\xff\xfe" in rows[1]["line"]


def test_an_event_that_is_cut_off_is_truncated() -> None:
    assert ["1", "truncated_object"] == told(E1 + "\n" + E2[:-20])


@pytest.mark.parametrize("chunk", [1 << 20, 64])
def test_an_event_that_is_too_large_is_cut(chunk: int) -> None:
    text = E1 + event(2, "d" * 20_000) + E3
    assert ["1", "too_large", "3"] == told(text, Limits(chunk_bytes=chunk, max_record_bytes=5_000))


def test_a_broken_event_is_kept_whole_with_a_reason() -> None:
    broken = pretty(E2.replace("</System>", ""))
    _, row, _ = read(E1 + "\n" + broken + "\n" + E3)
    assert broken == row["line"]
    assert row["detail"].startswith("mismatched tag")


PIECES = (b"", b"<", b"&", b"]]>", b"<![CDATA[", b"<!--", b"</Event>", b"<Event>", b"\xff", b"\0", b"{")


def test_any_damage_gives_the_same_records_in_any_chunks_and_costs_no_neighbour() -> None:
    for seed in range(150):
        chance = random.Random(seed)
        events = [pretty(event(n)) if chance.random() < 0.3 else event(n) for n in range(4)]
        hit = bytearray(events[1].encode())
        for _ in range(chance.choice([1, 1, 3])):
            at = chance.randrange(len(hit) + 1)
            piece = chance.choice(
                [b"", b"<", b"&", b"]]>", b"<![CDATA[", b"<!--", b"</Event>", b"<Event>", b"\xff", b"\0", b"{"]
            )
            hit[at : at + chance.choice([0, 1, 40, 2000])] = piece
        text = b"\n".join((events[0].encode(), bytes(hit), events[2].encode(), events[3].encode()))
        whole = read(text)
        parts = read(text, Limits(chunk_bytes=chance.choice([1, 7, 300])))
        assert [(row["line"], row["problem"]) for row in whole] == [(row["line"], row["problem"]) for row in parts], (
            seed
        )
        assert not any(row["problem"] == "unprocessable" for row in whole), seed
        assert {events[0], events[2], events[3]} <= {row["raw"] for row in whole}, seed
