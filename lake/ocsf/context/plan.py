"""The plan of a model's context: which attributes of its rows are looked up where.

It follows from what a row may have and what the reference tables hold: what no table holds is not looked up, so a lake
without reference tables pays nothing. What does not belong here: SQL of the joins.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lake.ocsf.observables import Observed, Subject

ENTITIES = ("assets", "identities")
GEOIP = ("geoip_city", "geoip_asn", "geoip_anonymous", "geoip_isp", "geoip_connection", "geoip_domain")


@dataclass(frozen=True)
class ReferenceInventory:
    """What the reference tables hold: kinds of observables with the prefixes that occur, and which tables have rows.

    `observables` is table → kind → prefixes; `tables` are names of other tables with rows (GeoIP's, assets,
    identities), `prefixes` those of their addresses. `lookups` are (provider, attribute path without `[]`) that lookup
    providers are asked about; `sendable` is provider → kind → the condition, over the columns `value`, `key` and
    `written`, under which it may be.
    """

    observables: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    prefixes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lookups: tuple[tuple[str, str], ...] = ()
    sendable: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def entities(self) -> list[str]:
        """Return the tables of machines and accounts that have rows."""
        return [table for table in ENTITIES if table in self.tables]

    @property
    def geoip(self) -> list[str]:
        """Return the GeoIP tables that have rows."""
        return [table for table in GEOIP if table in self.tables]

    def wants(self, observed: Observed) -> bool:
        """Whether any table of observables, or a provider, is asked about an attribute."""
        listed = any(observed.kind in kinds for kinds in self.observables.values())
        return listed or any(path == observed.path.replace("[]", "") for _, path in self.lookups)


@dataclass(frozen=True)
class Asked:
    """One observable of a subject: `column` has its text, or a list of texts."""

    path: str
    kind: str
    column: str
    is_list: bool


@dataclass(frozen=True)
class Called:
    """One way in which a machine or an account is called: `sql` over the subject's columns gives the name.

    `names` are the kinds of names in `table` that it may be; the smallest `step` is the surest, and an address that
    is found by a network counts as of `network_step`. With a `domain` (SQL), entities of other domains do not count.
    """

    table: str
    step: int
    kind: str
    names: tuple[str, ...]
    sql: str
    network_step: int = 0
    domain: str = "null::varchar"


@dataclass(frozen=True)
class Lookup:
    """A subject that is looked up: `keys` are its columns, each with the SQL that reads it from a row.

    `place` is the column of the address whose place is looked up in the tables `places`, or ''.
    """

    number: int
    path: str
    entity: str
    keys: Mapping[str, str]
    asked: tuple[Asked, ...]
    called: tuple[Called, ...]
    place: str
    places: tuple[str, ...]


def lookups_of(subjects: Iterable[Subject], inventory: ReferenceInventory) -> list[Lookup]:
    """Return the subjects that are looked up, numbered from 0."""
    found: list[Lookup] = []
    for subject in subjects:
        lookup = _lookup(len(found), subject, inventory)
        if lookup.asked or lookup.called:
            found.append(lookup)
    return found


def _lookup(number: int, subject: Subject, inventory: ReferenceInventory) -> Lookup:
    columns: dict[str, str] = {}

    def column(sql: str) -> str:
        return columns.setdefault(sql, f"s{number}_{len(columns)}")

    place = ""
    asked = []
    for each in subject.observed:
        has_place = subject.entity == "machine" and each.path == f"{subject.path}.ip" and inventory.geoip
        if has_place:
            place = column(each.sql)
        if has_place or inventory.wants(each):
            asked.append(Asked(each.path, each.kind, column(each.sql), each.is_list))
    table, names_of = _ENTITIES.get(subject.entity, ("", _machine))
    is_called = table in inventory.tables
    has = {name: column(sql) for name, sql in subject.called.items()} if is_called else {}
    called = tuple(names_of(subject.path, has)) if is_called else ()
    keys = {name: sql for sql, name in columns.items()}
    places = tuple(inventory.geoip) if place else ()
    return Lookup(number, subject.path, subject.entity, keys, tuple(asked), called, place, places)


def _machine(path: str, has: Mapping[str, str]) -> Iterator[Called]:
    """How a machine is called, surest first.

    A log's own host knows its name. Of the two ends of a connection the address is surer: the name is what the other
    side says of itself. A network is the last resort.
    """
    address, name = (4, 2) if path == "device" else (2, 3)
    for each in ("uid", "instance_uid"):
        if each in has:
            yield _name("assets", 1, has[each])
    if "ip" in has:
        yield Called("assets", address, "ip", ("ip",), has["ip"], network_step=6)
    for each in ("hostname", "name"):
        if each in has:
            yield _name("assets", name, f"rtrim({has[each]}, '.')", "hostname", "short_hostname")
            first = f"case when contains({has[each]}, '.') then split_part({has[each]}, '.', 1) end"
            yield _name("assets", name + 1, first, "hostname")


def _account(_: str, has: Mapping[str, str]) -> Iterator[Called]:
    """How an account is called, surest first: its id, its e-mail address, its name with the domain, its name alone.

    A domain may be written as NetBIOS or as DNS name: it is tried whole, and by its first label.
    """
    for each in ("uid", "uid_alt"):
        if each in has:
            yield _name("identities", 1, has[each])
    if "email_addr" in has:
        yield _name("identities", 2, has["email_addr"], "email", "principal")
    if "name" not in has:
        return
    name, domain = has["name"], has.get("domain", "null::varchar")
    yield _name("identities", 2, f"case when contains({name}, '@') then {name} end", "email", "principal")
    yield _name("identities", 3, f"case when contains({name}, '\\') then {name} end", "qualified_name")
    plain = f"not contains({name}, '\\') and not contains({name}, '@')"
    for each in (domain, f"split_part({domain}, '.', 1)"):
        yield _name("identities", 3, f"case when {plain} then {each} || '\\' || {name} end", "qualified_name")
    yield _name("identities", 4, f"case when {plain} then {name} end", "name", domain=domain)


def _name(table: str, step: int, sql: str, *names: str, domain: str = "null::varchar") -> Called:
    """One way of being called by a name; a name that is an id as well is held as `uid`."""
    return Called(table, step, "name", ("uid", *names), sql, step, domain)


_ENTITIES = {"machine": ("assets", _machine), "account": ("identities", _account)}
