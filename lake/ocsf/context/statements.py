"""The SQL that gives every event its context: which rows of a model take part, what is found, and the events with it.

A mapping writes nothing. Its rows come back as many as they were, with

  - places of OCSF's own filled where the log gave nothing (`fill.py`): location, autonomous_system, isp, names and
    owners of machines, what the directory says of accounts, `osint`, `observables`
  - `enrichments`: one element for each thing that was found, with provider, list version and time

Three steps:
  1. `rows` reads of a model's rows only what is looked up: each distinct combination of names that an object of the
     event bears (a subject: an endpoint, an account, a file with its hashes) and how many events have it.
  2. `found` looks each combination up once for each event hour. What is found becomes one row for each combination
     (`context_found_<n>`), with lists of what holds from when to when.
  3. `events` joins these few rows to the events while they are written; each event takes what holds at its own time.
     So no join can change the number of rows, whatever the reference tables hold.

Reading the mapping's rows twice, first narrow, then whole, is cheaper than keeping them: 100,000 sign-ins took 0.1 s to
read narrow, 1.1 s to write, and 1.0 s more to hold in memory in between (2 cores). Temporary tables belong to the
connection, of which each thread of dbt has its own.

DuckDB's own, to be written differently for Spark: ASOF JOIN and UHUGEINT (`places.py`), md5_number (`keys.py`),
`unnest` in a SELECT list (EXPLODE), list functions with lambdas, `list(… order by …)`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lake.ocsf.attributes import EventClass, Shape
from lake.ocsf.columns import columns
from lake.ocsf.context import answers, entities, listed, places
from lake.ocsf.context.fill import filled
from lake.ocsf.context.fragments import lists, same, struct, table
from lake.ocsf.context.plan import ENTITIES, GEOIP, Lookup, ReferenceInventory, lookups_of
from lake.ocsf.event_sql import EventSql, event_sql
from lake.ocsf.keys import address_hexes, carried_number, key_of, text_of
from lake.ocsf.observable_text import VERSION
from lake.ocsf.observables import Observed
from lake.ocsf.repair import repaired_sql
from lake.ocsf.values import VERSION as VALUES_VERSION

_ENRICHMENT = struct(same(("name", "value", "type", "provider", "created_time", "reputation", "data")))


@dataclass(frozen=True)
class ContextSql:
    """`rows` is a SELECT over the CTE `completed`, the table `context_rows`: event_hour, keys, and `events` (how many).

    `found` are statements from that table on, '' when nothing is looked up. `events` is a SELECT over `completed`.
    """

    rows: str
    found: str
    events: str


def context_sql(event_class: EventClass, made: EventSql, inventory: ReferenceInventory) -> ContextSql:
    """Return the SQL of a model's context: of what its rows may be asked about, and what the tables hold."""
    lookups = lookups_of(made.subjects, inventory)
    found = "".join(_found(event_class, lookups, inventory)) if lookups else ""
    return ContextSql(_rows(lookups), found, _events(event_class, lookups, made.observed, inventory))


def events_version(event_class: EventClass, enriched: bool) -> str:
    """Return a digest of the SQL that makes events of a class, with their context or without.

    It covers whatever rows may have and tables may hold. An edit of this code that changes no SQL changes no digest.
    """
    made = event_sql(event_class, dict(columns(event_class)))
    kinds = dict.fromkeys(sorted({each.kind for each in made.observed}), (32, 128))
    everything = ReferenceInventory(
        dict.fromkeys(listed.LISTS, kinds),
        frozenset((*ENTITIES, *GEOIP)),
        dict.fromkeys(ENTITIES, (32, 128)),
        tuple(("provider", each.path.replace("[]", "")) for each in made.observed),
        {"provider": dict.fromkeys(kinds, "true")},
    )
    context = context_sql(event_class, made, everything) if enriched else ""
    sql = (made.steps, made.metadata, repaired_sql(event_class, "rows"), context, VERSION, VALUES_VERSION)
    return hashlib.sha256(repr(sql).encode()).hexdigest()[:16]


