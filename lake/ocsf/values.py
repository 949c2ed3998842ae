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
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from lake.ocsf.accounts.plans import Plan
from lake.ocsf.accounts.rows import PLACED, SEPARATOR, Known, Node, Places, Row
from lake.ocsf.accounts.texts import LITTLE_LENGTH, PLACEHOLDERS, read_json, says_little, text_of

if TYPE_CHECKING:
    import duckdb

_ARROW: Any = "arrow"  # DuckDB's stubs want members of its enumerations, which texts stand for
_NULLS: Any = "special"

VERSION = 1  # raise when rows get another `unmapped`: they are then built again

_MOST_KEPT, _LONGEST_KEPT = 4_000, 1_000  # entries and bytes: what is held is beside the memory that DuckDB has

_MOST_PLANS = 500
_Value = TypeVar("_Value")

_decode = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_number = itemgetter(0)


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
    """What rows lack of members of their records: as long as they have `values` at certain places and `absent` nowhere.

    `left` is path → value, `text` the same as JSON; empty where nothing is left. `parts` are those of several members,
    with where each stands in the record.
    """

    of: Callable[[list[str]], Any] | None
    values: Any
    absent: tuple[str, ...]
    left: dict[str, Any]
    text: str
    used: tuple[int, ...] = ()
    parts: tuple[tuple[int, "_Held"], ...] = ()


_NOTHING = _Held(None, None, (), {}, "")


