"""Context of machines (`reference.assets`) and accounts (`reference.identities`): who one is at the event's time.

A subject may be called by several names, some surer than others (`step`, see `plan.py`). The surest name that fits
exactly one entity of a feed wins; of an address the smallest network; of several feeds the first in the order of the
settings. A name that fits several entities of a feed gives nothing there: never a guess.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lake.base.sql import listed
from lake.ocsf.context.fragments import case, json_object, lists, same, struct, table, times
from lake.ocsf.context.plan import Lookup
from lake.ocsf.keys import key_of, networks_of, text_of

_HELD = {**same(("feed", "version")), **times("valid_from", "learned_at")}
_ASSET = "uid name role type os owner administrators department environment criticality location tags status"
_IDENTITY = "uid username full_name title department manager employment_type is_privileged groups office tags status"
# Types of machines as OCSF names them (endpoint.type_id); others stand as the CMDB writes them.
_MACHINES = {
    "server": (1, "Server"), "desktop": (2, "Desktop"), "workstation": (2, "Desktop"), "laptop": (3, "Laptop"),
    "notebook": (3, "Laptop"), "tablet": (4, "Tablet"), "mobile": (5, "Mobile"), "phone": (5, "Mobile"),
    "virtual": (6, "Virtual"), "virtual machine": (6, "Virtual"), "iot": (7, "IOT"), "firewall": (9, "Firewall"),
    "switch": (10, "Switch"), "hub": (11, "Hub"), "router": (12, "Router"), "ids": (13, "IDS"), "ips": (14, "IPS"),
    "load balancer": (15, "Load Balancer"),
}  # fmt: skip
# As OCSF's type email_t.
_IS_EMAIL = "regexp_full_match(emails[1], '[a-zA-Z0-9!#$%&''*+-/=?^_`{|}~.]+@[a-zA-Z0-9-]+[.][a-zA-Z0-9-.]+')"
_IS_SERVICE = "coalesce(contains(lower(employment_type), 'service'), false)"


@dataclass(frozen=True)
class Entity:
    """A table of entities: that of its names, its place among enrichments, and SQL over its rows.

    `data` is the enrichment's, `known` a struct of what may fill places of the event.
    """

    names: str
    position: int
    type: str
    domain: str
    data: str
    known: str


TABLES = {
    "assets": Entity(
        "asset_names", 20, "asset", "null::varchar", json_object({**same(_ASSET.split()), **_HELD}),
        struct({
            "hostname": "coalesce(list_filter(hostnames, lambda each: contains(each, '.'))[1], hostnames[1])",
            **same(("name", "owner")),
            "type_id": case("lower(type)", {text: str(id_) for text, (id_, _) in _MACHINES.items()},
                            "case when type is not null then 99 end"),
            "type": case("lower(type)", {text: f"'{caption}'" for text, (_, caption) in _MACHINES.items()}, "type"),
        }),
    ),
    "identities": Entity(
        "identity_names", 21, "identity", "lower(split_part(domain, '.', 1))",
        json_object({**same(_IDENTITY.split()), **_HELD}),
        struct({
            "full_name": "full_name", "email_addr": f"case when {_IS_EMAIL} then emails[1] end", "groups": "groups",
            "employee_uid": "uid", "department": "department", "job_title": "title",
            "office_location": "office", "manager": "manager",
            "type_id": f"case when {_IS_SERVICE} then 4 when is_privileged then 2 else 1 end",
            "type": f"case when {_IS_SERVICE} then 'Service' when is_privileged then 'Admin' else 'User' end",
        }),
    ),
}  # fmt: skip


_STEPS = {
    # Names of the table that are asked for.
    "name": """select distinct key.kind, key.value, key.prefix, name.name_kind, name.rank, name.feed_rank, name.feed,
  name.entry, name.valid_from, name.valid_to
from context_{table}_key as key
join reference.{names} as name
  on name.key_low = key.key_low and name.key_high = key.key_high and name.prefix = key.prefix
  and name.kind = key.kind""",
    # Entities that have these names.
    "row": """select feed, entry, valid_from, valid_to, provider, learned_at, version, {domain} as domain,
  {data} as data, {known} as known
from reference.{table}
where (feed, entry) in (select (feed, entry) from context_{table}_name)""",
    # Entities by how they are called, each with the time for which its name and it hold.
    "hit": """select called.subject, called.id, called.event_hour, called.value,
  case when name.prefix < 128 then called.network_step else called.step end as step, name.prefix, name.rank,
  name.feed_rank, name.feed, name.entry,
  greatest(name.valid_from, entity.valid_from) as valid_from, least(name.valid_to, entity.valid_to) as valid_to,
  {{'learned_at': entity.learned_at, 'valid_from': entity.valid_from, 'version': entity.version, 'data': entity.data,
    'value': called.value, 'provider': entity.provider, 'known': entity.known}} as entity
