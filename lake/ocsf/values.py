"""Where the values of a record went: what no attribute of its row has is kept in `unmapped` (invariant I11).

A row is given as text: its leaf values in the order of `value_paths`, a `SEPARATOR` between two of them; lists and JSON
columns as JSON. A value of the record is accounted for when it

  - stands in the row as it is, in another case, or as the same number or time
  - is a part of a value of the row, or made of parts that all are (`DOMAIN\\user`, `SHA256=…,MD5=…`)
  - is coded: the contract names the attribute that says it in other words, and the row fills it
  - is dropped: the contract says why it is worth nothing
  - is no value: empty, or a placeholder such as `-`

A value that says little (`true`, `22`, two letters) counts only where an attribute of a like name has it (`IpPort` and
`src_endpoint.port`), since it stands somewhere in most rows. A field that the contract does not know counts only where
the contract says that its records are open. The rest goes to `unmapped` under the contract's path, or the record's.

What does not belong here: contracts (`ingest.contracts.known` makes a `Known` of one), SQL (`lake/ocsf/event_sql.py`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import duckdb

_ARROW: Any = "arrow"  # DuckDB's stubs want members of its enumerations, which texts stand for
_NULLS: Any = "special"

SEPARATOR = "\x1f"
VERSION = 1  # raise when rows get another `unmapped`: they are then built again

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_LITTLE = frozenset(("true", "false", "none", "null", "yes", "no", "unknown", "success", "other"))
_PLACEHOLDERS = frozenset(("", "-"))
_UNSAID = frozenset(("", "0", "99", "[]", "{}"))  # of an attribute: it says nothing, or Other
_LIST = re.compile(r"[,;|\s]*[;,|\r\n\t][,;|\s]*| (?=HTTP/|/)")
_LABEL = re.compile(r"^[A-Za-z][A-Za-z0-9]{1,15}=")
_LABELLED = re.compile(r"[^\S\n]*[^:\n]{1,60}:\s+(\S.*)")
_SPLIT = re.compile(r'[\\/@=:"]+')
_WIDEST_ZONE = 14 * 3600  # seconds
_MOST_KEPT = 1000
_SHORT = 200  # letters of texts that may come again
_LONGEST = 1 << 16  # of a text that is taken apart
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_COMMON = frozenset(("id", "name", "type", "uid", "value", "is", "data", "info", "src", "dst", "source", "target"))
_ALIKE = {"pid": ("process",), "lat": ("latitude",), "long": ("lon", "longitude"), "num": ("number",)}
_LITTLE_LENGTH = 7
_ENDS = frozenset('\x1f\\/@,;=|:"[]{}')  # what stands between the parts of a value

PLACED, DERIVED, CODED, DROPPED, ABSENT = "placed", "derived", "coded", "dropped", "absent"


@dataclass
class Known:
    """What a contract knows of a name in a record, and of the names below it.

    `path` is the field's in the contract; empty where the name only leads to others. `is_open`: any name may stand
    below it. `coded` are attributes that say the value in other words; `dropped` is why the value is worth nothing.
    `is_time`: the event's time, in the zone of whoever wrote it.
    """

    path: str = ""
    is_open: bool = False
    coded: tuple[str, ...] = ()
    dropped: str = ""
    is_time: bool = False
    below: dict[str, "Known"] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """How records of a source are written: `columns` are the names of a text format, in order; of JSON there are none.

    `header` is the column that has the line of names, where there is one, and `delimiter` what stands between these.
    """

    known: Known
    columns: tuple[str, ...] = ()
    header: str = ""
    delimiter: str = " "
    placeholders: frozenset[str] = frozenset()


Parts = tuple[tuple[str, tuple[str, ...]], ...]  # each with its own parts


class Account(NamedTuple):
    """A value of a record: how it is accounted for ("" if it is not), and where, or why."""

    path: str
    value: str
    how: str
    where: list[str]


class _Node:
    """`Known` for the rows of one model: with the places in the row where its value may stand."""

    __slots__ = (
        "below",
        "coded",
        "dropped",
        "is_open",
        "is_time",
        "memo",
        "name",
        "names",
        "path",
        "place",
        "raw_path",
        "related",
    )

    def __init__(self, known: Known, name: str, raw_path: str, paths: Sequence[str]) -> None:
        self.name, self.path, self.raw_path = name, known.path or raw_path, raw_path
        self.is_open, self.is_time, self.dropped = known.is_open, known.is_time, known.dropped
        self.coded = tuple(number for number, path in enumerate(paths) if path in known.coded)
        self.names = tuple({name.lower(): 0, name.lower().replace("_", ""): 0})
        self.related: tuple[int, ...] | None = None  # made when asked for
        self.place = 0  # where its value stood last
        self.memo: dict[
            str, tuple[int, str, str]
        ] = {}  # of a text: place, the row's value there, how it is accounted for
        prefix = f"{raw_path}." if raw_path else ""
        self.below = {each: _Node(inner, each, prefix + each, paths) for each, inner in known.below.items()}

    def keep(self, text: str, place: int, values: Sequence[str], how: str) -> str:
        """Remember what holds for a text, and return how it is accounted for."""
        if len(self.memo) >= _MOST_KEPT:
            self.memo.clear()
        self.memo[text] = (place, values[place], how)
        return how


class Accounts:
    """Finds what the rows of one model lack of their records. `paths` are those of the values of a row."""

    def __init__(self, record: Record, paths: Sequence[str], as_json: Sequence[bool]) -> None:
        self._record, self.paths, self.width = record, paths, len(paths)
        self.json_places = [number for number, is_json in enumerate(as_json) if is_json]
        self._words = [_words(path) for path in paths]
        self._top = _Node(record.known, "", "", paths)
        self.absent = _PLACEHOLDERS | record.placeholders

    def unmapped(self, raw: str | None, row: str | None, unmapped: str | None) -> str | None:
        """Return the row's `unmapped`, with what the row lacks of its record; the same text when it lacks nothing."""
        if not raw or row is None:
            return unmapped
        left = self.left(raw, row)
        if not left:
            return unmapped
        return _encode(_merged(_decode(unmapped), left) if unmapped else left).decode()

    def left(self, raw: str, row: str) -> dict[str, Any]:
        """Return what a row lacks of its record: path → value."""
        found = self._read(raw)
        state = _Row(self, raw, row)
        left = self._object(found, self._top, state)
        return dict(_flat(left, self._top)) if left else {}

    def trace(self, raw: str, row: str) -> Iterator[Account]:
        """Yield every value of a record, with how it is accounted for."""
        state = _Row(self, raw, row)
        yield from self._traced(self._read(raw), self._top, "", state)

    def _traced(self, found: Any, node: _Node | None, path: str, row: "_Row") -> Iterator[Account]:
        if isinstance(found, dict):
            for name, value in found.items():
                inner = self._child(node, name) if node else None
                yield from self._traced(value, inner, f"{path}.{name}" if path else name, row)
        elif isinstance(found, list):
            for number, value in enumerate(found):
                yield from self._traced(value, node, f"{path}[{number}]", row)
        elif found is not None:
            text = _text(found)
            how = row.how(text, node) if node else ABSENT if text.strip() in self.absent else ""
            yield Account(path, text, how, row.where(text, node, how))

    def _read(self, raw: str) -> Any:
        if raw[0] == SEPARATOR:
            return self._columns(raw[1:].split(SEPARATOR))
        try:
            return _decode(raw)
        except (msgspec.DecodeError, RecursionError):
            pass
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return {"_raw": raw}

    def _columns(self, found: list[str]) -> dict[str, Any]:
        record, (line, *values) = self._record, found
        read = dict(zip(record.columns, values, strict=False))
        if names := read.pop(record.header, ""):
            said = line.split(record.delimiter)
            known = self._top.below
            for name, value in zip(names.split(record.delimiter), said, strict=False):
                if name and name not in known and name.replace("-", "_") not in known:
                    read[name] = value
        return read

    def _object(self, found: Any, node: _Node, row: "_Row") -> dict[str, Any] | None:
        if found.__class__ is not dict:
            return {"_raw": found} if found not in (None, "", [], {}) else None
        left = None
        below, values = node.below, row.values
        for name, value in found.items():
            inner = below.get(name)
            if value.__class__ is str and inner is not None:
                if values[inner.place] == value and (len(value) > _LITTLE_LENGTH or not _says_little(value)):
                    continue
                rest = None if row.how(value, inner) else value
            elif value is None:
                continue
            else:
                rest = self._rest(value, inner or self._child(node, name), row)
            if rest is not None:
                if left is None:
                    left = {}
                left[name] = rest
        return left

    def _rest(self, value: Any, node: _Node | None, row: "_Row") -> Any:
        """What is left of a value; None when nothing is."""
        if node is None:
            return self._with_values(value)
        if node.dropped:
            return None
        if value.__class__ is dict:
            if node.is_open and (not value or row.has_whole(node.name)):
                return None
            return self._object(value, node, row)
        if value.__class__ is list:
            if node.is_open and row.has_whole(node.name):
                return None
            return self._list(value, node, row)
        return None if row.how(_text(value), node) else value

    def _list(self, found: list[Any], node: _Node, row: "_Row") -> list[Any] | None:
        """What is left of a list. Of several objects those that are not whole in the row stay whole: who it was of."""
        rests = [self._rest(each, node, row) if each is not None else None for each in found]
        several = len(found) > 1
        left = [
            each if several and isinstance(each, dict) else rest
            for each, rest in zip(found, rests, strict=True)
            if rest is not None
        ]
        return left or None

    def _with_values(self, value: Any) -> Any:
        """A value of a field that nobody knows, without what is empty in it; None when nothing is left."""
        if isinstance(value, dict):
            kept = {name: inner for name, each in value.items() if (inner := self._with_values(each)) is not None}
            return kept or None
        if isinstance(value, list):
            return [inner for each in value if (inner := self._with_values(each)) is not None] or None
        return None if isinstance(value, str) and value.strip() in self.absent else value

    def _child(self, node: _Node, name: str) -> "_Node | None":
        """The node of a name that the contract does not have; None where it knows all names."""
        found = node.below.get(name)
        if found is None and node.is_open:
            path = f"{node.raw_path}.{name}" if node.raw_path else name
            found = _Node(Known(is_open=True, dropped=node.dropped), name, path, ())
            if len(node.below) < 1000:  # names of a map may be values
                node.below[name] = found
        return found

    def related(self, node: _Node) -> tuple[int, ...]:
        """The places of the row whose names are like that of a field."""
        if node.related is None:
            last = node.path.rsplit(".", 1)[-1]
            words, name = _words(last), last.lower()
            node.related = tuple(
                number
                for number, (path, held) in enumerate(zip(self.paths, self._words, strict=True))
                if words & held
                or path.rsplit(".", 1)[-1] == name
                or any(len(each) > 3 and each in name for each in held)
            )
        return node.related


