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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lake.ocsf.accounts.known import Known, Node, Places
from lake.ocsf.accounts.left import by_leaf, by_path, encode, flat, merged
from lake.ocsf.accounts.plans import Leaf, Plans, Shape
from lake.ocsf.accounts.rows import PLACED, SEPARATOR, UNSAID, Row
from lake.ocsf.accounts.texts import PLACEHOLDERS, read_json, text_of

if TYPE_CHECKING:
    import duckdb

_ARROW: Any = "arrow"  # DuckDB's stubs want members of its enumerations, which texts stand for
_NULLS: Any = "special"

VERSION = 3  # raise when rows get another `unmapped`: they are then built again

_MOST_KEPT, _LONGEST_KEPT = 4_000, 1_000  # entries and bytes: what is held is beside the memory that DuckDB has


_decode = msgspec.json.Decoder().decode
_QUOTE, *_OPENING = b'"{['
_EMPTY = frozenset((b"null", b"{}", b"[]", b'""'))


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


class Account(NamedTuple):
    """A value of a record: how it is accounted for ("" if it is not), and where, or why."""

    path: str
    value: str
    how: str
    where: list[str]


class _Held(NamedTuple):
    """What rows lack of texts of their records: as long as they have certain values at `used`, `needed` anywhere, and
    `absent` nowhere.

    `of` gives the values at these places, `values` are what they were; `left` is what is left of leaves.
    """

    left: tuple[tuple[Leaf, Any], ...]
    used: tuple[int, ...]
    needed: tuple[str, ...]
    absent: tuple[str, ...]
    of: Callable[[list[str]], Any] | None
    values: Any
    is_kept: bool


