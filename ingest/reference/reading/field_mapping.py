"""Which field of a record fills which column of a reference table: declared, or found by the fields' names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from ingest.reference.formats import FormatError, FormatOptions
from ingest.reference.observables import KINDS, NotObservable, entries
from ingest.reference.reading import values
from ingest.reference.tables import OBSERVABLE_TABLES, PAYLOADS, WARNING_LISTS, Entry

SPECIAL = ("entry", "kind", "value", "valid_from", "valid_to")
# What feeds call an observable when they do not call it `value`.
_VALUE_NAMES = ("value", "indicator", "observable", "ioc", "ip", "cidr", "network", "domain", "url", "hash", "email")
_KIND_OF_NAME = {"cidr": "ip", "network": "ip"} | {kind: kind for kind in KINDS}


class Mapped(FormatOptions):
    """How records become rows of the table.

    `fields`: column of the table (and `entry`, `kind`, `value`, `valid_from`, `valid_to`) → name of the record's
    field, `a.b` inside of objects. Columns that are not named take the field of their own name, if there is one.
    `constants`: column → value for every row that has none. `kind`: kind of every observable (default: the record's
    `kind`, else by its look). `list_separators`: characters of which the first that occurs splits a list.
    `time_formats`: strptime formats besides those that are known.
    """

    fields: dict[str, str] = Field(default={})
    constants: dict[str, str | int | bool | list[str]] = Field(default={})
    kind: str = ""
    list_separators: str = ";|,"
    time_formats: list[str] = Field(default=[])


class FieldMapping:
    """From a record (name → value) to entries of one table. `names`: the fields that there are, None: not known.

    `constants`: what every row has, in the types of the table. Raises FormatError: the options do not fit the table.
    """

    def __init__(self, table: str, options: Mapped, names: Iterable[str] | None) -> None:
        self._table = table
        self._options = options
        self._types = dict(PAYLOADS[table])
        self._has_header = names is not None or "value" in options.fields
        self._paths = self._declared(list(names) if names is not None else None)
        self.constants = {column: self._constant(column, given) for column, given in options.constants.items()}

    def entries(self, record: Mapping[str, Any]) -> list[Entry]:
        """Return the entries of a record. Raises ValueError with the reason when it has none."""
        found = {column: _at(record, path) for column, path in self._paths.items()}
        payload = {name: self._converted(name, found[name]) for name in self._types if name in found}
        payload = {name: value for name, value in payload.items() if value not in (None, [])}
        payload = self.constants | payload
        begin, end = (values.moment(found.get(at), self._options.time_formats) for at in SPECIAL[3:])
        if self._table in OBSERVABLE_TABLES:
            return self._observables(record, found, payload, begin, end)
        name = values.text(found.get("entry")) or payload.get("uid") or self._first_name(payload)
        if not name:
            raise ValueError("the row has neither uid nor a name")
        return [Entry(str(name), payload, valid_from=begin, valid_to=end)]

    def _observables(
        self, record: Mapping[str, Any], found: dict[str, Any], payload: dict[str, Any], begin: Any, end: Any
    ) -> list[Entry]:
        value, of_field = self._observable(record, found)
        kind = as_kind(self._options.kind or values.text(found.get("kind")) or of_field)
        if kind and kind not in KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        if not value:
            raise ValueError("the row names no observable")
        own = values.text(found.get("entry"))
        try:
            made = list(entries(value, payload, kind, begin, end, wildcards=self._table == WARNING_LISTS))
        except NotObservable as error:
            raise ValueError(str(error)) from None
        if own is None:
            return made
        names = [own if len(made) == 1 else f"{own}/{each.value}" for each in made]
        return [Entry(name, e.payload, e.kind, e.value, begin, end) for name, e in zip(names, made, strict=True)]

    def _observable(self, record: Mapping[str, Any], found: dict[str, Any]) -> tuple[str | None, str]:
        """The text of the observable and the kind that its field tells; JSON records may each have another field."""
        value = values.text(found.get("value"))
        if value or self._has_header:
            return value, self._kind_of_field
        named = next((name for name in _VALUE_NAMES if record.get(name)), "value")
        return values.text(record.get(named)), _KIND_OF_NAME.get(named, "")

    def _declared(self, names: list[str] | None) -> dict[str, str]:
        known = set(self._types) | set(SPECIAL)
        unknown = (set(self._options.fields) | set(self._options.constants)) - known
        if unknown:
            raise FormatError(f"{', '.join(sorted(unknown))}: no column of {self._table} ({', '.join(sorted(known))})")
        columns = {_column(name): name for name in reversed(names or [])}
        if names is None:
            columns = {name: name for name in known}
        paths = {name: columns[name] for name in known if name in columns} | self._options.fields
        self._missing(names)
        self._kind_of_field = ""
        if self._table in OBSERVABLE_TABLES and "value" not in self._options.fields and names is not None:
            named = next((name for name in _VALUE_NAMES if name in columns), None)
            if named is None:
                raise FormatError(
                    f"no field holds the observable: expected one called {', '.join(_VALUE_NAMES)}, or `fields: "
                    f"{{value: …}}`; found {', '.join(names[:20]) or 'none'}"
                )
            paths["value"] = columns[named]
            self._kind_of_field = _KIND_OF_NAME.get(named, "")
        return paths

    def _missing(self, names: list[str] | None) -> None:
        if names is None:
            return
        there = set(names)
        missing = [
            path for path in self._options.fields.values() if path not in there and path.split(".")[0] not in there
        ]
        if missing:
            raise FormatError(f"no field {', '.join(missing)}; found {', '.join(names[:20]) or 'none'}")

    def _constant(self, column: str, given: object) -> Any:
        try:
            return self._value(column, given)
        except ValueError as error:
            raise FormatError(f"constants.{column}: {error}") from None

    def _converted(self, column: str, value: Any) -> Any:
        try:
            return self._value(column, value)
        except ValueError as error:
            raise ValueError(f"{column}: {error}") from None

    def _value(self, column: str, value: Any) -> Any:
        of = self._types.get(column, "VARCHAR")
        if of == "TIMESTAMP":
            return values.moment(value, self._options.time_formats)
        if of == "VARCHAR[]":
            return values.texts(value, self._options.list_separators)
        return values.CONVERTERS[of](value)

    def _first_name(self, payload: Mapping[str, Any]) -> str | None:
        first = payload.get("username") or payload.get("name") or next(iter(payload.get("emails") or ()), None)
        return str(first) if first else next(iter(payload.get("hostnames") or payload.get("addresses") or ()), None)


# Kinds as other feeds write them.
_KINDS_AS_WRITTEN = {
    **dict.fromkeys(("ipv4", "ipv6", "ipv4-addr", "ipv6-addr", "ip-src", "ip-dst", "cidr", "address", "ip:port"), "ip"),
    **dict.fromkeys(("hostname", "fqdn", "domain-name", "host"), "domain"),
    **dict.fromkeys(("uri", "link"), "url"),
    **dict.fromkeys(("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha-1", "sha-256", "sha-512"), "hash"),
    **dict.fromkeys(("file", "filehash", "md5_hash", "sha1_hash", "sha256_hash"), "hash"),
    **dict.fromkeys(("email-addr", "email-src", "mail", "e-mail"), "email"),
    "vulnerability": "cve",
}


def as_kind(written: str) -> str:
    """Return the kind of observable that a feed's own word means; the word itself where it is not known."""
    return _KINDS_AS_WRITTEN.get(written.strip().lower(), written.strip().lower())


def _column(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _at(record: Mapping[str, Any], path: str) -> Any:
    if path in record:
        return record[path]
    value: Any = record
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