class _Row:
    """The values of one row. What few rows are asked for is made when it is asked for."""

    __slots__ = ("_accounts", "_folded", "_opened", "_raw", "_text", "values")

    def __init__(self, accounts: Accounts, raw: str, row: str) -> None:
        values = row.split(SEPARATOR)
        if len(values) != accounts.width:  # a value has a separator: nobody knows where the others stand
            values = [*[""] * accounts.width, *values]
        self._accounts, self._raw, self._text, self.values = accounts, raw, row, values
        self._folded = ""
        self._opened: set[str] | None = None

    def has_whole(self, name: str) -> bool:
        """Whether a JSON column of the row is what the record has under a name."""
        for number in self._accounts.json_places:
            text = self.values[number]
            if text and text not in _UNSAID and f'"{name}":{text}' in self._raw:
                return True
        return False

    def how(self, text: str, node: _Node) -> str:
        """Return how a value is accounted for; "" when it is not.

        What holds for a text of a field while the row has one certain value at one place is looked for once.
        """
        values = self.values
        if (held := node.memo.get(text)) is not None and values[held[0]] == held[1]:
            return held[2]
        if node.dropped:
            return DROPPED
        if text in self._accounts.absent or text.isspace():
            return ABSENT
        for place in node.coded:
            if values[place] not in _UNSAID:
                return node.keep(text, place, values, CODED)
        if not self._folded:
            self._folded = f"{SEPARATOR}{self._text.lower()}{SEPARATOR}"
        if len(text) <= _LITTLE_LENGTH and _says_little(text):
            place = self._like_place(text, node)
            return node.keep(text, place, values, PLACED) if place >= 0 else ""
        if text in values:
            node.place = values.index(text)
            return PLACED
        forms, parts = _short_forms(text) if len(text) < _SHORT else _forms(text)
        for form in forms:
            place = self._place(form)
            if place >= 0:
                return node.keep(text, place, values, PLACED)
        if node.is_time and self._is_instant(text):
            return DERIVED
        if (parts and self._has_all(parts)) or (text[0] in "{[" and self._is_json_of_values(text, node)):
            return DERIVED
        return PLACED if "\\" in self._text and text in self._open_json() else ""

    def _has_all(self, parts: Parts) -> bool:
        return all(
            self._stands(part) or any(map(self._stands, smaller)) or any(map(self._stands, _other_forms(part)))
            if len(smaller) == 1
            else self._stands(part) or all(map(self._stands, smaller))
            for part, smaller in parts
        )

    def _is_instant(self, text: str) -> bool:
        """Whether a text is the time of the event in some zone, which is a multiple of 15 minutes from UTC."""
        if not _TIME.match(text) or not self.values[0]:
            return False
        apart = int(_other_forms(text)[0] or 0) // 1000 - int(self.values[0]) // 1000 if _other_forms(text) else 1
        return abs(apart) <= _WIDEST_ZONE and apart % 900 == 0

    def _like_place(self, text: str, node: _Node) -> int:
        """Where an attribute of a like name has a text that says little; -1 for nowhere."""
        folded, number, values = text.lower(), _number(text), self.values
        for place in self._accounts.related(node):
            held = values[place]
            if held and (held.lower() == folded or (number is not None and _number(held) == number)):
                return place
        if '":' in self._folded:
            for name in node.names:
                for written in (f'"{name}":{folded}', f'"{name}":"{folded}"'):
                    if (at := self._folded.find(written)) >= 0:
                        return self._place_at(at)
        return -1

    def _place(self, folded: str) -> int:
        """Where a text stands, with nothing or a separator at both ends; -1 for nowhere."""
        row, at, length = self._folded, 0, len(folded)
        while (at := row.find(folded, at + 1)) >= 0:
            if (row[at - 1] in _ENDS or row[at] in _ENDS) and (
                row[at + length] in _ENDS or row[at + length - 1] in _ENDS
            ):
                return self._place_at(at)
        return -1

    def _place_at(self, at: int) -> int:
        return min(self._folded.count(SEPARATOR, 0, at) - 1, len(self.values) - 1)

    def _stands(self, folded: str) -> bool:
        return self._place(folded) >= 0

    def where(self, text: str, node: _Node | None, how: str) -> list[str]:
        """Return where in the row a value stands, or what says it."""
        accounts = self._accounts
        if how == DROPPED and node:
            return [node.dropped]
        if how == CODED and node:
            return [accounts.paths[n] for n in node.coded if self.values[n] not in _UNSAID]
        if how not in (PLACED, DERIVED):
            return []
        folded = {text.lower(), *_other_forms(text)}
        found = [path for path, value in self._leaves() if value.lower() in folded or _number_of(value) in folded]
        if _is_little(text) and node:
            like, name = [accounts.paths[n] for n in accounts.related(node)], node.name.lower()
            found = [each for each in found if each in like or each.rsplit(".", 1)[-1].lower() == name]
        if not found:
            wanted = {text.lower(), *_pieces(text)}
            found = [path for path, value in self._leaves() if wanted & {value.lower(), *_pieces(value)}]
        return found

    def _leaves(self) -> Iterator[tuple[str, str]]:
        """Path and text of every value, those in JSON as well."""
        for number, (path, value) in enumerate(zip(self._accounts.paths, self.values, strict=False)):
            if value and number in self._accounts.json_places:
                yield from _leaves(_json(value), path)
            elif value:
                yield path, value

    def _open_json(self) -> set[str]:
        """The texts in JSON columns, without escapes."""
        if self._opened is None:
            self._opened = {value for path, value in self._leaves()}
        return self._opened

    def _is_json_of_values(self, text: str, node: _Node) -> bool:
        leaves = [each for _, each in _leaves(_json(text))]
        return bool(leaves) and all(not _is_little(each) and self.how(each, node) for each in leaves)


