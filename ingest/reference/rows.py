"""From an entry of a feed to a row: values in the types of the table, observables and names with their keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ingest.reference.observables import NotObservable, ObservableKey, observable_key, refuse_wide
from ingest.reference.tables import ASSETS, ENTITY_TABLES, OBSERVABLE_TABLES, PAYLOADS, Entry

Row = dict[str, Any]
# Lists whose first element is the main one; all others are sets, and come in an order without repetition.
_NO_TEXT = "holds what is no text (a lone surrogate)"
ORDERED = frozenset(("hostnames", "emails", "usernames"))


class NoRow(ValueError):
    """An entry that cannot be a row; the message is the reason, without the entry's own values."""


def row_maker(table: str) -> Callable[[Entry], tuple[Row, list[tuple[str, str]]]]:
    """Return a function from an entry to its row, and (text, why) of names that cannot be joined by.

    A row has what the entry says; what it does not say is NULL. The function raises NoRow.
    """
    columns = {name: _CONVERTERS[type_] for name, type_ in PAYLOADS[table].items()}
    observable = table in OBSERVABLE_TABLES

    def row_of(entry: Entry) -> tuple[Row, list[tuple[str, str]]]:
        if not columns.keys() >= entry.payload.keys():
            raise NoRow(f"{table} has no column {min(entry.payload.keys() - columns.keys())}")
        row: Row = _observed(table, entry) if observable else _entity(entry)
        for name, value in entry.payload.items():
            if value is not None:
                row[name] = _converted(columns[name], value, name)
        if not observable:
            row["uid"] = row.get("uid") or row["entry"]
        row["given_from"], row["given_to"] = _naive(entry.valid_from), _naive(entry.valid_to)
        if row["given_from"] and row["given_to"] and row["given_from"] > row["given_to"]:
            raise NoRow("ends before it starts")
        if table not in ENTITY_TABLES:
            return row, []
        names, unusable = names_of(table, row)
        row["names"] = [{"name_kind": each.name_kind, "rank": each.rank, **_keyed(each.key)} for each in names]
        return row, unusable

    return row_of


def _observed(table: str, entry: Entry) -> Row:
    """An observable's own text is no better name of it than its normalised form, in which two spellings are one."""
    try:
        key = observable_key(entry.kind, entry.value)
        refuse_wide(table, key)
        entry.entry.encode()
    except NotObservable as problem:
        raise NoRow(str(problem).removeprefix(f"{entry.value!r} ")) from None
    except UnicodeError:
        raise NoRow(_NO_TEXT) from None
    own = entry.entry.strip()
    return {"entry": key.value if own in ("", entry.value.strip()) else own, **_keyed(key)}


def _keyed(key: Any) -> Row:
    return {"kind": key.kind, "value": key.value, "prefix": key.prefix, "key_high": key.high, "key_low": key.low}


def _entity(entry: Entry) -> Row:
    name = entry.entry.strip()
    if not name:
        raise NoRow("has no id")
    try:
        name.encode()
    except UnicodeError:
        raise NoRow(_NO_TEXT) from None
    return {"entry": name, "kind": "", "value": ""}


def _converted(convert: Callable[[Any, str], Any], value: Any, column: str) -> Any:
    try:
        return convert(value, column)
    except (TypeError, ValueError, LookupError, OverflowError):
        raise NoRow(f"{column}: expected {_EXPECTED[convert]}, found a {type(value).__name__} that is none") from None


def _naive(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo else at


def _text(value: Any, _: str) -> str | None:
    if isinstance(value, dict | list | tuple | set):
        raise TypeError
    text = value.strip() if isinstance(value, str) else str(value)
    text.encode()  # a lone surrogate has no place in a file
    return text or None


def _texts(value: Any, column: str) -> list[str] | None:
    """An empty list is no statement: many exports write a column for what they do not know."""
    given: Iterable[Any] = [value] if isinstance(value, str) else value
    texts = dict.fromkeys(text for each in given if each is not None and (text := _text(each, column)))
    return (list(texts) if column in ORDERED else sorted(texts)) or None


def _small(value: Any, _: str) -> int:
    if isinstance(value, bool):
        raise TypeError
    number = round(float(value))
    if not 0 <= number <= 100:
        raise ValueError
    return number


def _flag(value: Any, _: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return value if isinstance(value, bool) else known[str(value).strip().lower()]


def _time(value: Any, _: str) -> datetime | None:
    return _naive(value if isinstance(value, datetime) else datetime.fromisoformat(value))


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    "VARCHAR": _text,
    "VARCHAR[]": _texts,
    "UTINYINT": _small,
    "BOOLEAN": _flag,
    "TIMESTAMP": _time,
}
_EXPECTED: dict[Callable[[Any, str], Any], str] = {
    _text: "a text",
    _texts: "a list of texts",
    _small: "a number from 0 to 100",
    _flag: "true or false",
    _time: "a time (ISO 8601)",
}


UID, HOSTNAME, SHORT_HOSTNAME, IP = "uid", "hostname", "short_hostname", "ip"
EMAIL, PRINCIPAL, QUALIFIED, NAME = "email", "principal", "qualified_name", "name"
RANKS = {UID: 1, HOSTNAME: 2, SHORT_HOSTNAME: 3, IP: 4, EMAIL: 2, PRINCIPAL: 2, QUALIFIED: 3, NAME: 4}


class Named(NamedTuple):
    """One name of an entity: its kind, how sure it is (1 the surest), and its key."""

    name_kind: str
    rank: int
    key: ObservableKey


def names_of(table: str, payload: Mapping[str, Any]) -> tuple[list[Named], list[tuple[str, str]]]:
    """Return the names of an entity without repetition, and (text, why) of those that cannot be joined by."""
    found: dict[tuple[str, str], Named] = {}
    unusable = []
    for name_kind, text in _asset(payload) if table == ASSETS else _identity(payload):
        try:
            key = observable_key("ip" if name_kind == IP else "name", text)
            refuse_wide(table, key)
        except NotObservable as problem:
            unusable.append((text, str(problem).removeprefix(f"{text!r} ")))
            continue
        named = Named(name_kind, RANKS[name_kind], key)
        held = found.setdefault((key.kind, key.value), named)
        if named.rank < held.rank:
            found[key.kind, key.value] = named
    return list(found.values()), unusable


def _asset(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if payload.get("uid"):
        yield UID, payload["uid"]
    hostnames = [*(payload.get("hostnames") or ()), *([payload["name"]] if payload.get("name") else [])]
    for each in hostnames:
        whole = each.strip().rstrip(".")
        if whole:
            yield HOSTNAME, whole
        first, dot, rest = whole.partition(".")
        if first and dot and " " not in whole and not (first + rest).replace(".", "").isdigit():
            yield SHORT_HOSTNAME, first
    for each in payload.get("addresses") or ():
        yield IP, each


def _identity(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A domain may be a NetBIOS name or a DNS name; of the latter, the user's principal name follows (AD's default)."""
    for each in (payload.get("uid"), *(payload.get("uids") or ())):
        if each:
            yield UID, each
    for each in payload.get("emails") or ():
        yield EMAIL, each
    domain, username = payload.get("domain"), payload.get("username")
    for each in (username, *(payload.get("usernames") or ())):
        if each:
            yield PRINCIPAL if "@" in each else QUALIFIED if "\\" in each else NAME, each
    if domain and username and not {"@", "\\"} & set(username):
        yield QUALIFIED, f"{domain}\\{username}"
        if "." in domain:
            yield PRINCIPAL, f"{username}@{domain}"
