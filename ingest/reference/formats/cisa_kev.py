"""CISA's Known Exploited Vulnerabilities, as JSON or CSV: indicators of kind `cve`.

Source: www.cisa.gov/known-exploited-vulnerabilities-catalog and github.com/cisagov/kev-data (schema): `cveID`,
`vendorProject`, `product`, `vulnerabilityName`, `dateAdded`, `shortDescription`, `requiredAction`, `dueDate`,
`knownRansomwareCampaignUse` (`Known`, `Unknown`), `notes` (addresses parted by `;`), `cwes`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ingest.reference.formats import FormatError, FormatOptions, Mode, Source
from ingest.reference.formats.csv import rows
from ingest.reference.observables import entries
from ingest.reference.reading.records import Record, decoded, json_records, line_records
from ingest.reference.reading.values import moment, text, texts
from ingest.reference.tables import INDICATORS, Entry, Reject

TABLES = (INDICATORS,)
MODE: Mode = "full"
READS = "file"

_KEY = "cveID"


class Options(FormatOptions):
    """Nothing to choose."""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield an entry for each vulnerability. Raises FormatError: no such catalog."""
    first = next(line_records(source), None)
    if first is None or not (first.text.lstrip().startswith("{") or _KEY in first.text):
        raise FormatError(f"{source.name}: no catalog of CISA: expected `vulnerabilities` or a header with {_KEY}")
    for record, value in _json(source) if first.text.lstrip().startswith("{") else _csv(source):
        if isinstance(value, str):
            yield record.reject(value)
            continue
        try:
            yield from _entries(value)
        except ValueError as error:
            yield record.reject(str(error))


def _json(source: Source) -> Iterator[tuple[Record, dict[str, Any] | str]]:
    for record in json_records(source, ("vulnerabilities",)):
        try:
            value = decoded(record)
        except ValueError as error:
            yield record, str(error)
            continue
        if isinstance(value, dict) and _KEY not in value and "catalogVersion" in value:
            raise FormatError(f"{source.name}: no catalog of CISA: its `vulnerabilities` is no list of vulnerabilities")
        yield record, value if isinstance(value, dict) else "not a JSON object"


def _csv(source: Source) -> Iterator[tuple[Record, dict[str, Any] | str]]:
    found = rows(source)
    header, _ = next(found)
    names = [name.strip() for name in header] if isinstance(header, list) else []
    if _KEY not in names:
        raise FormatError(f"{source.name}: no catalog of CISA: the header has no {_KEY}")
    for row, record in found:
        if isinstance(row, list) and len(row) != len(names):
            row = f"{len(row)} values, the header has {len(names)}"
        yield record, row if isinstance(row, str) else dict(zip(names, row, strict=True))


def _entries(value: Mapping[str, Any]) -> list[Entry]:
    ransomware = ["ransomware"] if str(value.get("knownRansomwareCampaignUse")).strip().lower() == "known" else []
    address = re.search(r"https?://[^\s;]+", str(value.get("notes") or ""))
    cve = text(value.get(_KEY)) or ""
    payload = {
        "uid": cve,
        "name": text(value.get("vulnerabilityName")),
        "description": text(value.get("shortDescription")),
        "category": "exploited vulnerability",
        "labels": texts([value.get("vendorProject"), value.get("product"), *texts(value.get("cwes")), *ransomware]),
        "src_url": address[0] if address else None,
        "tlp": "clear",
    }
    return list(entries(cve, payload, "cve", moment(value.get("dateAdded"))))