def _rows(lookups: Iterable[Lookup]) -> str:
    keys = [f"{sql} as {column}" for lookup in lookups for column, sql in lookup.keys.items()]
    hour = "date_trunc('hour', _event_at) as event_hour"
    return f"select {', '.join([hour, *keys, 'count(*) as events'])}\nfrom completed\ngroup by all"


def _found(event_class: EventClass, lookups: Sequence[Lookup], inventory: ReferenceInventory) -> Iterator[str]:
    for lookup in lookups:
        yield table(f"subject_{lookup.number}", _subject(lookup))
    yield "drop table context_rows;\n"
    yield table("asked", _asked(lookups))
    for name in inventory.entities:
        yield entities.called(name, lookups)
    yield _keys(inventory)
    if inventory.geoip:
        yield places.found(lookups, inventory.geoip)
    for name, kinds in inventory.observables.items():
        yield listed.hits(name, kinds)
    for name in inventory.entities:
        yield entities.known(name, inventory.prefixes.get(name, ()))
    yield table("entries", _entries(event_class, lookups, inventory))
    if _has_osint(inventory):
        what = lists("osint", dict(columns(event_class)).get("osint", ""))
        yield table("osints", f"select subject, id, {what}\nfrom ({listed.osints()}) as found\ngroup by subject, id")
    for lookup in lookups:
        yield table(f"found_{lookup.number}", _of_subject(lookup, inventory))


def _has_osint(inventory: ReferenceInventory) -> bool:
    return listed.INDICATORS in inventory.observables


def _subject(lookup: Lookup) -> str:
    """Each combination of a subject once an hour: id, event_hour, keys."""
    return f"""select row_number() over () as id, * from (
  select distinct event_hour, {", ".join(lookup.keys)}
  from context_rows
  where {" or ".join(f"{column} is not null" for column in lookup.keys)}
)"""


def _asked(lookups: Iterable[Lookup]) -> str:
    """Rows (subject, id, event_hour, path, kind, value): one for each observable of a combination."""
    rows = [
        f"""
union all select * from (
  select {lookup.number} as subject, id, event_hour, '{each.path}' as path, '{each.kind}' as kind,
    {f"unnest(list_distinct({each.column}))" if each.is_list else each.column} as value
  from context_subject_{lookup.number}
) where value is not null"""
        for lookup in lookups
        for each in lookup.asked
    ]
    return f"""select null::integer as subject, null::bigint as id, null::timestamp as event_hour,
  null::varchar as path, null::varchar as kind, null::varchar as value where false{"".join(rows)}"""


def _keys(inventory: ReferenceInventory) -> str:
    """Tables of what is asked, each once.

    `address` (value, key_high, key_low, geoip_key: of an IPv6 address that carries an IPv4 address, that one's),
    `observable` (kind, value, text, key_high, key_low).
    """
    asked = ("asked", *(f"{name}_called" for name in inventory.entities))
    addresses = " union ".join(f"select distinct value from context_{each} where kind = 'ip'" for each in asked)
    others = "select distinct kind, value from context_asked where kind <> 'ip'"
    return "".join((
        table("address_text", address_hexes(f"({addresses})")),
        table("address", f"""select value, ('0x' || left(hex, 16))::ubigint as key_high,
  ('0x' || right(hex, 16))::ubigint as key_low, {carried_number("hex")} as geoip_key
from context_address_text where hex is not null"""),
        table("observable_text", f"select kind, value, {text_of('kind', 'value')} as text\nfrom ({others})"),
        table("observable", f"""select kind, value, text, {key_of("kind", "text")}
from context_observable_text where text is not null"""),
    ))  # fmt: skip


