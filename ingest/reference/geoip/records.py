"""The record shapes of MaxMind-format databases: which field of whose record fills which column.

Declarations and the reading of one record belong here; networks, files and versions do not. A new vendor shape is one
more entry in `SHAPES`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lake.base.errors import HeadwaterError

Path = tuple[str | int, ...]
Value = str | int | float | bool | None
Payload = tuple[Value, ...]

CITY_COLUMNS = {
    "country_code": "string",
    "country_name": "string",
    "continent": "string",
    "region": "string",
    "city": "string",
    "postal_code": "string",
    "latitude": "double",
    "longitude": "double",
}
ASN_COLUMNS = {"as_number": "int64", "as_org": "string"}
ANONYMOUS_COLUMNS = {
    "is_anonymous": "bool",
    "is_anonymous_vpn": "bool",
    "is_hosting_provider": "bool",
    "is_public_proxy": "bool",
    "is_residential_proxy": "bool",
    "is_tor_exit_node": "bool",
    "anonymizer_confidence": "int64",  # percent
    "network_last_seen": "string",  # the day, YYYY-MM-DD
    "provider_name": "string",
}
ISP_COLUMNS = {
    "isp": "string",
    "organization": "string",
    "mobile_country_code": "string",
    "mobile_network_code": "string",
    "connection_type": "string",  # Cable/DSL, Cellular, Corporate, Satellite, …
    "domain": "string",
    "user_type": "string",  # business, residential, hosting, …
}
TABLES: dict[str, dict[str, str]] = {
    "geoip_city": CITY_COLUMNS,
    "geoip_asn": ASN_COLUMNS,
    "geoip_anonymous": ANONYMOUS_COLUMNS,
    "geoip_isp": ISP_COLUMNS,
    # Databases of their own, so that they can be had beside an ISP database: two kinds never feed one table.
    "geoip_connection": {"connection_type": "string"},
    "geoip_domain": {"domain": "string"},
}

CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


class GeoIpError(HeadwaterError, ValueError):
    """A GeoIP database cannot be used; the message names the file, what is wrong and what to do."""


@dataclass(frozen=True)
class RecordShape:
    """Where one vendor's records keep the columns of one table.

    `marks`: field paths of which one must occur; `absent`: field paths that rule the shape out. `fields`: column →
    paths in order of preference, the first that holds a value wins.
    """

    name: str
    table: str
    marks: tuple[Path, ...]
    fields: Mapping[str, tuple[Path, ...]]
    absent: tuple[Path, ...] = ()


# Field names: dev.maxmind.com/geoip/docs/databases (City, Country, Enterprise, ASN, ISP, Anonymous IP, Anonymous Plus,
# Residential Proxy, Connection Type, Domain; DB-IP Lite follows them), github.com/sapics/ip-location-db (flat),
# ipinfo.io/developers/database-download (flat; numbers as text, "AS15169").
SHAPES = (
    RecordShape(
        name="MaxMind City or Country",
        table="geoip_city",
        marks=(("country", "iso_code"), ("continent", "code"), ("registered_country", "iso_code")),
        fields={
            "country_code": (("country", "iso_code"),),
            "country_name": (("country", "names", "en"),),
            "continent": (("continent", "names", "en"), ("continent", "code")),
            "region": (("subdivisions", 0, "iso_code"), ("subdivisions", 0, "names", "en")),
            "city": (("city", "names", "en"),),
            "postal_code": (("postal", "code"),),
            "latitude": (("location", "latitude"),),
            "longitude": (("location", "longitude"),),
        },
    ),
    RecordShape(
        name="ip-location-db flat, ipinfo Lite",
        table="geoip_city",
        marks=(("country_code",),),
        fields={
            "country_code": (("country_code",),),
            "country_name": (("country_name",), ("country",)),
            "continent": (("continent_name",), ("continent",), ("continent_code",)),
            "region": (("state1",), ("region",)),
            "city": (("city",),),
            "postal_code": (("postcode",), ("postal_code",)),
            "latitude": (("latitude",), ("lat",)),
            "longitude": (("longitude",), ("lng",)),
        },
    ),
    RecordShape(
        name="ipinfo flat",
        table="geoip_city",
        marks=(("country",),),
        absent=(("country_code",),),
        fields={
            "country_code": (("country",),),
            "country_name": (("country_name",),),
            "continent": (("continent_name",), ("continent",)),
            "region": (("region_code",), ("region",)),
            "city": (("city",),),
            "postal_code": (("postal_code",),),
            "latitude": (("lat",), ("latitude",)),
            "longitude": (("lng",), ("longitude",)),
        },
    ),
    RecordShape(
        name="MaxMind ASN, ISP or Enterprise",
        table="geoip_asn",
        marks=(("autonomous_system_number",), ("traits", "autonomous_system_number")),
        fields={
            "as_number": (("autonomous_system_number",), ("traits", "autonomous_system_number")),
            "as_org": (("autonomous_system_organization",), ("traits", "autonomous_system_organization")),
        },
    ),
    RecordShape(
        name="MaxMind Anonymous IP, Anonymous Plus or Residential Proxy",
        table="geoip_anonymous",
        marks=tuple((name,) for name in ANONYMOUS_COLUMNS if name != "provider_name"),
        fields={name: ((name,),) for name in ANONYMOUS_COLUMNS},
    ),
    RecordShape(
        name="ipinfo Privacy",
        table="geoip_anonymous",
        marks=(("vpn",), ("proxy",), ("tor",), ("hosting",)),
        fields={
            "is_anonymous": (),
            "is_anonymous_vpn": (("vpn",),),
            "is_hosting_provider": (("hosting",),),
            "is_public_proxy": (("proxy",),),
            "is_residential_proxy": (),
            "is_tor_exit_node": (("tor",),),
            "anonymizer_confidence": (),
            "network_last_seen": (),
            "provider_name": (("service",),),
        },
    ),
    RecordShape(
        name="MaxMind ISP",
        table="geoip_isp",
        marks=(("isp",), ("organization",)),
        fields={name: ((name,),) for name in ISP_COLUMNS},
    ),
    RecordShape(
        name="MaxMind Enterprise",
        table="geoip_isp",
        marks=(("traits", "isp"), ("traits", "organization"), ("traits", "connection_type"), ("traits", "user_type")),
        fields={name: (("traits", name),) for name in ISP_COLUMNS},
    ),
    RecordShape(
        name="MaxMind Connection Type",
        table="geoip_connection",
        marks=(("connection_type",),),
        absent=(("isp",), ("organization",)),
        fields={"connection_type": (("connection_type",),)},
    ),
    RecordShape(
        name="MaxMind Domain",
        table="geoip_domain",
        marks=(("domain",),),
        absent=(("isp",), ("organization",), ("asn",)),
        fields={"domain": (("domain",),)},
    ),
    RecordShape(
        name="ipinfo ASN",
        table="geoip_asn",
        marks=(("asn",),),
        fields={"as_number": (("asn",),), "as_org": (("as_name",), ("name",))},
    ),
)


def shapes_of(records: Iterable[Any]) -> tuple[RecordShape, ...]:
    """The shape per table of these sample records; raises GeoIpError naming the keys found when there is none."""
    found = {path for record in records for path in _leaves(record)}
    chosen: dict[str, RecordShape] = {}
    for shape in SHAPES:
        if not found.isdisjoint(shape.marks) and found.isdisjoint(shape.absent):
            chosen.setdefault(shape.table, shape)
    if not chosen:
        keys = sorted({".".join(map(str, path)) for path in found})
        known = ", ".join(shape.name for shape in SHAPES)
        raise GeoIpError(f"unknown record shape; keys found: {', '.join(keys[:20]) or 'none'}; known shapes: {known}")
    return tuple(chosen.values())


def payload_reader(shape: RecordShape) -> Callable[[Any], Payload | None]:
    """A function from one record to its table's payload columns; None when the record fills none of them.

    The function raises GeoIpError for a value that is not of the column's type.
    """
    columns = tuple((name, shape.fields[name], _CONVERTERS.get(name, _text)) for name in TABLES[shape.table])
    region, country = _positions(shape.table)
    place = [number for number, (name, _, _) in enumerate(columns) if name in ("latitude", "longitude")]

    def read(record: Any) -> Payload | None:
        values = [_first(record, paths, convert, name) for name, paths, convert in columns]
        if region is not None and country is not None:
            values[region] = _iso_region(values[country], values[region])
        if place and all(values[number] == 0 for number in place):  # 0/0 lies in the sea: no place is known
            for number in place:
                values[number] = None
        return tuple(values) if any(value is not None for value in values) else None

    return read


def _positions(table: str) -> tuple[int | None, int | None]:
    names = list(TABLES[table])
    return (names.index("region"), names.index("country_code")) if table == "geoip_city" else (None, None)


def _iso_region(country: Value, region: Value) -> Value:
    """OCSF wants the ISO 3166-2 code (CH-VD); MaxMind gives VD. A region's name stays a name."""
    if isinstance(country, str) and isinstance(region, str) and len(region) <= 3 and region.isalnum():
        return f"{country}-{region}" if region == region.upper() else region
    return region