class Accounts:
    """Finds what the rows of one model lack of their records. `paths` are those of the values of a row."""

    def __init__(self, record: Record, paths: Sequence[str], as_json: Sequence[bool]) -> None:
        self._record, self._absent = record, PLACEHOLDERS | record.placeholders
        self._places = Places(paths, as_json, self._absent)
        self._top = Node(record.known, "", "", paths)
        self._plans: dict[tuple[str, ...], Plan] = {}  # by the names of the members
        self._held: dict[tuple[str | Plan, bytes], _Held] = {}  # members come again: who called, from where, with what
        self._written: dict[tuple[Any, ...], str] = {}  # `unmapped` by the texts that it is made of

    def unmapped(self, raw: str | None, row: str | None, unmapped: str | None) -> str | None:
        """Return the row's `unmapped`, with what the row lacks of its record; the same text when it lacks nothing."""
        if not raw or row is None:
            return unmapped
        parts = self._parts(raw, row)
        if not parts:
            return unmapped
        key = (unmapped, parts[0].text) if len(parts) == 1 else (unmapped, *[each.text for each in parts])
        written = self._written.get(key)
        if written is None:
            left = _by_path(item for each in parts for item in each.left.items())
            written = _encode(_merged(read_json(unmapped), left) if unmapped else left).decode()
            if len(written) <= _LONGEST_KEPT:
                _keep(self._written, key, written)
        return written

    def left(self, raw: str, row: str) -> dict[str, Any]:
        """Return what a row lacks of its record: path → value."""
        return _by_path(item for each in self._parts(raw, row) for item in each.left.items())

    def _parts(self, raw: str, row: str) -> Sequence[_Held]:
        """Return what is left of those members of a record of which something is."""
        values = row.split(SEPARATOR)
        try:
            members = _members(raw) if raw[0] == "{" else None
        except msgspec.DecodeError:
            members = None
        state = Row(self._places, raw, row, values)
        if members is None:
            found = self._account(self._object(self._read(raw), self._top, state), state)
            return [found] if found.text else []
        if len(values) == self._places.width:
            names = tuple(members)
            plan = self._plans.get(names)
            if plan is None:
                plan = _keep(self._plans, names, Plan(), _MOST_PLANS)
            if not plan.is_learned:
                plan.learn(members, values, self._top.below, self._places)
            else:
                return self._planned(plan, members, state)
        return [held for name, member in members.items() if (held := self._member(name, bytes(member), state)).text]

    def _planned(self, plan: Plan, members: dict[str, msgspec.Raw], row: Row) -> Sequence[_Held]:
        """The same by a plan, of the members that are not placed as they are."""
        parts: list[tuple[int, _Held]] = []
        for number, name in plan.unplaced(members, row.values):
            held = self._member(name, bytes(members[name]), row)
            if held.text:
                parts.append((number, held))
        if plan.together_of is not None:
            text = b"\x1f".join(plan.together_of(members))
            known = self._held.get((plan, text))
            if known is None or not _holds(known, row):
                known = self._together(plan, text, members, row)
            if not parts:
                return (known,) if known.text else ()
            parts += known.parts
        return [held for _, held in sorted(parts, key=_number)]

    def _together(self, plan: Plan, text: bytes, members: Mapping[str, msgspec.Raw], row: Row) -> _Held:
        """Return what is left of the members that come together, and keep it like that of one."""
        known, new, together = self._held, [], plan.together
        used: dict[int, None] = {}
        founds: list[tuple[int, _Held]] = []
        for number, name in together:
            member = bytes(members[name])
            held = known.get((name, member))
            if held is None or not _holds(held, row):
                new.append(name)
            found = self._member(name, member, row)
            used |= dict.fromkeys(found.used if found is not _NOTHING else (self._top.below[name].place,))
            founds.append((number, found))
        plan.miss(new)
        absent = tuple(dict.fromkeys(each for _, found in founds for each in found.absent))
        parts = tuple((number, each) for number, each in founds if each.text)
        left = _by_path(item for _, each in parts for item in each.left.items())
        of = itemgetter(*used) if used else None
        written = _encode(left).decode() if left else ""
        whole = _Held(of, of(row.values) if of else None, absent, left, written, tuple(used), parts)
        names = [name for (_, name), (_, each) in zip(together, founds, strict=True) if each is not _NOTHING]
        if len(text) <= _LONGEST_KEPT and all((name, bytes(members[name])) in known for name in names):
            _keep(known, (plan, text), whole)
        return whole

    def _member(self, name: str, text: bytes, row: Row) -> _Held:
        """Return what is left of a member of a record, and keep it for rows for which it will be the same."""
        node, values = self._top.below.get(name), row.values
        if text[0] == 34 and node is not None and not node.is_kept:
            value = text[1:-1].decode() if b"\\" not in text else _decode(text)
            if values[node.place] == value and (len(value) > LITTLE_LENGTH or not says_little(value)):
                return _NOTHING
        held = self._held.get((name, text))
        if held is not None and _holds(held, row):
            return held
        row.ask_anew()
        held = self._account(self._object({name: read_json(text)}, self._top, row), row)
        if row.is_sure and len(text) <= _LONGEST_KEPT and not (held.absent and row.has_any(held.absent)):
            _keep(self._held, (name, text), held)
        else:
            self._held.pop((name, text), None)
        return held

    def _account(self, left: dict[str, Any] | None, row: Row) -> _Held:
        used = tuple(dict.fromkeys(row.used))
        of = itemgetter(*used) if used else None
        found = _by_path(_flat(left, self._top)) if left else {}
        absent = tuple(row.absent) if found else ()
        text = _encode(found).decode() if found else ""
        return _Held(of, of(row.values) if of else None, absent, found, text, used)

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
        below, values = node.below, row.values
        for name, value in found.items():
            inner = below.get(name)
            if value.__class__ is str and inner is not None and not inner.is_kept:
                if values[inner.place] == value and (len(value) > LITTLE_LENGTH or not says_little(value)):
                    row.used.append(inner.place)
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

    def _rest(self, value: Any, node: Node | None, row: Row) -> Any:
        """What is left of a value; None when nothing is."""
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
    return not held.absent or not row.has_any(held.absent)


def _keep(held: dict[Any, Any], key: Any, value: _Value, most: int = _MOST_KEPT) -> _Value:
    if len(held) >= most:
        held.clear()
    held[key] = value
    return value


def _flat(left: Mapping[str, Any], node: Node) -> Iterator[tuple[str, Any]]:
    """What is left by path: names that only lead to others become part of it."""
    for name, rest in left.items():
        inner = node.below.get(name)
        if inner is not None and isinstance(rest, dict) and inner.below and (inner.is_spread or not inner.is_open):
            yield from _flat(rest, inner)
        elif node.is_spread:
            yield (inner.path.removeprefix(f"{node.raw_path}.") if inner else name), rest
        else:
            yield (inner.path if inner else f"{node.raw_path}.{name}" if node.raw_path else name), rest


def _by_path(left: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What is left by path; of two names of one path both values stay."""
    found: dict[str, Any] = {}
    for path, value in left:
        name, number = path, 2
        while name in found and found[name] != value:
            name, number = f"{path}_{number}", number + 1
        found[name] = value
    return found


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
        elif found[key] != value and text_of(found[key]) != text_of(value):
            number = 2
            while f"{key}_{number}" in found:
                number += 1
            found[f"{key}_{number}"] = value
    return found