def prepare(con: "duckdb.DuckDBPyConnection", accounts: Mapping[str, Accounts]) -> None:
    """Give a connection the function `hw_unmapped(model, record, values, unmapped)`, all texts."""

    def unmapped(model: Any, records: Any, rows: Any, held: Any) -> Any:
        import pyarrow as pa

        found = accounts[model[0].as_py()].unmapped
        columns = (each.to_pylist() for each in (records, rows, held))
        return pa.array([found(*each) for each in zip(*columns, strict=True)], pa.string())

    con.create_function("hw_unmapped", unmapped, ["VARCHAR"] * 4, "VARCHAR", type=_ARROW, null_handling=_NULLS)


def _json(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _leaves(found: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _leaves(value, f"{path}.{name}")
    elif isinstance(found, list):
        for value in found:
            yield from _leaves(value, path)
    elif found is not None:
        yield path, _text(found)


def _text(value: Any) -> str:
    """A value as DuckDB writes it as text."""
    if value.__class__ is str:
        return str(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is float and value.is_integer() and abs(value) < 1e18:
        return str(int(value))
    return str(value)


def _is_little(text: str) -> bool:
    """Whether a text says so little that it stands in many rows by chance."""
    return len(text) <= _LITTLE_LENGTH and _says_little(text)


@lru_cache(maxsize=65536)
def _says_little(text: str) -> bool:
    if len(text) < 3 or text.lower() in _LITTLE:
        return True
    if text[0] not in "0123456789-" or (len(text) > 4 and text[:2] == "0x"):
        return False
    number = _number(text)
    return number is not None and abs(number) < 1000


def _number(text: str) -> float | None:
    try:
        return int(text, 16) if text[:2] in ("0x", "0X") else float(text)
    except ValueError:
        return None


def _other_forms(text: str) -> tuple[str, ...]:
    """The same number, time, address or name as rows have it: in decimal, in milliseconds, without a zone or a dot."""
    if text[0] in "0123456789-":
        if _TIME.match(text):
            try:
                at = datetime.fromisoformat(text.strip())
            except ValueError:
                return ()
            return (str(round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)),)
        number = _number(text)
        if number is not None:
            return _other_numbers(text, number)
    if text[:7].lower() == "::ffff:":
        return (text[7:].lower(),)
    if "%" in text and ":" in text:
        return (text.split("%")[0].lower(),)
    return (text[:-1].lower(),) if text[-1] == "." else ()


def _other_numbers(text: str, number: float) -> tuple[str, ...]:
    if number != number or abs(number) > 1e30:
        return ()
    if number != int(number):
        return (str(round(number * 1000)),) if 1e8 < number < 1e10 else ()
    whole = int(text, 16) if text[:2] in ("0x", "0X") else int(text) if text.lstrip("-").isdigit() else int(number)
    found = [str(whole)]
    for size, many, few in ((1e9, 1000, 1), (1e15, 1, 1000), (1e18, 1, 1_000_000)):  # seconds, micro-, nanoseconds
        if size / 10 < whole < size * 10:
            found.append(str(whole * many // few))
    return tuple(found)


def _number_of(text: str) -> str:
    """A number as text, whole ones without a point."""
    number = _number(text)
    return str(int(number)) if number is not None and number == number and abs(number) < 1e18 else text


def _forms(text: str) -> tuple[tuple[str, ...], Parts]:
    """A text in the forms in which a row may have it, and the parts of which it is made."""
    return (text.strip().lower(), *_other_forms(text)), _parts(text)


_short_forms = lru_cache(maxsize=65536)(_forms)


def _parts(text: str) -> Parts:
    """The values that a composite text is made of, each with its own parts; none of a text that is no such list.

    Of `NAME=value` and of a line `Label: value` that is the value. What stands on a line without a label is prose.
    """
    if len(text) > _LONGEST:
        return ()
    lines = text.splitlines()
    if len(lines) > 2 and any(map(_LABELLED.match, lines)):
        found = [match[1].strip().lower() for match in map(_LABELLED.match, lines[1:]) if match]
        pieces = [each for each in found if each not in _PLACEHOLDERS and not _is_little(each)]
    else:
        pieces = [_LABEL.sub("", each.strip()).lower() for each in _LIST.split(text)]
        pieces = [each for each in pieces if each and not _is_nothing(each)]
    if not pieces or all(map(_is_little, pieces)):
        return ()
    parts = [(each, tuple(filter(None, _SPLIT.split(each)))) for each in pieces]
    return () if len(pieces) == 1 and parts[0][1] in ((), (text.lower(),)) else tuple(parts)


def _pieces(text: str) -> frozenset[str]:
    return frozenset(each for part, smaller in _parts(text) for each in (part, *smaller) if not _is_little(each))


def _is_nothing(text: str) -> bool:
    return not text.strip("0{}-")


def _words(path: str) -> frozenset[str]:
    """The words of a name that say what it names."""
    found = {each.lower() for each in _WORD.findall(path)}
    for each in tuple(found):
        found.update(_ALIKE.get(each, ()))
    return frozenset(found - _COMMON)


def _flat(left: Mapping[str, Any], node: _Node) -> Iterator[tuple[str, Any]]:
    """What is left by path: names that only lead to others become part of it."""
    for name, rest in left.items():
        inner = node.below.get(name)
        if inner is not None and isinstance(rest, dict) and inner.below and not inner.is_open:
            yield from _flat(rest, inner)
        else:
            yield (inner.path if inner else f"{node.raw_path}.{name}" if node.raw_path else name), rest


def _merged(held: Any, left: Mapping[str, Any]) -> dict[str, Any]:
    """`unmapped` with what is left; what it has itself stays as it is."""
    found = held if isinstance(held, dict) else {"text": held}
    for key, value in left.items():
        if key not in found:
            found[key] = value
        elif isinstance(found[key], dict) and isinstance(value, dict):
            found[key] = _merged(found[key], value)
        elif isinstance(found[key], list) and isinstance(value, list):
            found[key] += [each for each in value if each not in found[key]]
        elif found[key] != value and _text(found[key]) != _text(value):
            number = 2
            while f"{key}_{number}" in found:
                number += 1
            found[f"{key}_{number}"] = value
    return found