def _first(record: Any, paths: tuple[Path, ...], convert: Callable[[Any], Value], column: str) -> Value:
    for path in paths:
        found = _at(record, path)
        if found is None or found == "":
            continue
        try:
            return convert(found)
        except (TypeError, ValueError):
            raise GeoIpError(f"{'.'.join(map(str, path))}: expected a value for {column}, found {found!r}") from None
    return None


def _at(record: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, str):
            record = record.get(step) if isinstance(record, dict) else None
        else:
            record = record[step] if isinstance(record, list) and len(record) > step else None
    return record


def _leaves(value: Any, path: Path = ()) -> Iterable[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _leaves(inner, (*path, position))
    elif path:
        yield path


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError
    return str(value)


def _as_number(value: Any) -> int | None:
    """The number of an autonomous system, None for 0, which is nobody's (RFC 7607)."""
    return (int(value.upper().removeprefix("AS")) if isinstance(value, str) else int(value)) or None


def _flag(value: Any) -> bool:
    """MaxMind has booleans, ipinfo the texts "true" and ""."""
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise ValueError
    return str(value).lower() in ("true", "1")


_CONVERTERS: dict[str, Callable[[Any], Value]] = {
    "country_code": lambda value: _text(value).upper(),
    "continent": lambda value: CONTINENTS.get(_text(value), _text(value)),
    "latitude": float,
    "longitude": float,
    "as_number": _as_number,
    "anonymizer_confidence": int,
    **{name: _flag for name, of in ANONYMOUS_COLUMNS.items() if of == "bool"},
}
