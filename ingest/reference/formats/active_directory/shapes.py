"""Exports of Active Directory as records: PowerShell's JSON and CSV, csvde's CSV, ldifde's LDIF.

Sources: learn.microsoft.com (ldifde, csvde, ConvertTo-Json, Export-Csv, [MS-DTYP] 2.4.2 SID), RFC 2849 (LDIF).
"""

import base64
import binascii
import re
import uuid
from collections.abc import Iterator
from typing import Any

from ingest.reference.formats import FormatError, Source
from ingest.reference.formats.csv import rows
from ingest.reference.reading.records import Record, line_records, objects
from ingest.reference.tables import Reject

Attributes = dict[str, Any]
Found = tuple[Record, Attributes] | Reject

_LDIF_LINE = re.compile(r"([A-Za-z0-9.;-]+)(::|:<|:)[ ]*(.*)\Z", re.DOTALL)
_MARKS = {"objectsid", "sid", "samaccountname", "distinguishedname", "dn", "objectguid"}
_BINARY = {"objectsid", "sid", "sidhistory", "objectguid"}


def directory_objects(source: Source) -> Iterator[Found]:
    """Yield the attributes of every object of an export. Raises FormatError: no export of a directory."""
    first = next((record for record in line_records(source) if not record.text.startswith("#")), None)
    if first is None:
        raise FormatError(f"{source.name}: the export is empty")
    if first.text.lstrip()[:1] in ("{", "["):
        return _checked(source, _json(source))
    if re.match(r"(version|dn)::?", first.text, re.IGNORECASE):
        return _checked(source, _ldif(source))
    return _checked(source, _csv(source))


def _checked(source: Source, found: Iterator[Found]) -> Iterator[Found]:
    known = False
    for each in found:
        if not isinstance(each, Reject) and not known:
            known = not _MARKS.isdisjoint(each[1])
            if not known:
                names = ", ".join(list(each[1])[:10])
                raise FormatError(
                    f"{source.name}: no export of a directory: expected sAMAccountName or SID, found {names}"
                )
        yield each


def _json(source: Source) -> Iterator[Found]:
    for found in objects(source, ("value",)):
        if isinstance(found, Reject):
            yield found
        else:
            record, value = found
            yield record, {name.lower(): given for name, given in value.items()}


def _csv(source: Source) -> Iterator[Found]:
    found = rows(source)
    header, record = next(found)
    names = [name.strip().lower() for name in header] if isinstance(header, list) else []
    if _MARKS.isdisjoint(names):
        raise FormatError(f"{source.name}: no export of a directory: expected sAMAccountName or SID in the header")
    for row, record in found:
        if isinstance(row, str):
            yield record.reject(row)
        elif len(row) != len(names):
            yield record.reject(f"{len(row)} values, the header has {len(names)}")
        else:
            yield record, {name: value for name, value in zip(names, row, strict=True) if value}


def _ldif(source: Source) -> Iterator[Found]:
    """Objects begin with `dn`; a line that begins with a blank goes on with the one before."""
    first: Record | None = None
    lines: list[list[str]] = []
    for record in line_records(source):
        text = record.text
        if text.startswith(" ") and lines:
            lines[-1].append(text[1:])
            continue
        if re.match(r"dn::?", text, re.IGNORECASE):
            if first is not None:
                yield _object(first, lines)
            first, lines = record, []
        if first is None and not text.startswith("#") and not text.lower().startswith("version:"):
            yield record.reject("a line before the first dn")
        lines.append([text])
    if first is not None:
        yield _object(first, lines)


def _object(first: Record, lines: list[list[str]]) -> Found:
    attributes: Attributes = {}
    for line in map("".join, lines):
        if line.startswith("#"):
            continue
        found = _LDIF_LINE.match(line)
        if not found or found[2] == ":<":
            return first.reject(f"not LDIF: {line[:80]!r}")
        name = found[1].partition(";")[0].lower()
        try:
            value = _value(name, found[2], found[3])
        except (binascii.Error, ValueError) as error:
            return first.reject(f"{name}: {error}")
        if name in attributes:
            given = attributes[name]
            attributes[name] = [*given, value] if isinstance(given, list) else [given, value]
        else:
            attributes[name] = value
    return first, attributes


def _value(name: str, sign: str, text: str) -> str:
    if sign == ":":
        return text
    raw = base64.b64decode(text, validate=True)
    if name in _BINARY:
        return guid_text(raw) if name == "objectguid" else sid_text(raw)
    return raw.decode("utf-8", "replace")


def sid_text(raw: bytes) -> str:
    """Return a binary SID as `S-1-…`. Raises ValueError when it is none ([MS-DTYP] 2.4.2.2)."""
    if len(raw) < 8 or len(raw) != 8 + 4 * raw[1]:
        raise ValueError("no binary SID")
    authority = int.from_bytes(raw[2:8], "big")
    parts = [int.from_bytes(raw[at : at + 4], "little") for at in range(8, len(raw), 4)]
    return "-".join(["S", str(raw[0]), str(authority), *map(str, parts)])


def guid_text(raw: bytes) -> str:
    """Return a binary GUID as text. Raises ValueError when it is none."""
    return str(uuid.UUID(bytes_le=raw))


def identifier_text(name: str, value: Any) -> str:
    """Return a SID or GUID that an export gives as text, object (`{"Value": …}`) or csvde's `X'0105…'`; '' for none."""
    if isinstance(value, dict):
        value = value.get("Value") or value.get("value")
    text = str(value or "").strip().strip("{}")
    if found := re.fullmatch(r"X'([0-9a-fA-F]+)'", text):
        raw = bytes.fromhex(found[1]) if len(found[1]) % 2 == 0 else b""
        return guid_text(raw) if name == "objectguid" and len(raw) == 16 else sid_text(raw)
    return text.upper() if text[:2].upper() == "S-" else text.lower()


def parts_of(value: Any) -> list[str]:
    """Return the values of an attribute that may have several: a list, or a text with `;` or `|` (never `,`: DNs)."""
    if isinstance(value, list):
        return [str(each) for each in value if each not in (None, "")]
    if value in (None, "") or "ADPropertyValueCollection" in str(value):  # what Export-Csv writes for a list
        return []
    return [part.strip() for part in re.split(r"(?<!\\)[;|]", str(value)) if part.strip()]


def common_name(name: str) -> str:
    """Return the first value of a distinguished name: `Hasek, Steve` of `CN=Hasek\\, Steve,CN=Users,DC=…`."""
    found = re.match(r"[A-Za-z]+=((?:\\.|[^,\\])*)", name)
    return re.sub(r"\\([0-9a-fA-F]{2}|.)", _unescaped, found[1]) if found else name


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if len(found[1]) == 2 else found[1]


def domain_of(name: str) -> str:
    """Return the DNS domain of a distinguished name, '' when it has none."""
    return ".".join(re.findall(r"(?:\A|,)\s*DC=((?:\\.|[^,\\])+)", name, re.IGNORECASE)).lower()
