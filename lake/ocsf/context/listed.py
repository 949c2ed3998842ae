"""Context of observables from lists: indicators of compromise, and warning lists (cloud ranges, public resolvers, …).

An event gets the indicators that were known at its time: learned by then, and valid then. What is learned later is
found by the search over the lake's past (gold.threat_matches). Warning lists explain an address whenever they were
learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lake.base.sql import literals
from lake.ocsf.context.fragments import case, json_object, same, struct, table, times
from lake.ocsf.keys import key_of, networks_of

INDICATORS, WARNINGS = "indicators", "warning_lists"
_HELD = {**same(("feed", "version"), "list."), **times("valid_from", "learned_at", prefix="list.")}
_INDICATOR = ("kind", "name", "category", "malware", "threat_actor", "confidence", "severity", "tlp", "uid")
_TYPES = {
    "ip": (1, "IP Address"), "domain": (2, "Domain"), "hash": (4, "Hash"), "url": (5, "URL"),
    "email": (9, "Email Address"), "cve": (10, "Vulnerability"),
}  # fmt: skip
# Severities and TLP colours that OCSF does not name are left out; confidence 0-100 goes by thirds.
_SEVERITIES = {
    "informational": (1, "Informational"), "info": (1, "Informational"), "low": (2, "Low"), "medium": (3, "Medium"),
    "high": (4, "High"), "critical": (5, "Critical"), "fatal": (6, "Fatal"),
}  # fmt: skip
_OSINT = struct({
    "value": "list.value",
    "type": case("list.kind", {kind: f"'{caption}'" for kind, (_, caption) in _TYPES.items()}, "'Other'"),
    "type_id": case("list.kind", {kind: str(id_) for kind, (id_, _) in _TYPES.items()}, "99"),
    "uid": "list.uid", "name": "list.name", "desc": "list.description", "category": "list.category",
    "vendor_name": "list.provider", "confidence": "list.confidence::varchar",
    "confidence_id": "case when list.confidence <= 33 then 1 when list.confidence <= 66 then 2"
                     " when list.confidence <= 100 then 3 end",
    "severity": case("lower(list.severity)", {text: f"'{caption}'" for text, (_, caption) in _SEVERITIES.items()}),
    "severity_id": case("lower(list.severity)", {text: str(id_) for text, (id_, _) in _SEVERITIES.items()}),
    "tlp": "case when upper(list.tlp) in ('RED', 'AMBER', 'GREEN', 'CLEAR', 'WHITE') then upper(list.tlp)"
           " when regexp_full_match(upper(list.tlp), 'AMBER.STRICT') then 'AMBER STRICT' end",
    "labels": "case when len(list.labels) > 0 then list_filter(list.labels, lambda each: each is not null) end",
    "threat_actor": "case when list.threat_actor is not null then {'name': list.threat_actor, 'type_id': 0} end",
    "src_url": "list.src_url", "created_time": "epoch_ms(list.valid_from)",
    "uploaded_time": "epoch_ms(list.learned_at)",
    "expiration_time": "case when list.valid_to < timestamp '9999-12-31' then epoch_ms(list.valid_to) end",
})  # fmt: skip


@dataclass(frozen=True)
class List:
    """A table of observables: the place of its entries among enrichments, and SQL over its rows (`list`).

    `since` is from when on an event may have an entry, `also` columns besides, `where` which keys count.
    """

    position: int
    type: str
    since: str
    data: str
    also: str = ""
    where: str = ""


LISTS = {
    INDICATORS: List(
        30, "threat_intelligence", "greatest(list.valid_from, list.learned_at)",
        json_object({
            "indicator": "list.value",
            **same(_INDICATOR, "list."), **_HELD,
        }),
        also=f", {_OSINT} as osint",
    ),
    WARNINGS: List(
        31, "warning_list", "list.valid_from",
        json_object({**same(("name", "category"), "list."), "network": "list.value", **_HELD}),
        where="where not key.is_parent or list.covers_subdomains",
    ),
}  # fmt: skip


def hits(name: str, kinds: Mapping[str, Sequence[int]]) -> str:
    """Return the statements that make `<list>_key` and `<list>_hit` (kind, value, and the list's row).

    Keys are held against keys alone first, for few of them are on a list: what a list says is read of those.
    """
    found = LISTS[name]
    return table(
        f"{name}_key",
        f"""with key as ({_keys(name, kinds)}
)
select distinct key.* from key join reference.{name} as list using (key_low, key_high, prefix, kind)""",
    ) + table(
        f"{name}_hit",
        f"""select distinct key.kind, key.value, list.value as listed, list.prefix, {found.since} as valid_from,
  list.valid_to, list.provider, list.feed, list.learned_at, list.name, list.category, {found.data} as data{found.also}
from context_{name}_key as key
join reference.{name} as list
  on list.key_low = key.key_low and list.key_high = key.key_high and list.prefix = key.prefix and list.kind = key.kind
{found.where}""",
    )


def _keys(name: str, kinds: Mapping[str, Sequence[int]]) -> str:
    """What is looked up: networks of addresses, other observables, and of domains those above them."""
    networks = f"""
  select 'ip' as kind, *, false as is_parent from ({networks_of("context_address", kinds.get("ip", ()))})
  union all"""
    parents = f"""
  union all
  select 'domain', value, 128, {key_of("'domain'", "parent")}, true
  from (
    select value, unnest(list_transform(range(2, len(string_split(text, '.')) + 1),
      lambda part: array_to_string(string_split(text, '.')[part:], '.'))) as parent
    from context_observable where kind = 'domain' and contains(text, '.')
  )"""
    return f"""{networks if "ip" in kinds else ""}
  select kind, value, 128::utinyint as prefix, key_high, key_low, false as is_parent
  from context_observable where kind in {literals(kinds)}
  {parents if name == WARNINGS and "domain" in kinds else ""}"""


def entries(name: str) -> str:
    """Return a SELECT of rows of `entry`."""
    found = LISTS[name]
    said = f"{found.position}, asked.path, '{found.type}', asked.value, hit.provider, epoch_ms(hit.learned_at)"
    return _found(name, f"{said}, hit.data, null")


def osints() -> str:
    """Return a SELECT of what goes into `osint`: each indicator once, however many attributes it was found in."""
    place = "row(asked.path, hit.provider, hit.listed, hit.data) as place"
    return f"select distinct * from ({_found(INDICATORS, f'hit.osint, {place}')})"


def _found(name: str, columns: str) -> str:
    """What was found for the observables that are asked about, as of the hour of each."""
    return f"""select asked.subject, asked.id, asked.event_hour, hit.valid_from, hit.valid_to, {columns}
from context_asked as asked join context_{name}_hit as hit on hit.kind = asked.kind and hit.value = asked.value
where hit.valid_from < hit.valid_to and hit.valid_from < asked.event_hour + interval 1 hour
  and hit.valid_to > asked.event_hour"""
