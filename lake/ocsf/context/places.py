"""Context of addresses: the network that an address lies in, in the GeoIP database of its time.

The tables (views `reference.geoip_*`; of their `_blocks` a run keeps `_index` and `_versions` in memory) are ranges
over one number space: an address is its 128-bit number, IPv4 as ::ffff:a.b.c.d. They have no rows when no database is
loaded. Spark has neither ASOF JOIN nor UHUGEINT: there, the key becomes 32 hex digits, and the block is found with a
window over the union of keys and block starts (a block has at most 64 ranges).
"""

from collections.abc import Iterable

from lake.base.sql import literals
from lake.ocsf.context.fragments import json_object, same, table, times
from lake.ocsf.context.plan import Lookup
from lake.ocsf.keys import number

# Table → place among enrichments, their type, and what it says of an address that OCSF has no place for.
_TABLES = {
    "geoip_city": (10, "location", ""),
    "geoip_asn": (11, "autonomous_system", ""),
    "geoip_isp": (
        12, "isp", "isp organization mobile_country_code mobile_network_code connection_type domain user_type"
    ),
    "geoip_anonymous": (
        13, "anonymous_ip",
        "is_anonymous is_anonymous_vpn is_hosting_provider is_public_proxy is_residential_proxy is_tor_exit_node"
        " anonymizer_confidence network_last_seen provider_name",
    ),
    "geoip_connection": (14, "connection_type", "connection_type"),
    "geoip_domain": (15, "domain", "domain"),
}  # fmt: skip


def found(lookups: Iterable[Lookup], tables: Iterable[str]) -> str:
    """Return the statements that make `place_asked` (subject, id, event_hour, path, ip) and `<table>` of each database.

    Models of one run ask for much the same addresses: what was found is kept in `reference.<table>_found` for the run,
    also that nothing was found. Two threads may keep the same; so each address is taken from there once.
    """
    paths = [f"{lookup.path}.ip" for lookup in lookups if lookup.place]
    wanted = literals(paths or [""])
    asked = f"select subject, id, event_hour, path, value as ip from context_asked where path in {wanted}"
    places = """select distinct asked.ip, asked.event_hour, address.geoip_key as key
from context_place_asked as asked join context_address as address on address.value = asked.ip"""
    return table("place_asked", asked) + table("places", places) + "".join(map(_found, tables))


def _found(name: str) -> str:
    kept = f"reference.{name}_found"
    new = table("places_new", f"select * from context_places anti join {kept} using (ip, event_hour)")
    here = f"""select distinct on (ip, event_hour) * from {kept}
where version is not null and (ip, event_hour) in (select (ip, event_hour) from context_places)"""
    return f"""{new}insert into {kept} by name
select places.ip, places.event_hour, hit.* exclude (ip, event_hour)
from context_places_new as places left join ({hits("context_places_new", name)}) as hit using (ip, event_hour);
{table(name, here)}"""


def hits(addresses: str, name: str) -> str:
    """Return a SELECT of rows of a table for rows (ip, event_hour, key): at most one each, valid at the hour.

    The block is found first, so that only blocks that somebody asked for are read.
    """
    start, end = (number(f"payload.{side}_high", f"payload.{side}_low") for side in ("start", "end"))
    return f"""with dated as materialized (
  select address.ip, address.event_hour, address.key, version.ip_version, version.version
  from {addresses} as address
  join reference.{name}_versions as version
    on version.ip_version = case when address.key >> 32 = 65535 then 4 else 6 end
    and version.valid_from <= address.event_hour
    and version.valid_to > address.event_hour
),
placed as materialized (
  select wanted.key, wanted.version, block.block
  from (select distinct key, ip_version, version from dated) as wanted
  asof join reference.{name}_index as block
    on block.version = wanted.version and block.ip_version = wanted.ip_version and block.start_key <= wanted.key
),
hit as materialized (
  select placed.key, payload.* exclude (block, ip_version, end_high, end_low)
  from placed
  join reference.{name} as payload on payload.block = placed.block
  where placed.key between {start} and {end}
  qualify row_number() over (
    partition by placed.key, placed.version order by payload.start_high desc, payload.start_low desc) = 1
)
select dated.ip, dated.event_hour, hit.* exclude (key, start_high, start_low, valid_from, valid_to)
from dated join hit on hit.key = dated.key and hit.version = dated.version"""


def entries(name: str) -> str:
    """Return a SELECT of rows of `entry`: which database said it, and facts that OCSF has no place for."""
    position, type_, facts = _TABLES[name]
    said = ["database_type", "version", "built_at", "learned_at", *facts.split()]
    data = json_object({"version": "version", **times("built_at"), **same(facts.split())})
    return f"""select asked.subject, asked.id, asked.event_hour, asked.event_hour, asked.event_hour + interval 1 hour,
  {position}, asked.path, '{type_}', asked.ip, said.database_type, epoch_ms(said.learned_at), said.data, null
from context_place_asked as asked
join context_{name} as hit on hit.ip = asked.ip and hit.event_hour = asked.event_hour
join (select *, {data} as data from (select distinct {", ".join(said)} from context_{name})) as said
  on {" and ".join(f"said.{each} is not distinct from hit.{each}" for each in said)}"""