from context_{table}_called as called
join context_{table}_name as name
  on name.kind = called.kind and name.value = called.value and list_contains(called.names, name.name_kind)
join context_{table}_row as entity on entity.feed = name.feed and entity.entry = name.entry
where greatest(name.valid_from, entity.valid_from)
    < least(name.valid_to, entity.valid_to, called.event_hour + interval 1 hour)
  and least(name.valid_to, entity.valid_to) > called.event_hour
  and (called.domain is null or entity.domain is null or called.domain = entity.domain)""",
    # Parts of the hour, between the moments at which any of these begins or ends.
    "turn": """select subject, id, event_hour, since,
  lead(since, 1, event_hour + interval 1 hour) over (partition by subject, id order by since) as until
from (
  select subject, id, event_hour, greatest(valid_from, event_hour) as since from context_{table}_hit
  union
  select subject, id, event_hour, valid_to from context_{table}_hit where valid_to < event_hour + interval 1 hour
)""",
    # The one entity of each part.
    "segment": """select subject, id, event_hour, since as valid_from, until as valid_to, entity.value, entity.provider,
  entity.learned_at, entity.data, entity.known, 1 as place
from (
  select turn.subject, turn.id, turn.event_hour, turn.since, turn.until, hit.step, hit.prefix, hit.rank, hit.feed_rank,
    hit.feed, min(hit.entry) = max(hit.entry) as is_sure, max(hit.entity) as entity
  from context_{table}_turn as turn
  join context_{table}_hit as hit
    on hit.subject = turn.subject and hit.id = turn.id and hit.valid_from <= turn.since and hit.valid_to > turn.since
  group by all
)
where is_sure
qualify row_number() over (partition by subject, id, since order by step, prefix desc, rank, feed_rank, feed) = 1""",
    "known": "select subject, id, {lists}\nfrom context_{table}_segment group by subject, id",
}


def called(name: str, lookups: Iterable[Lookup]) -> str:
    """Return the statement that makes `<table>_called`: by what each combination of names is called."""
    rows = [
        f"""
union all select * from (
  select {lookup.number} as subject, id, event_hour, {each.step} as step, {each.network_step} as network_step,
    '{each.kind}' as kind, {listed(each.names)} as names, {each.sql} as value,
    lower(split_part({each.domain}, '.', 1)) as domain
  from context_subject_{lookup.number}
) where value is not null"""
        for lookup in lookups
        for each in lookup.called
        if each.table == name
    ]
    return table(
        f"{name}_called",
        "select null::integer as subject, null::bigint as id, null::timestamp as event_hour, 0 as step,"
        " 0 as network_step, null::varchar as kind, null::varchar[] as names, null::varchar as value,"
        f" null::varchar as domain where false{''.join(rows)}",
    )


def known(name: str, prefixes: Sequence[int]) -> str:
    """Return the statements from `<table>_called` to two tables.

    `<table>_segment` (subject, id, event_hour, valid_from, valid_to, …) says who it is from when to when, at most one
    at any time; `<table>_known` has one row for each subject and id, with lists of what is known.
    """
    networks = networks_of("context_address", prefixes) if prefixes else ""
    keys = f"""select kind, value, 128::utinyint as prefix, {key_of("'name'", "text")}
from (
  select kind, value, {text_of("'name'", "value")} as text
  from (select distinct kind, value from context_{name}_called where kind = 'name')
)
where text is not null {f"union all select 'ip', * from ({networks})" if prefixes else ""}"""
    steps = {part: sql.format(table=name, lists=lists("known"), **vars(TABLES[name])) for part, sql in _STEPS.items()}
    return "".join(table(f"{name}_{part}", sql) for part, sql in {"key": keys, **steps}.items())


def entries(name: str, lookups: Iterable[Lookup]) -> str:
    """Return a SELECT of rows of `entry`."""
    paths = " ".join(f"when {lookup.number} then '{lookup.path}'" for lookup in lookups)
    entity = TABLES[name]
    return f"""select subject, id, event_hour, valid_from, valid_to, {entity.position}, case subject {paths} end,
  '{entity.type}', value, provider, epoch_ms(learned_at), data, null
from context_{name}_segment"""
