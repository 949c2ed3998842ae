"""CSV, JSON and Parquet of people's own making fill any table."""

import csv
import gzip
import io
import json
import zipfile
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.reference.formats import FormatError
from tests.unit.ingest.reference.formats.reading import read_feed, read_text

ASSETS = "Asset Tag,name,ip,tags,owner,seen\r\nA-1,PCI-DB-1,10.1.0.7|10.1.0.8,pci|prod,dba,01.03.2026\r\n"


def test_columns_are_taken_by_name_and_by_declaration(tmp_path: Path) -> None:
    found = read_text(
        tmp_path,
        "csv",
        "assets",
        ASSETS,
        fields={"uid": "Asset Tag", "addresses": "ip", "valid_from": "seen"},
        time_formats=["%d.%m.%Y"],
        constants={"environment": "production"},
    )
    assert found.payload() == {
        "uid": "A-1",
        "name": "PCI-DB-1",
        "addresses": ["10.1.0.7", "10.1.0.8"],
        "tags": ["pci", "prod"],
        "owner": "dba",
        "environment": "production",
    }
    assert ("A-1", datetime(2026, 3, 1)) == (found.entries[0].entry, found.entries[0].valid_from)


def test_the_same_rows_come_out_of_every_wrapping(tmp_path: Path) -> None:
    rows = [{"value": "192.0.2.1", "confidence": 80, "labels": ["a", "b"]}, {"value": "evil.example", "confidence": 7}]
    text = "value,confidence,labels\n192.0.2.1,80,a;b\nevil.example,7,\n"
    (tmp_path / "plain.csv").write_text(text)
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (tmp_path / "utf16.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("feed.csv", text)
    (tmp_path / "lines.ndjson").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "array.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "kept.json").write_text(json.dumps({"made": 1, "items": rows}))
    duckdb.sql(f"copy (from read_json('{tmp_path}/lines.ndjson')) to '{tmp_path}/rows.parquet'")
    wanted = read_feed("csv", "indicators", tmp_path / "plain.csv").entries
    assert len(wanted) == 2
    for name in ("bom.csv", "utf16.csv", "packed.csv.gz", "packed.zip"):
        assert wanted == read_feed("csv", "indicators", tmp_path / name).entries, name
    for format, name in (("ndjson", "lines.ndjson"), ("ndjson", "array.json"), ("parquet", "rows.parquet")):
        assert wanted == read_feed(format, "indicators", tmp_path / name).entries, name
    assert wanted == read_feed("ndjson", "indicators", tmp_path / "kept.json", records_keys=["items"]).entries


def test_a_field_inside_of_an_object_is_named_by_its_path(tmp_path: Path) -> None:
    text = '{"who": {"id": "E-1", "names": ["a@example.com"]}, "left": null}'
    found = read_text(
        tmp_path, "ndjson", "identities", text, fields={"uid": "who.id", "emails": "who.names", "left_at": "left"}
    )
    assert found.payload() == {"uid": "E-1", "emails": ["a@example.com"]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1.2.3.4", "1 values, the header has 3"),
        ("1.2.3.4,high,2026-01-01", "confidence: 'high' is no number from 0 to 100"),
        ("1.2.3.4,101,2026-01-01", "confidence: 101 is not from 0 to 100"),
        ("1.2.3.4,50,yesterday", "'yesterday' is no time"),
        (",50,2026-01-01", "the row names no observable"),
        ("not one,50,", "'not one' is neither an address"),
        ('"x"y,50,', "not CSV"),
        ("\udce9vil.example,,".encode("utf-8", "surrogateescape").decode("latin-1"), "not_text: invalid UTF-8"),
    ],
)
def test_an_odd_row_is_rejected_with_its_reason_and_costs_no_other(tmp_path: Path, row: str, reason: str) -> None:
    text = f"value,confidence,valid_from\n{row}\n192.0.2.1,1,\n"
    found = read_text(tmp_path, "csv", "indicators", text.encode("latin-1"))
    assert [("ip", "192.0.2.1")] == found.observables
    assert ["row 2"] == [reject.where for reject in found.rejects]
    assert reason in found.reasons[0]


def test_an_unclosed_quote_takes_no_other_row(tmp_path: Path) -> None:
    rows = "\n".join(f"192.0.2.{number},x" for number in range(1, 250))
    found = read_text(tmp_path, "csv", "indicators", f'value,name\n"198.51.100.1,x\n{rows}\n')
    assert (249, ["row 2"]) == (len(found.entries), [reject.where for reject in found.rejects])


