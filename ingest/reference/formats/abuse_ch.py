"""abuse.ch: URLhaus, Feodo Tracker, ThreatFox (CSV and JSON), MalwareBazaar and SSLBL, recognised by their headers.

The header is a comment (`# id,dateadded,…`, quoted or not) or the first row; blanks stand behind the commas of some;
MalwareBazaar's rows may be longer than its header; `None` and `n/a` stand for nothing. Source: the exports that
urlhaus.abuse.ch, feodotracker.abuse.ch, threatfox.abuse.ch, bazaar.abuse.ch and sslbl.abuse.ch describe on their export
and API pages.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.reference.formats import FormatError, FormatOptions, Mode, Source
from ingest.reference.formats.csv import rows
from ingest.reference.observables import entries
from ingest.reference.reading.records import documents, line_records
from ingest.reference.reading.values import moment, percent, text, texts
from ingest.reference.tables import INDICATORS, Entry, Reject

TABLES = (INDICATORS,)
MODE: Mode = "full"  # the exports of recent additions are partial: their feeds must say so
READS = "file"

_NOTHING = {"none", "n/a", "null", "-"}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Shape:
    """One export: fields of its header that tell it, its observables (field → kind), and the rest of a row."""

    name: str
    marks: frozenset[str]
    observables: Mapping[str, str]
    begins: str
    payload: Callable[[Row], dict[str, object]]


def _urlhaus(row: Row) -> dict[str, object]:
    labels = texts(row.get("tags"), ",") + texts(row.get("url_status"))
    return {
        "uid": row.get("id"),
        "category": row.get("threat"),
        "labels": labels,
        "src_url": row.get("urlhaus_link"),
    }


def _feodo(row: Row) -> dict[str, object]:
    return {
        "malware": row.get("malware"),
        "category": "botnet_cc",
        "labels": texts(row.get("c2_status")),
        "description": _port(row.get("dst_port")),
    }


def _threatfox(row: Row) -> dict[str, object]:
    value = str(row.get("ioc_value") or row.get("ioc") or "")
    return {
        "uid": row.get("ioc_id") or row.get("id"),
        "category": row.get("threat_type"),
        "malware": row.get("malware_printable") or row.get("fk_malware") or row.get("malware"),
        "confidence": percent(row.get("confidence_level")),
        "labels": texts(row.get("tags"), ","),
        "src_url": row.get("reference"),
        "description": _port(value.rpartition(":")[2]) if row.get("ioc_type") == "ip:port" else None,
    }


def _bazaar(row: Row) -> dict[str, object]:
    return {
        "uid": row.get("sha256_hash"),
        "name": row.get("file_name"),
        "malware": row.get("signature"),
        "category": "malware",
        "labels": texts(row.get("file_type_guess")),
    }


def _certificate(row: Row) -> dict[str, object]:
    reason = str(row.get("listingreason") or "")
    return {
        "malware": reason.removesuffix("C&C").removesuffix("malware distribution").strip() or None,
        "category": "botnet_cc" if reason.endswith("C&C") else "malware",
        "description": reason or None,
        "labels": ["ja3" if row.get("ja3_md5") else "certificate"],
    }


def _ssl_address(row: Row) -> dict[str, object]:
    return {"category": "botnet_cc", "labels": ["ssl"], "description": _port(row.get("dstport"))}


def _port(port: object) -> str | None:
    return f"port {port}" if port else None


_THREATFOX_MARKS = frozenset({"ioc_type", "threat_type"})
_SHAPES = (
    _Shape("URLhaus", frozenset({"dateadded", "url", "url_status"}), {"url": "url"}, "dateadded", _urlhaus),
    _Shape("ThreatFox", _THREATFOX_MARKS | {"ioc_value"}, {"ioc_value": ""}, "first_seen_utc", _threatfox),
    _Shape(
        "MalwareBazaar",
        frozenset({"sha256_hash", "signature"}),
        {"sha256_hash": "hash", "md5_hash": "hash", "sha1_hash": "hash"},
        "first_seen_utc",
        _bazaar,
    ),
    _Shape("Feodo Tracker", frozenset({"dst_ip", "malware"}), {"dst_ip": "ip"}, "first_seen_utc", _feodo),
    _Shape("SSLBL", frozenset({"sha1", "listingreason"}), {"sha1": "hash"}, "listingdate", _certificate),
    _Shape("SSLBL JA3", frozenset({"ja3_md5", "listingreason"}), {"ja3_md5": "hash"}, "firstseen", _certificate),
    _Shape("SSLBL addresses", frozenset({"dstip", "dstport"}), {"dstip": "ip"}, "firstseen", _ssl_address),
)
_THREATFOX_API = _Shape("ThreatFox", _THREATFOX_MARKS, {"ioc": ""}, "first_seen", _threatfox)


class Options(FormatOptions):
    """Nothing to choose: the export is recognised by its header."""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of an export. Raises FormatError: none of those that are known."""
    first = next(line_records(source), None)
    if first is not None and first.text.lstrip()[:1] in ("{", "["):
        yield from _json(source)
    else:
        yield from _csv(source)


