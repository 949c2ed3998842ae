"""Formats of contracts: how text is written, and which records are coverage; what is wrong is said in one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.contracts import ContractError, load_contract, load_contracts

FLOW = Path(__file__).parent / "landing" / "flow.yaml"


def changed(folder: Path, **properties: Any) -> Path:
    """The contract of delimited text with other values of some custom properties."""
    document = yaml.safe_load(FLOW.read_text())
    kept = [each for each in document["customProperties"] if each["property"] not in properties]
    added = [{"property": name, "value": value} for name, value in properties.items() if value is not None]
    document["customProperties"] = kept + added
    path = folder / "flow.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_without_a_format_records_are_json() -> None:
    assert "json" == load_contracts()["aws_cloudtrail"].format.kind
    assert load_contracts()["aws_cloudtrail"].coverage is None


def test_a_format_and_its_coverage_are_read() -> None:
    contract = load_contract(FLOW)
    form, rule = contract.format, contract.coverage
    assert ("delimited", " ", True, "layout", ("-",)) == (
        form.kind,
        form.delimiter,
        form.has_header,
        form.header_field,
        form.nulls,
    )
    assert rule is not None
    assert (("QUIET",), ("SKIPPED",), ("at", "until")) == (rule.idle, rule.lost, rule.interval)
    assert () == contract.event_key


DELIMITED = {"kind": "delimited", "delimiter": " ", "columns": ["host", "at"]}
COVERAGE = {"field": "status", "idle": ["QUIET"]}


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"format": {"kind": "csv"}}, "kind: found 'csv', expected one of delimited, json, pattern"),
        ({"format": {**DELIMITED, "quote": "x"}}, "unknown key 'quote'"),
        ({"format": {**DELIMITED, "delimiter": "ab"}}, "delimiter: found 'ab', expected one character"),
        ({"format": {**DELIMITED, "header": "last"}}, "header: found 'last'"),
        ({"format": {"kind": "delimited", "delimiter": " "}}, "columns: missing"),
        ({"format": {**DELIMITED, "columns": ["nobody"]}}, "columns: 'nobody' is not a declared field"),
        ({"format": {**DELIMITED, "headerField": "at"}}, "headerField: 'at' is not a declared field of type string"),
        ({"format": {**DELIMITED, "nulls": [1]}}, "nulls: found 1"),
        ({"format": {"kind": "pattern", "pattern": "("}}, "pattern: not a regular expression"),
        ({"format": {"kind": "pattern", "pattern": "(?P<nobody>.)"}}, "expected groups named like fields"),
        ({"format": "text"}, "found 'text', expected a mapping"),
        ({"coverage": {**COVERAGE, "field": "at"}}, "'at' is not a declared field of type string"),
        ({"coverage": {**COVERAGE, "by": ["nobody"]}}, "'nobody' is not a declared field of type string"),
        ({"coverage": {**COVERAGE, "interval": ["at"]}}, "interval: expected two declared integer fields"),
        ({"coverage": {"field": "status"}}, "expected values of the field under idle or lost"),
        ({"eventKeyFallback": None}, "missing event key"),
        ({"eventTime": [{"path": "host", "format": "%d/%b/%Y"}]}, "or a strptime format that ends in %z"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as raised:
        load_contract(changed(tmp_path, **properties))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_text_format_has_no_nested_fields(tmp_path: Path) -> None:
    path = changed(tmp_path)
    nested = {"name": "inner", "logicalType": "object", "properties": [{"name": "x", "logicalType": "string"}]}
    document = yaml.safe_load(path.read_text())
    document["schema"][0]["properties"].append(nested)
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ContractError, match="inner: is of type object; in a delimited format expected one of"):
        load_contract(path)