def test_a_value_of_very_many_lines_is_no_value(tmp_path: Path) -> None:
    lines = "\n".join(["x"] * 300)
    found = read_text(tmp_path, "csv", "indicators", f'value,name\n192.0.2.1,"{lines}"\n192.0.2.2,x\n')
    assert ([("ip", "192.0.2.2")], True) == (found.observables, "more than 200 lines" in found.reasons[0])


def test_a_value_may_run_over_lines_and_comments_are_counted(tmp_path: Path) -> None:
    found = read_text(tmp_path, "csv", "indicators", '# made today\nvalue,description\n192.0.2.1,"two\nlines"\n# end\n')
    assert (found.payload()["description"], found.skipped) == ("two\nlines", {"comment": 2})


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=20)
VALUES = st.one_of(
    CELLS, st.ip_addresses().map(str), st.sampled_from(["10.0.0.1-10.0.0.9", "e[.]example", "*.e.example"])
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(VALUES, CELLS), max_size=15), st.sampled_from(["csv", "ndjson"]))
def test_every_row_is_an_entry_a_reject_or_counted(tmp_path: Path, rows: list[tuple[str, str]], format: str) -> None:
    out = io.StringIO()
    if format == "csv":
        csv.writer(out, lineterminator="\n").writerows([("value", "confidence"), *rows])
    else:
        out.writelines(json.dumps({"value": value, "confidence": number}) + "\n" for value, number in rows)
    found = read_text(tmp_path, format, "warning_lists", out.getvalue())
    payloads = {id(entry.payload) for entry in found.entries}  # one a row
    assert len(rows) == len(payloads) + len(found.rejects) + sum(found.skipped.values())


def test_one_row_may_name_a_range_or_a_wildcard(tmp_path: Path) -> None:
    found = read_text(tmp_path, "csv", "warning_lists", "value\n10.0.0.0-10.0.0.2\n*.cdn.example\n")
    assert [("ip", "10.0.0.0/31"), ("ip", "10.0.0.2"), ("domain", "cdn.example")] == found.observables
    assert found.payload(2) == {"covers_subdomains": True}
    assert read_text(tmp_path, "csv", "indicators", "value\n*.cdn.example\n").entries == []


def test_json_records_may_name_their_observable_each_in_another_field(tmp_path: Path) -> None:
    text = '{"ip": "192.0.2.1"}\n{"domain": "intranet"}\n{"hash": "intranet"}\n{"name": "x"}\n'
    found = read_text(tmp_path, "ndjson", "indicators", text)
    assert [("ip", "192.0.2.1"), ("domain", "intranet")] == found.observables
    assert "'intranet' is not a hash in hexadecimal digits" == found.reasons[0]
    assert "the row names no observable" == found.reasons[1]


@pytest.mark.parametrize("format", ["csv", "ndjson", "plain"])
def test_a_constant_that_is_no_value_of_its_column_is_told(tmp_path: Path, format: str) -> None:
    with pytest.raises(FormatError, match=r"constants\.confidence: 900 is not from 0 to 100"):
        read_text(tmp_path, format, "indicators", "value\n1.2.3.4\n", constants={"confidence": 900})


def test_kinds_are_understood_as_other_feeds_write_them(tmp_path: Path) -> None:
    text = "type,indicator,id\nIPv4,192.0.2.1,7\nhostname,intranet,8\nmutex,x,9\n"
    found = read_text(tmp_path, "csv", "indicators", text, fields={"kind": "type", "entry": "id"})
    assert [("ip", "192.0.2.1"), ("domain", "intranet")] == found.observables
    assert ["7", "8"] == [entry.entry for entry in found.entries]
    assert ["kind 'mutex' is none of ip, domain, url, hash, email, cve, name"] == found.reasons


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "no field holds the observable: .*found a, b"),
        ("value\n1.2.3.4\n", {"fields": {"colour": "x"}}, "colour: no column of indicators"),
        ("value\n1.2.3.4\n", {"fields": {"name": "title"}}, "no field title; found value"),
        ("value,value\n", {}, "the header has value more than once"),
        ("", {}, "no header line"),
    ],
)
def test_a_header_that_does_not_fit_is_one_error(
    tmp_path: Path, text: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read_text(tmp_path, "csv", "indicators", text, **options)


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no Parquet file"):
        read_text(tmp_path, "parquet", "indicators", "value\n1.2.3.4\n")


def test_nested_too_deeply_is_a_reject(tmp_path: Path) -> None:
    found = read_text(
        tmp_path, "ndjson", "indicators", '{"value": "192.0.2.1"}\n' + '{"a":' * 60_000 + "1" + "}" * 60_000
    )
    assert ([("ip", "192.0.2.1")], 1) == (found.observables, len(found.rejects))