class Accounts:
    """Finds what the rows of one model lack of their records. `paths` are those of the values of a row."""

    def __init__(self, record: Record, paths: Sequence[str], as_json: Sequence[bool]) -> None:
        self._record, self._absent = record, PLACEHOLDERS | record.placeholders
        self._places = Places(paths, as_json, self._absent)
        self._top = Node(record.known, "", "", paths)
        self._plans = Plans(self._places, self._top, self._child)
        self._held: dict[tuple[Shape | Leaf, bytes], _Held] = {}  # texts that come again

    def unmapped(self, raw: str | None, row: str | None, unmapped: str | None) -> str | None:
        """Return the row's `unmapped`, with what the row lacks of its record; the same text when it lacks nothing.

        Names are sorted then, so that the text does not depend on how it was found.
        """
        if not raw or row is None:
            return unmapped
        held = read_json(unmapped) if unmapped else {}
        left = self.left(raw, row, held)
        return encode(merged(held, left)).decode() if left else unmapped

    def left(self, raw: str, row: str, held: Any = None) -> dict[str, Any]:
        """Return what a row lacks of its record: path → value. `held` is what its `unmapped` says."""
        values = row.split(SEPARATOR)
        state = Row(self._places, raw, row, values)
        if held.__class__ is dict:
            state.held = held
        if raw[0] == "{" and len(values) == self._places.width and (known := self._plans.read(raw, values)):
            left: list[tuple[Leaf, Any]] = []
            self._shaped(*known, state, left)
            return by_leaf(left, self._top, state) if left else {}
        found = self._object(self._read(raw), self._top, state)
        return by_path(flat(found, self._top)) if found else {}

    def _shaped(self, shape: Shape, found: Any, row: Row, left: list[tuple[Leaf, Any]]) -> None:
        """Add to `left` what is left of an object by its shape."""
        values = row.values
        for leaf in shape.unplaced(found, values):
            self._add(leaf, bytes(attrgetter(leaf.at)(found)), row, left)
        if shape.coded and not UNSAID.isdisjoint(said := shape.coded_at(values)):
            for leaf, place, value in zip(shape.coded, said, shape.coded_of(found), strict=True):
                if place in UNSAID and value is not None and leaf.node and not row.how(text_of(value), leaf.node):
                    left.append((leaf, value))
        if shape.together:
            left += self._together(shape, shape.together_of(found), row).left
        for leaf, text in zip(shape.alone, shape.alone_of(found), strict=True):
            self._add(leaf, bytes(text), row, left)

    def _together(self, shape: Shape, texts: Sequence[Any], row: Row) -> _Held:
        """Return what is left of the leaves that come together."""
        text = b"\x1f".join(texts)
        held = self._held.get((shape, text))
        if held is not None and _holds(held, row):
            return held
        ones, new = [], []
        for leaf, each in zip(shape.together, map(bytes, texts), strict=True):
            known = self._held.get((leaf, each))
            if known is None or not _holds(known, row):
                new.append(leaf)
                known = self._asked(leaf, each, row)
            ones.append(known)
        shape.miss(new)
        used, needed = [each for one in ones for each in one.used], [each for one in ones for each in one.needed]
        absent, left = [each for one in ones for each in one.absent], tuple(each for one in ones for each in one.left)
        return self._keep((shape, text), left, used, needed, absent, row, all(one.is_kept for one in ones))

    def _add(self, leaf: Leaf, text: bytes, row: Row, left: list[tuple[Leaf, Any]]) -> None:
        """Add to `left` what is left of a leaf."""
        node, first = leaf.node, text[0]
        if text in _EMPTY:
            return
        if node is not None and (held := row.held.get(node.path)) is not None:
            value = read_json(text)
            if held == value and held.__class__ is value.__class__:
                return
            if node.is_open and held.__class__ is value.__class__ is dict:
                rest = {name: each for name, each in value.items() if name not in held or held[name] != each}
                if len(rest) < len(value):
                    if rest and (lacked := self._object(rest, node, row)):
                        left.append((leaf, lacked))
                    return
        if node is None or node.is_kept or first not in _OPENING:
            rest = self._rest_of(leaf, text, row)
            if rest is not None:
                left.append((leaf, rest))
            return
        if leaf.plans is not None and first == _OPENING[0]:
            if node.is_open and row.has_whole(node.name):
                return
            if read := leaf.plans.read(text.decode(), row.values):
                self._shaped(*read, row, left)
                return
        known = self._held.get((leaf, text))
        left += (known if known is not None and _holds(known, row) else self._asked(leaf, text, row)).left

    def _rest_of(self, leaf: Leaf, text: bytes, row: Row) -> Any:
        """What is left of a leaf; None when nothing is."""
        node = leaf.node
        if text[0] != _QUOTE or node is None or node.is_kept:
            return self._rest(read_json(text), node, row)
        value = text[1:-1].decode() if b"\\" not in text else read_json(text)
        return None if row.how(value, node) else value

    def _asked(self, leaf: Leaf, text: bytes, row: Row) -> _Held:
        """Return what is left of a leaf, and keep it for rows for which it will be the same."""
        row.ask_anew()
        rest = self._rest_of(leaf, text, row)
        left = () if rest is None else ((leaf, rest),)
        return self._keep((leaf, text), left, row.used, row.needed, row.absent, row, row.is_sure)

    def _keep(self, key: tuple[Shape | Leaf, bytes], left: tuple[tuple[Leaf, Any], ...], used: Iterable[int],
              needed: Iterable[str], absent: Iterable[str], row: Row, is_sure: bool) -> _Held:  # fmt: skip
        places, lacked = tuple(dict.fromkeys(used)), tuple(dict.fromkeys(absent)) if left else ()
        of = itemgetter(*places) if places else None
        is_kept = is_sure and len(key[1]) <= _LONGEST_KEPT and not (lacked and row.has_any(lacked))
        held = _Held(left, places, tuple(dict.fromkeys(needed)), lacked, of, of(row.values) if of else None, is_kept)
        if is_kept:
            if len(self._held) >= _MOST_KEPT:
                self._held.clear()
            self._held[key] = held
        return held

    def trace(self, raw: str, row: str) -> Iterator[Account]:
        """Yield every value of a record, with how it is accounted for."""
        state = Row(self._places, raw, row, row.split(SEPARATOR))
        yield from self._traced(self._read(raw), self._top, "", state)

    def _traced(self, found: Any, node: Node, path: str, row: Row) -> Iterator[Account]:
        if isinstance(found, dict):
            for name, value in found.items():
                below = f"{path}.{name}" if path else name
                inner = self._child(node, name) or Node(Known(), name, below, ())
                yield from self._traced(value, inner, below, row)
        elif isinstance(found, list):
            for number, value in enumerate(found):
                yield from self._traced(value, node, f"{path}[{number}]", row)
        elif found is not None:
            text = text_of(found)
            how = row.how(text, node) or (PLACED if row.has_member(text, node) else "")
            yield Account(path, text, how, row.where(text, node, how))

    def _read(self, raw: str) -> Any:
        if raw[0] == SEPARATOR:
            return self._columns(raw[1:].split(SEPARATOR))
        try:
            return read_json(raw)
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

    def _object(self, found: Any, node: Node, row: Row) -> dict[str, Any] | None:
        if found.__class__ is not dict:
            return {"_raw": found} if found not in (None, "", [], {}) else None
        left = None
        below, _values = node.below, row.values
        for name, value in found.items():
            inner = below.get(name)
            if value.__class__ is str and inner is not None and not inner.is_kept:
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

    def _rest(self, value: Any, node: Node | None, row: Row) -> Any:
        """What is left of a value; None when nothing is."""
        if value is None:
            return None
        if node is None or node.is_kept:
            return self._with_values(value)
        if node.dropped:
            return None
        if value.__class__ is not dict and value.__class__ is not list:
            return None if row.how(text_of(value), node) else value
        if node.is_open and (not value or row.has_whole(node.name)):
            return None
        rest = self._object(value, node, row) if value.__class__ is dict else self._list(value, node, row)
        if rest is not None and node.is_open:
            row.lacks_whole()
        return rest

    def _list(self, found: list[Any], node: Node, row: Row) -> list[Any] | None:
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
        return None if isinstance(value, str) and value.strip() in self._absent else value

    def _child(self, node: Node, name: str) -> Node | None:
        """The node of a name that the contract does not have; None where it knows all names."""
        found = node.below.get(name)
        if found is None and node.is_open:
            path = f"{node.raw_path}.{name}" if node.raw_path else name
            found = Node(Known(is_open=True, dropped=node.dropped), name, path, ())
            if len(node.below) < 1000:  # names of a map may be values
                node.below[name] = found
        return found


def prepare(con: "duckdb.DuckDBPyConnection", accounts: Mapping[str, Accounts]) -> None:
    """Give a connection the function `hw_unmapped(model, record, values, unmapped)`, all texts."""

    alone = Lock()  # DuckDB's threads ask side by side, and what is learned of rows is learned of one after the other

    def unmapped(model: Any, records: Any, rows: Any, held: Any) -> Any:
        import pyarrow as pa

        found = accounts[model[0].as_py()].unmapped
        columns = [each.to_pylist() for each in (records, rows, held)]
        with alone:
            texts = [found(*each) for each in zip(*columns, strict=True)]
        return pa.array(texts, pa.string())

    con.create_function("hw_unmapped", unmapped, ["VARCHAR"] * 4, "VARCHAR", type=_ARROW, null_handling=_NULLS)


def _holds(held: _Held, row: Row) -> bool:
    """Whether what was found holds for a row."""
    if held.of is not None and held.of(row.values) != held.values:
        return False
    if held.needed and not row.has_all(held.needed):
        return False
    return not held.absent or not row.has_any(held.absent)
