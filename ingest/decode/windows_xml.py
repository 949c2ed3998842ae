"""Windows events in XML as the JSON that evtx_dump makes of them: whole records, and texts of JSON records.

Such texts are Azure's `EventData`, Splunk's `_raw`, Elastic's `event.original` and others, whatever their name is.

The layout is that of evtx_dump (https://github.com/omerbenamram/evtx): attributes in `#attributes`, `<Data Name="x">`
under `x`, data without a name as `Data.#text` in their order, further elements of one name as `x_1`, `x_2`.
The schema of events: "Event Schema", Windows Event Log, Microsoft Learn.

expat reads nothing but the text between `<Event` and its end. So there is no document type, hence no entity but XML's
own five, nothing to expand and nothing to load. Loaded when an object has such text.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser

import msgspec
import pyarrow as pa

from ingest.decode.records import MAX_DEPTH, Piece, Problem

_IN_TEXT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?(Event|EventData|UserData|DataItem)(?=[\s/>])")
# Characters that XML forbids and events have all the same (XML 1.0, section 2.2). While expat reads, they are others.
_FORBIDDEN = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:x0*(?:[1-8bcBC]|0[efEF]|1[0-9a-fA-F])|0*\\d\\d?);"
)
_STAND_IN, _STAND_INS = 0xF700, re.compile("[\uf700-\uf71f]")
_PREFIX = re.compile(r"[<\s/]([A-Za-z_][\w.-]*):[A-Za-z_]")
_SHOWN_CHARACTERS = 200
_MOST_NESTED = 20  # objects around a text with XML
_ANY = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


class NotXml(ValueError):
    """A text is no Windows event in XML. Holds the reason of quarantine and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


def as_json(part: Piece) -> Piece:
    """The same records as JSON: events in XML, and JSON records with the XML of their texts taken apart.

    `raw` has the texts as delivered. A text that is no event in XML keeps its text, with the reason.
    """
    lines: list[str] = []
    raw: list[str | None] = []
    problems = dict(part.problems)
    for row, text in enumerate(part.lines.to_pylist()):
        made: str | Problem | None = None
        if row in problems:
            if problems[row][0] == "not_json" and text.lstrip()[:1] not in ("{", "["):
                problems[row] = ("not_xml", problems[row][1])
        elif text.lstrip()[:1] in ("{", "["):
            made = with_events(text)
        elif _IN_TEXT.search(text):
            try:
                made = event_as_json(text)
            except NotXml as wrong:
                problems[row] = (wrong.reason, wrong.detail)
        lines.append(text if made is None else made)
        raw.append(None if made is None else text)
    return Piece(pa.array(lines, pa.utf8()), problems, pa.array(raw, pa.utf8()))


def event_as_json(text: str) -> str:
    """Return the JSON of a text with one `<Event>`; what stands in front of it is the record's `LineHeader`.

    Raises NotXml, also when something else than a line end stands behind the event.
    """
    found = _IN_TEXT.search(text)
    if found is None or found[1] != "Event":
        raise NotXml("not_xml", "no <Event> in the text")
    record: dict[str, Any] = {"Event": None}
    if header := _without_declaration(text[: found.start()]):
        record["LineHeader"] = header
    behind = text.rstrip().rfind(">") + 1
    if text[behind:].strip():
        raise NotXml("not_xml", f"text behind the event: {text[behind:].strip()[:_SHOWN_CHARACTERS]}")
    return _encoded(record, "Event", text[found.start() : behind])


def _without_declaration(text: str) -> str:
    return re.sub(r"<\?xml[^<>]*\?>", "", text).strip()


def _encoded(record: dict[str, Any], name: str, text: str) -> str:
    record[name], mended = _parsed(text)
    made = msgspec.json.encode(record).decode()
    if mended:
        made = _STAND_INS.sub(lambda found: f"\\u{ord(found[0]) - _STAND_IN:04x}", made)
    return made


def _parsed(text: str) -> tuple[Any, bool]:
    """The value of an element, and whether stand-ins of forbidden characters are in it. Raises NotXml."""
    try:
        return value_of(_element(text)), False
    except ParseError as problem:
        failed = problem
    mended = _FORBIDDEN.sub(_stand_in, text)
    wrapped = mended
    if "unbound prefix" in str(failed):
        prefixes = sorted(set(_PREFIX.findall(text)) - {"xmlns", "xml"})
        declared = " ".join(f'xmlns:{each}=":{each}"' for each in prefixes)
        wrapped = f"<x {declared}>{mended}</x>"
    if wrapped != text:
        try:
            found = _element(wrapped)
            return value_of(found[0] if wrapped is not mended else found), True
        except (ParseError, IndexError):
            pass
    raise NotXml("not_xml", f"{failed}"[:_SHOWN_CHARACTERS])