def _csv(source: Source) -> Iterator[Entry | Reject]:
    header: list[str] = []
    shape: _Shape | None = None

    def look(comment: str) -> None:
        nonlocal header, shape
        names = _names(comment.lstrip("# "))
        if shape is None and (found := _shape_of(names)):
            header, shape = names, found

    for row, record in rows(source, skip_blanks=True, on_comment=look):
        if shape is None:
            look(record.text)
            if shape is None:
                known = ", ".join(each.name for each in _SHAPES)
                raise FormatError(f"{source.name}: no header of a known abuse.ch export before its rows ({known})")
            source.skipped["header"] += 1
        elif isinstance(row, str):
            yield record.reject(row)
        elif len(row) < len(header):
            yield record.reject(f"{len(row)} values, the header of {shape.name} has {len(header)}")
        else:
            try:
                yield from _entries(shape, dict(zip(header, row, strict=False)))
            except ValueError as error:
                yield record.reject(str(error))


def _json(source: Source) -> Iterator[Entry | Reject]:
    for found in documents(source):
        if isinstance(found, Reject):
            raise FormatError(f"{source.name}: no JSON of ThreatFox: {found.reason}")
        for number, item in enumerate(_threatfox_items(source, found[1]), start=1):
            shape = _SHAPES[1] if isinstance(item, dict) and "ioc_value" in item else _THREATFOX_API
            try:
                if not isinstance(item, dict) or not shape.marks <= set(item):
                    raise ValueError("not an indicator of ThreatFox")
                yield from _entries(shape, item)
            except ValueError as error:
                yield Reject(str(item)[:200], f"entry {number}", str(error))


def _threatfox_items(source: Source, value: Any) -> list[Any]:
    """Both shapes: the export's {id: [indicator]}, and the API's {query_status, data: [indicator]}."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return list(value["data"])
    if isinstance(value, dict) and value and all(isinstance(each, list) for each in value.values()):
        return [
            {"ioc_id": uid, **each} if isinstance(each, dict) else each for uid, some in value.items() for each in some
        ]
    raise FormatError(f"{source.name}: no JSON of ThreatFox: expected {{id: [indicator]}} or {{data: [indicator]}}")


def _shape_of(names: list[str]) -> _Shape | None:
    return next((shape for shape in _SHAPES if shape.marks <= set(names)), None)


def _names(line: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line], skipinitialspace=True), [])]
    except csv.Error:
        return []


def _entries(shape: _Shape, given: Row) -> list[Entry]:
    row = {name: None if str(value).strip().lower() in _NOTHING else value for name, value in given.items()}
    payload = shape.payload(row)
    begin = moment(_without_zone(row.get(shape.begins)))
    within = str(payload.get("uid") or "") if len(shape.observables) == 1 else ""
    found: list[Entry] = []
    for field, kind in shape.observables.items():
        if value := text(row.get(field)):
            found += entries(value, payload, kind, begin, within=within)
    if not found:
        raise ValueError(f"the row has no {' or '.join(shape.observables)}")
    return found


def _without_zone(value: object) -> object:
    return value.removesuffix(" UTC") if isinstance(value, str) else value
