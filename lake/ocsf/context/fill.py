"""What was found, written into places of OCSF's own. Only what the log itself left empty is filled."""

from collections.abc import Iterable, Iterator, Sequence

from lake.base.sql import literal, literals, quoted
from lake.ocsf.attributes import Attribute, EventClass
from lake.ocsf.columns import duckdb_type
from lake.ocsf.context.fragments import struct
from lake.ocsf.context.plan import Lookup
from lake.ocsf.observables import Observed

# What context may fill of a machine and of an account.
PLACES = {
    "machine": ("location", "autonomous_system", "isp", "hostname", "name", "type", "type_id", "owner"),
    "account": ("full_name", "email_addr", "groups", "type", "type_id", "ldap_person"),
}
_NOTHING = ("Unknown", "-", "0.0.0.0", "::")  # what stands where nothing is known: no observable
_OF_ADDRESSES = {"location": "geoip_city", "autonomous_system": "geoip_asn", "isp": "geoip_isp"}
_LOCATION = {
    "city": "city", "country": "country_code", "region": "region", "continent": "continent",
    "postal_code": "postal_code", "lat": "latitude", "long": "longitude",
}  # fmt: skip
# The columns behind an object's attributes, and those without which OCSF would not accept it.
_OBJECTS = {
    "location": (_LOCATION, ("city", "country_code", "region", "postal_code")),
    "autonomous_system": ({"number": "as_number", "name": "as_org"}, ("as_number", "as_org")),
}


def filled(event_class: EventClass, lookups: Sequence[Lookup], observed: Iterable[Observed], has_osint: bool) -> str:
    """Return the columns of `event` that change, as `expression as column` for a REPLACE."""
    return ",\n".join(
        f"{sql} as {quoted(each.name)}"
        for each in event_class.shape.attributes
        if (sql := _column(each, lookups, observed, has_osint))
    )


def _column(attribute: Attribute, lookups: Sequence[Lookup], observed: Iterable[Observed], has_osint: bool) -> str:
    name = attribute.name
    if name == "observables":
        return _observables(observed, duckdb_type(attribute))
    if lookups and (name == "enrichments" or (name == "osint" and has_osint)):
        parts = [f"event.{name}", *(f"event.context_{lookup.number}.{name}" for lookup in lookups)]
        return f"nullif(list_concat({', '.join(parts)}), [])"
    below = [each for each in _below(name, lookups) if each.called or each.places]
    return _object(name, attribute, below) if below and _inner(attribute) else ""


def _below(path: str, lookups: Iterable[Lookup]) -> list[Lookup]:
    return [each for each in lookups if f"{each.path}.".startswith(f"{path}.")]


def _inner(attribute: Attribute) -> tuple[Attribute, ...]:
    """Return the attributes of an object outside lists."""
    return attribute.shape.attributes if attribute.shape and not attribute.is_list else ()


def _object(path: str, attribute: Attribute, lookups: Sequence[Lookup]) -> str:
    """An object written anew in its own type, with the places of the lookups in it filled."""
    own = next((each for each in lookups if each.path == path), None)
    fields = {}
    for each in _inner(attribute):
        value = f'event.{path}."{each.name}"'
        if below := _below(f"{path}.{each.name}", lookups):
            value = _object(f"{path}.{each.name}", each, below)
        elif own:
            value = _place(own, f"event.{path}", each)
        fields[each.name] = f"\n  {value}"
    return f"case when event.{path} is not null then {struct(fields)}::{duckdb_type(attribute)} end"


def _place(lookup: Lookup, of: str, attribute: Attribute) -> str:
    """One attribute of a machine or an account: its own value, or what was found."""
    name, type_ = attribute.name, duckdb_type(attribute)
    own, found = f'{of}."{name}"', f"event.context_{lookup.number}"
    known = f"{found}.known"
    if name not in PLACES[lookup.entity]:
        return own
    if table := _OF_ADDRESSES.get(name):
        value = f"{found}.geoip_isp.isp" if name == "isp" else _of_network(attribute, f"{found}.{table}")
        return f"coalesce({own}, {value})" if table in lookup.places else own
    if not lookup.called:
        return own
    if name in ("type", "type_id"):
        return f'case when coalesce({of}."type_id", 0) = 0 then coalesce({known}.{name}, {own}) else {own} end'
    value = f"{known}.{name}"
    if name == "owner":
        value = f"case when {known}.owner is not null then {_struct(attribute, {'name': f'{known}.owner'})} end"
    elif name == "groups":
        group = "lambda each: {'name': each, 'uid': null}"
        value = f"case when len({known}.groups) > 0 then list_transform({known}.groups, {group})::{type_} end"
    elif name == "ldap_person":
        held = {each: f"{known}.{each}" for each in ("employee_uid", "department", "job_title", "office_location")}
        manager = f"case when {known}.manager is not null then {{'name': {known}.manager}} end"
        value = f"case when {known} is not null then {_struct(attribute, {**held, 'manager': manager})} end"
    return f"coalesce({own}, {value})"


def _of_network(attribute: Attribute, hit: str) -> str:
    columns, needed = _OBJECTS[attribute.name]
    has = ", ".join(f"{hit}.{column}::varchar" for column in needed)
    value = _struct(attribute, {name: f"{hit}.{column}" for name, column in columns.items()})
    return f"case when coalesce({has}) is not null then {value} end"


def _struct(attribute: Attribute, values: dict[str, str]) -> str:
    """An object of the attribute's type; what it has no value for is NULL."""
    fields = {each.name: values.get(each.name, "null") for each in _inner(attribute)}
    return f"{struct(fields)}::{duckdb_type(attribute)}"


def _observables(observed: Iterable[Observed], type_: str) -> str:
    """`observables` with one for each attribute that is an observable and has a value, unless the mapping named it.

    What says that nothing is known (a required name, no address) is no value to look for.
    """
    return f"nullif(list_concat({', '.join(['event.observables', *_lists_of(observed)])})::{type_}, [])"


def _lists_of(observed: Iterable[Observed]) -> Iterator[str]:
    given = "coalesce(list_transform(event.observables, lambda it: replace(it.name, '[]', '')), [])"
    scalars = [_observable(each, each.sql) for each in observed if not each.is_list]
    if scalars:
        free = f"{_is_known('each.value')} and not list_contains({given}, each.name)"
        yield f"list_filter([{', '.join(scalars)}], lambda each: {free})"
    for each in observed:
        if each.is_list:
            found = f"list_filter({each.sql}, lambda each: {_is_known('each')})"
            values = f"list_sort(list_distinct({found})), lambda each: {_observable(each, 'each')}"
            name = literal(each.name.replace("[]", ""))
            yield f"case when not list_contains({given}, {name}) then list_transform({values}) end"


def _is_known(value: str) -> str:
    return f"{value} not in {literals(_NOTHING)}"  # and not NULL


def _observable(each: Observed, value: str) -> str:
    named = {"name": literal(each.name), "type": literal(each.type), "type_id": str(each.type_id)}
    return struct({**named, "value": value})