def _element(text: str) -> Element:
    parser = XMLParser(encoding="utf-8")  # whatever a declaration says, texts are UTF-8 here
    parser.feed(text)
    return parser.close()


def _stand_in(found: re.Match[str]) -> str:
    text = found[0]
    if not text.startswith("&"):
        return chr(_STAND_IN + ord(text)) if ord(text) < 0x20 else "\ufffd"
    code = int(text[3:-1], 16) if text[2] in "xX" else int(text[2:-1])
    return chr(_STAND_IN + code) if 0 < code < 0x20 and code not in (9, 10, 13) else text


def value_of(element: Element, depth: int = 1) -> Any:
    """Return what an element holds, as evtx_dump does: a text, None for nothing, or a dict.

    Raises NotXml of reason `too_deep` beyond `MAX_DEPTH` elements in each other.
    """
    if depth > MAX_DEPTH:
        raise NotXml("too_deep", f"more than {MAX_DEPTH} elements inside each other")
    attributes = {
        _local(name): value for name, value in element.items() if _local(name) != "Name" or not _is_data(element)
    }
    found: dict[str, Any] = {"#attributes": attributes} if attributes else {}
    texts = [element.text or ""]
    unnamed: list[Any] = []
    for child in element:
        value = value_of(child, depth + 1)
        texts.append(child.tail or "")
        name = _local(child.tag)
        if _is_data(child):
            label = child.get("Name")
            value = "" if value is None else value
            if not label and isinstance(value, str):
                unnamed.append(value)
                continue
            name = label or name
        found[_free(found, name)] = value
    if unnamed:
        found[_free(found, "Data")] = {"#text": unnamed if len(unnamed) > 1 else unnamed[0]}
    text = "".join(texts)
    if not text.strip() and ("\n" in text or len(texts) > 1):
        text = ""  # between elements, or where an element is written over several lines
    if not found:
        return text or None
    return {**found, "#text": text} if text else found


def _is_data(element: Element) -> bool:
    return _local(element.tag) in ("Data", "ComplexData")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _free(found: dict[str, Any], name: str) -> str:
    if name not in found:
        return name
    number = 1
    while f"{name}_{number}" in found:
        number += 1
    return f"{name}_{number}"


def with_events(text: str) -> str | None:
    """Return a JSON record with the Windows XML of its texts taken apart, None if there is none to be read.

    An event becomes the record's `Event`; `<EventData>` and `<UserData>` stand where their text stood, as objects.
    """
    try:
        record = _ANY.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    event: list[Any] = []
    if not _take_apart(record, event, 0):
        return None
    if event and "Event" not in record:
        record["Event"] = msgspec.Raw(event[0])
    try:
        return msgspec.json.encode(record).decode()
    except (msgspec.MsgspecError, ValueError):
        return None


def _take_apart(record: dict[str, msgspec.Raw], event: list[bytes], depth: int) -> bool:
    """Put values in the stead of texts that hold XML; whether there were any. `event`: of the record, once found."""
    changed = False
    for key, value in list(record.items()):
        raw = bytes(value)
        if b"<" not in raw and b"u003" not in raw:
            continue
        if raw[:1] == b"{" and depth < _MOST_NESTED:
            inner = _ANY.decode(raw)
            if _take_apart(inner, event, depth + 1):
                record[key] = msgspec.Raw(msgspec.json.encode(inner))
                changed = True
        elif raw[:1] == b'"':
            changed |= _text_taken_apart(record, key, _STRING.decode(raw), event)
    return changed


def _text_taken_apart(record: dict[str, msgspec.Raw], key: str, text: str, event: list[bytes]) -> bool:
    found = _IN_TEXT.search(text)
    if found is None:
        return False
    name, end = found[1], text.rstrip().rfind(">") + 1
    header = _without_declaration(text[: found.start()])
    behind = text[end:].strip()
    if behind or (header and name != "Event"):
        return False
    try:
        made = _encoded({}, "x", text[found.start() : end]).encode()
    except NotXml:
        return False
    value = _ANY.decode(made)["x"]
    if name == "Event":
        if event or bytes(value)[:1] != b"{":
            return False
        event.append(bytes(value))
        if header:
            record[key] = msgspec.Raw(msgspec.json.encode(header))
        else:
            del record[key]
        return True
    if name == "DataItem" and bytes(value)[:1] == b"{":
        inner = _ANY.decode(value)
        data = inner.pop("EventData", None) or inner.pop("UserData", None)
        if data is not None and bytes(data)[:1] == b"{":
            rest = {f"DataItem.{each}": what for each, what in inner.items()}
            value = msgspec.Raw(msgspec.json.encode({**_ANY.decode(data), **rest}))
    if name == "UserData" and key != "UserData" and "UserData" not in record:
        del record[key]
        key = "UserData"
    record[key] = value
    return True