def _entries(event_class: EventClass, lookups: Sequence[Lookup], inventory: ReferenceInventory) -> str:
    """For each subject and id, what was found as lists of enrichments."""
    found = [*map(places.entries, inventory.geoip), *(entities.entries(name, lookups) for name in inventory.entities)]
    found += map(listed.entries, inventory.observables)
    if inventory.lookups:
        found.append(answers.entries(inventory, _captions(event_class.shape, "enrichments", "reputation", "score_id")))
    return f"""with entry as (
  select null::integer as subject, null::bigint as id, null::timestamp as event_hour, null::timestamp as valid_from,
    null::timestamp as valid_to, 0 as position, null::varchar as name, null::varchar as type, null::varchar as value,
    null::varchar as provider, null::bigint as created_time, null::varchar as data,
    null::{answers.REPUTATION} as reputation where false
  {"".join(f"union all ({each})" for each in found)}
)
select subject, id, {lists("enrichment", dict(columns(event_class)).get("enrichments", ""))}
from (
  select subject, id, event_hour, valid_from, valid_to, {_ENRICHMENT} as enrichment,
    row(position, name, provider, value, data) as place
  from entry
) as found
group by subject, id"""


def _captions(shape: Shape | None, name: str, *below: str) -> dict[int | str, str]:
    """Return the captions of an attribute, by its path."""
    found = next((each for each in shape.attributes if each.name == name), None) if shape else None
    return {} if found is None else _captions(found.shape, *below) if below else found.enum


def _of_subject(lookup: Lookup, inventory: ReferenceInventory) -> str:
    """One row for each combination of a subject that something was found for."""
    n = lookup.number
    joined = {"e": "entries"}
    found = ["e.always as enrichments", "e.sometimes as later_enrichments"]
    if _has_osint(inventory):
        joined["o"] = "osints"
        found += ["o.always as osint", "o.sometimes as later_osint"]
    if lookup.called:
        joined["k"] = f"{lookup.called[0].table}_known"
        found += ["k.always as known", "k.sometimes as later_known"]
    joins = [
        f"left join (select * from context_{name} where subject = {n}) as {alias} on {alias}.id = s.id"
        for alias, name in joined.items()
    ]
    joins += [
        f"left join context_{name} as {name} on {name}.ip = s.{lookup.place} and {name}.event_hour = s.event_hour"
        for name in lookup.places
    ]
    columns = ["s.event_hour", *(f"s.{column}" for column in lookup.keys), *found, *lookup.places]
    return f"""select {", ".join(columns)}
from context_subject_{n} as s
{chr(10).join(joins)}
where {" or ".join(f"{alias}.id is not null" for alias in joined)}"""


def _events(
    event_class: EventClass, lookups: Sequence[Lookup], observed: Sequence[Observed], inventory: ReferenceInventory
) -> str:
    """The rows of `completed` with what was found for their subjects written into them."""
    own = ", ".join(f"context_{lookup.number}" for lookup in lookups)
    found = "".join(f",\n  {_at(lookup, inventory)} as context_{lookup.number}" for lookup in lookups)
    joins = "\n".join(map(_join, lookups))
    return f"""select * {f"exclude ({own}) " if lookups else ""}replace (
{filled(event_class, lookups, observed, _has_osint(inventory))}
) from (
select event.*{found}
from completed as event
{joins}
) as event"""


def _join(lookup: Lookup) -> str:
    found = f"found_{lookup.number}"
    keys = "".join(f"\n  and {found}.{column} is not distinct from {sql}" for column, sql in lookup.keys.items())
    return f"""left join context_{found} as {found}
  on {found}.event_hour = date_trunc('hour', event._event_at){keys}"""


def _at(lookup: Lookup, inventory: ReferenceInventory) -> str:
    """What was found for a subject of an event, as one struct: what holds at the event's time."""
    found = f"found_{lookup.number}"
    fields = {"enrichments": _valid(found, "enrichments")}
    if _has_osint(inventory):
        fields["osint"] = _valid(found, "osint")
    if lookup.called:
        fields["known"] = f"({_valid(found, 'known')})[1]"
    return struct({**fields, **{name: f"{found}.{name}" for name in lookup.places}})


def _valid(found: str, what: str) -> str:
    always, sometimes = f"{found}.{what}", f"{found}.later_{what}"
    now = "lambda each: each.valid_from <= event._event_at and each.valid_to > event._event_at"
    return f"""case when {sometimes} is null then {always} else list_concat({always},
    list_transform(list_filter({sometimes}, {now}), lambda each: each.what)) end"""
