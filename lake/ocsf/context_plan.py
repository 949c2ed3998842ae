"""The plan of a model's context: which attributes of its rows are looked up where. The context macros make SQL of it.

It follows from what a row may have and what the reference tables hold: what no table holds is not looked up, so a lake
without reference tables pays nothing. What does not belong here: SQL of the joins (`dbt_project/macros/context.sql`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lake.ocsf.event_sql import EventSql
from lake.ocsf.observables import Observed, Subject

Column = Callable[[str], str]
ENTITIES = ("assets", "identities")
GEOIP = ("geoip_city", "geoip_asn", "geoip_anonymous", "geoip_isp", "geoip_connection", "geoip_domain")


@dataclass(frozen=True)
class ReferenceInventory:
    """What the reference tables hold: kinds of observables with the prefixes that occur, and which tables have rows.

    `observables` is table → kind → prefixes; `tables` are names of other tables with rows (GeoIP's, assets,
    identities), `prefixes` those of their addresses. `lookups` are (provider, attribute path without `[]`) that lookup
    providers are asked about.
    """

    observables: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    prefixes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lookups: tuple[tuple[str, str], ...] = ()

    def wants(self, observed: Observed) -> bool:
        """Whether any table of observables, or a provider, is asked about an attribute."""
        listed = any(observed.kind in kinds for kinds in self.observables.values())
        return listed or any(path == observed.path.replace("[]", "") for _, path in self.lookups)


def event_plan(made: EventSql, inventory: ReferenceInventory) -> dict[str, Any]:
    """Return, ready for JSON, what the macro `lake_events` makes its SELECT of."""
    return {
        "steps": made.steps,
        "metadata": made.metadata,
        "types": list(made.types),
        "observed": [{**asdict(each), "name": each.name} for each in made.observed],
        "asked": lookup_plans(made.subjects, inventory),
        "held": _tables(inventory),
    }


def _tables(inventory: ReferenceInventory) -> dict[str, Any]:
    """Return what the macros need to know of the tables."""
    return {
        "observables": {table: dict(kinds) for table, kinds in inventory.observables.items() if kinds},
        "geoip": [table for table in GEOIP if table in inventory.tables],
        "entities": [table for table in ENTITIES if table in inventory.tables],
        "lookups": [list(each) for each in inventory.lookups],
        "prefixes": {table: inventory.prefixes.get(table, ()) for table in ENTITIES},
    }


def lookup_plans(subjects: Iterable[Subject], inventory: ReferenceInventory) -> list[dict[str, Any]]:
    """Return the subjects that are looked up, numbered, as the macros read them.

    Each has `keys` (column, SQL over a row), `asked` (path, kind, column, is_list), `place` (the column of the address
    whose place is looked up, or '') with `places` (in which tables), and `called` (see `context_entities.sql`).
    """
    plans = [_plan(subject, inventory) for subject in subjects]
    wanted = [plan for plan in plans if plan["asked"] or plan["called"]]
    for number, plan in enumerate(wanted):
        plan["number"] = number
        plan["keys"] = [[column.format(number), sql] for sql, column in plan["keys"].items()]
        for each in (*plan["asked"], *plan["called"]):
            for name in ("column", "sql", "domain"):
                each[name] = each.get(name, "").format(number)
        plan["place"] = plan["place"].format(number)
        plan["places"] = [table for table in GEOIP if table in inventory.tables] if plan["place"] else []
    return wanted


def _plan(subject: Subject, inventory: ReferenceInventory) -> dict[str, Any]:
    keys: dict[str, str] = {}

    def column(sql: str) -> str:
        return keys.setdefault(sql, f"s{{0}}_{len(keys)}")

    place = ""
    observed = []
    for each in subject.observed:
        has_place = subject.entity == "machine" and each.path == f"{subject.path}.ip" and inventory.tables & {*GEOIP}
        if has_place:
            place = column(each.sql)
        if has_place or inventory.wants(each):
            found = {"path": each.path, "kind": each.kind, "column": column(each.sql), "is_list": each.is_list}
            observed.append(found)
    called = list(_called(subject, inventory, column))
    own = {"path": subject.path, "entity": subject.entity}
    return {**own, "keys": keys, "asked": observed, "place": place, "called": called}


def _called(subject: Subject, inventory: ReferenceInventory, column: Column) -> Iterable[dict[str, Any]]:
    if subject.entity == "machine" and "assets" in inventory.tables:
        yield from _machine(subject, column)
    if subject.entity == "account" and "identities" in inventory.tables:
        yield from _account(subject, column)


def _machine(subject: Subject, column: Column) -> Iterable[dict[str, Any]]:
    """How a machine is called, surest first.

    A log's own host knows its name. Of the two ends of a connection the address is surer: the name is what the other
    side says of itself. A network is the last resort.
    """
    has = {name: column(sql) for name, sql in subject.called.items()}
    address, name = (4, 2) if subject.path == "device" else (2, 3)
    for each in ("uid", "instance_uid"):
        if each in has:
            yield _name("assets", 1, has[each])
    if "ip" in has:
        yield {"table": "assets", "step": address, "network_step": 6, "kind": "ip", "names": ["ip"], "sql": has["ip"]}
    for each in ("hostname", "name"):
        if each in has:
            yield _name("assets", name, f"rtrim({has[each]}, '.')", "hostname", "short_hostname")
            first = f"case when contains({has[each]}, '.') then split_part({has[each]}, '.', 1) end"
            yield _name("assets", name + 1, first, "hostname")


def _account(subject: Subject, column: Column) -> Iterable[dict[str, Any]]:
    """How an account is called, surest first: its id, its e-mail address, its name with the domain, its name alone.

    A domain may be written as NetBIOS or as DNS name: it is tried whole, and by its first label.
    """
    has = {name: column(sql) for name, sql in subject.called.items()}
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


def _name(table: str, step: int, sql: str, *names: str, domain: str = "null::varchar") -> dict[str, Any]:
    """One way of being called, and the kinds of names that it may be; a name that is an id as well is held as `uid`."""
    found = {"table": table, "step": step, "network_step": step, "kind": "name", "names": ["uid", *names]}
    return {**found, "sql": sql, "domain": domain}
