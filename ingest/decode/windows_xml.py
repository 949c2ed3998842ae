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
from contextlib import suppress
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser

import msgspec
import pyarrow as pa

from ingest.decode.records import MAX_DEPTH, Piece

_PREFIXED = r"<(?:[A-Za-z_][\w.-]*:)?"
_EVENT = re.compile(_PREFIXED + r"Event(?=[\s/>])")
# What a text of a JSON record may be: event data alone, or a whole event, behind a header on its line at most. A script
# that has an event in its text is none.
_IN_TEXT = re.compile(
    r"\s*(?:<\?xml[^<>]*\?>\s*)?"
    + rf"(?:{_PREFIXED}(?P<data>EventData|UserData|DataItem)(?=[\s/>])"
    + rf"|(?P<header>[^\n]{{0,1000}}?){_PREFIXED}Event(?=[\s>])[^<>]*>\s*{_PREFIXED}System[\s>])"
)
_JSON = re.compile(r"\s*(?:<\d{1,3}>)?[^<{]*\{(?=\s*[\"}])")  # a record of JSON, also behind a syslog header
# Characters that XML forbids and events have all the same (XML 1.0, section 2.2). While expat reads, they are others.
_FORBIDDEN = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:x0*(?:[1-8bcBC]|0[efEF]|1[0-9a-fA-F])|0*\\d\\d?);"
)
# python-evtx writes the time without its zone. It is UTC: "TimeCreated", EVT_SYSTEM_PROPERTY_ID, Microsoft Learn.
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?")
_CDATA = "<![CDATA["
_TEXT = re.compile(r"<!\[CDATA\[.*?\]\]>|(?<=>)[^<]+", re.DOTALL)
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
        made: str | None = None
        if row in problems:
            if problems[row][0] == "not_json" and text.lstrip()[:1] not in ("{", "["):
                problems[row] = ("not_xml", problems[row][1])
        elif (json := _JSON.match(text)) is not None:
            made = with_events(text[json.end() - 1 :])
            made = made and text[: json.end() - 1].lstrip() + made  # a header stays in front of it
        elif text.lstrip()[:1] == "[":
            pass
        elif _EVENT.search(text):
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
    found = _EVENT.search(text)
    if found is None:
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
    if name == "Event" and isinstance(event := record[name], dict) and "System" not in event:
        record = {**{key: value for key, value in record.items() if key != name}, **event}  # NXLog's to_xml
    made = msgspec.json.encode(record).decode()
    if mended:
        made = _STAND_INS.sub(lambda found: f"\\u{ord(found[0]) - _STAND_IN:04x}", made)
    return made


def _parsed(text: str) -> tuple[Any, bool]:
    """The value of an element, and whether stand-ins of forbidden characters are in it. Raises NotXml."""
    if "\r" in text:  # XML takes line ends for one another; of a value they are kept, as the log has them
        with suppress(ParseError):
            return value_of(_element(_TEXT.sub(_with_returns, text))), False
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


def _with_returns(found: re.Match[str]) -> str:
    return found[0].replace("\r", f"]]>&#13;{_CDATA}" if found[0].startswith(_CDATA) else "&#13;")


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
    text = element.text or ""
    attributes = element.attrib
    if not len(element):
        if text and not text.strip() and "\n" in text:
            text = ""  # an element that is written over several lines
        if not attributes:
            return text or None
    elif depth > MAX_DEPTH:
        raise NotXml("too_deep", f"more than {MAX_DEPTH} elements inside each other")
    found: dict[str, Any] = {}
    if attributes and (more := {_local(name): value for name, value in attributes.items()}):
        if _NAIVE.fullmatch(more.get("SystemTime", "")):
            more["SystemTime"] += "Z"
        found["#attributes"] = more
    unnamed: list[str] = []
    for child in element:
        name = _local(child.tag)
        if name in ("Data", "ComplexData"):
            name = child.attrib.pop("Name", "") or name
            value = value_of(child, depth + 1)
            value = "" if value is None else value
            if name == "Data" and isinstance(value, str):
                unnamed.append(value)
                continue
        else:
            value = value_of(child, depth + 1)
        text += child.tail or ""
        found[name if name not in found else _free(found, name)] = value
    if unnamed:
        found[_free(found, "Data")] = {"#text": unnamed if len(unnamed) > 1 else unnamed[0]}
    if len(element) and not text.strip():
        text = ""  # between elements
    if not found:
        return text or None
    return {**found, "#text": text} if text else found


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
        elif raw[:1] == b"[" and len(only := _LIST.decode(raw)) == 1 and bytes(only[0])[:1] == b'"':
            changed |= _text_taken_apart(record, key, _STRING.decode(only[0]), event)  # Kibana lists every value
        elif raw[:1] == b'"':
            changed |= _text_taken_apart(record, key, _STRING.decode(raw), event)
    return changed


def _text_taken_apart(record: dict[str, msgspec.Raw], key: str, text: str, event: list[bytes]) -> bool:
    found = _IN_TEXT.match(text)
    if found is None:
        return False
    begin, end = text.index("<", found.end("header") if found["header"] else 0), text.rstrip().rfind(">") + 1
    if text.startswith("<?xml", begin):
        begin = text.index("<", begin + 1)
    if text[end:].strip():
        return False
    try:
        value = _ANY.decode(_encoded({}, "x", text[begin:end]))["x"]
    except NotXml:
        return False
    if bytes(value)[:1] != b"{":
        return False  # it holds nothing
    if (name := found["data"]) is None:
        if event:
            return False
        event.append(bytes(value))
        del record[key]
        if header := found["header"].strip():
            record[key] = msgspec.Raw(msgspec.json.encode(header))
        return True
    if name == "DataItem":
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
