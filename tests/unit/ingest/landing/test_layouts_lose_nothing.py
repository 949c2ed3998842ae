"""What a source's `layouts.py` makes of a record has every value of it: the published row is held against that."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.contracts import contract_of, load_contracts
from ingest.landing.layouts import reader_of
from lake.ocsf.accounts.texts import json_of, leaves
from tests.dbt.golden import FOLDER

SOURCES = sorted(name for name, contract in load_contracts().items() if contract.layouts)
_OSSEC = re.compile(r"WinEvtLog: ([^:]+): (\w+)\((\d+)\): ([^:]+): (.*?): (.*?): ([^:]+): (.*)", re.DOTALL)
_NOBODY = ("NOT_TRANSLATED", "(no user)", "no domain")
_NAMESPACE = "http://schemas.microsoft.com/win/"  # of XML, no value of the event


def _values(record: Any) -> Iterator[str]:
    """The values of a record, those in texts that are JSON as well."""
    for _, text in leaves(record):
        text = text.strip().strip('"')
        inner = json_of(text) if text[:1] in ("{", "[") else None
        if isinstance(inner, dict | list):
            yield from _values(inner)
        elif parts := _parts(text):
            yield from (part.strip().lower() for part in parts if part not in _NOBODY)
        elif text not in ("", "-") and not text.startswith(_NAMESPACE):
            yield text.lower().replace("\\\\", "\\")  # Wazuh escapes twice


def _parts(text: str) -> list[str]:
    """The values of an event that Splunk or OSSEC renders as one text, its message whole; none of other texts."""
    if "\nLogName=" in text:
        head, _, message = text.partition("\nMessage=")
        return [message, *(line.partition("=")[2] for line in head.splitlines()[1:])]
    return list(found.groups()) if (found := _OSSEC.search(text)) else []


@pytest.mark.parametrize("source", SOURCES)
def test_every_value_is_in_what_is_made(source: str) -> None:
    read = reader_of(source, contract_of(source).fields)
    changed = 0
    for file in sorted((FOLDER / source).glob("*.ndjson")):
        for line in file.read_text().splitlines():
            if (made := read(line)) is not None:
                changed += 1
                have = "\n".join(_values(json.loads(made)))
                lost = [value for value in _values(json.loads(line)) if value not in have]
                assert not lost, (file.name, line[:200])
    assert changed, "the golden cases hold no record of another layout"
