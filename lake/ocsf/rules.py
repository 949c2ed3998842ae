"""The rules that a row must hold to, as SQL generated from the official schema.

One boolean expression per rule, TRUE where a conformed row breaks it. A row that breaks none of them validates against
the official JSON Schema of its class and profiles (`validate` checks that). A rule over an attribute that a mapping
never fills cannot be broken, so it does not run (`Filled`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lake.base.sql import literal, literals, quoted
from lake.ocsf.attributes import Attribute, EventClass, Shape
from lake.ocsf.columns import EVERYTHING, Filled

# Formats of text types, for engines whose `\z` is the end of the text (RE2, Java). They accept nothing that the
# official expression refuses.
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}([.]{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"
_ZONE = "(%[0-9A-Za-z_.-]+)?"
_FIRST_DAY, _LAST_DAY = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'"
_LARGEST_DOUBLE = "1.7976931348623157e308"


def _ipv6() -> str:
    """IPv6 text as in RFC 4291: eight groups, one `::` for one or more of them, the last two as IPv4 if wanted.

    RFC 4007 adds a zone (`fe80::1%eth0`), which Windows writes too.
    """
    forms = [f"({_GROUP}:){{7}}{_GROUP}", f"({_GROUP}:){{6}}{_IPV4}", f"({_GROUP}:){{1,7}}:"]
    forms += [f"({_GROUP}:){{1,{7 - after}}}(:{_GROUP}){{1,{after}}}" for after in range(1, 7)]
    forms += [f":(:{_GROUP}){{1,7}}", "::"]
    forms += [f"({_GROUP}:){{1,{5 - after}}}(:{_GROUP}){{0,{after}}}:{_IPV4}" for after in range(5)]
    forms += [f":(:{_GROUP}){{0,5}}:{_IPV4}"]
    return "(" + "|".join(forms) + ")" + _ZONE


# The official expression lets any character stand for the dots of an IPv4 address, and blanks around it; this does not.
IP_ADDRESS = rf"^({_IPV4}|{_ipv6()})\z"


def _expression(type_name: str, official_pattern: str) -> str:
    """Return the expression that a text of an OCSF type must match."""
    if type_name == "ip_t":
        return IP_ADDRESS
    return official_pattern[:-1] + r"\z" if official_pattern.endswith("$") else official_pattern


@dataclass(frozen=True)
class Rule:
    """`name` is `kind(path)`, e.g. `required(metadata.uid)`; `sql` is TRUE when broken, FALSE or NULL otherwise.

    Where `needs`, an attribute's path without `[]`, is NULL, the rule is not broken; empty: there is no such attribute.
    """

    name: str
    sql: str
    needs: str = ""


@dataclass(frozen=True)
class _Place:
    """Where an object stands in the row: its path, its SQL expression, and the lists that lead to it."""

    path: str = ""
    expression: str = ""
    lists: tuple[tuple[str, str], ...] = ()

    @property
    def plain_path(self) -> str:
        return self.path.replace("[]", "")

    def attribute(self, name: str) -> str:
        return f"{self.expression}.{quoted(name)}" if self.expression else quoted(name)

    def child_path(self, attribute: Attribute) -> str:
        name = attribute.name + ("[]" if attribute.is_list else "")
        return f"{self.path}.{name}" if self.path else name

    def below(self, attribute: Attribute) -> "_Place":
        place = replace(self, path=self.child_path(attribute), expression=self.attribute(attribute.name))
        if not attribute.is_list:
            return place
        element = f"e{len(self.lists)}"
        return replace(place, expression=element, lists=(*self.lists, (place.expression, element)))

    def holds(self, condition: str) -> str:
        """Return SQL for: the condition holds for the object, or for any element of the lists that lead to it."""
        for elements, element in reversed(self.lists):
            broken = f"array_length(list_filter({elements}, lambda {element}: {condition})) > 0"
            # The guard spares the lambda where there is no list: 9 instead of 288 ns a row for an IP address.
            condition = f"CASE WHEN {elements} IS NOT NULL THEN {broken} END"
        return condition

    def when_present(self, condition: str) -> str:
        return f"{self.expression} IS NOT NULL AND {condition}" if self.expression else condition


def rules(event_class: EventClass, filled: Filled = EVERYTHING) -> list[Rule]:
    """Return the rules of a class: its own first, then those of its attributes in the order of the columns.

    With `filled`, only those that a row can break which has nothing but these attributes.
    """
    of_the_class = [
        Rule("type_uid", '"type_uid" <> CAST("class_uid" AS BIGINT) * 100 + "activity_id"'),
        Rule("version(metadata.version)", f'"metadata"."version" <> {literal(event_class.version)}'),
    ]
    found = [*of_the_class, *_shape_rules(event_class.shape, _Place()), *_profile_rules(event_class, filled)]
    return [replace(rule, sql=f"({rule.sql})") for rule in found if not rule.needs or rule.needs in filled]


def _shape_rules(shape: Shape, place: _Place) -> Iterator[Rule]:
    yield from _constraint_rules(shape, place)
    for attribute in shape.attributes:
        path = place.child_path(attribute)
        if attribute.required:
            missing = place.holds(place.when_present(f"{place.attribute(attribute.name)} IS NULL"))
            tied = f"{_any_of(attribute.profiles)} AND " if attribute.profiles else ""
            yield Rule(f"required({path})", tied + missing, place.plain_path)
        below = place.below(attribute)
        if attribute.is_list:
            yield Rule(f"null({path})", below.holds(f"{below.expression} IS NULL"), below.plain_path)
        for kind, condition in value_conditions(attribute, below.expression):
            yield Rule(f"{kind}({path})", below.holds(condition), below.plain_path)
        if attribute.shape:
            yield from _shape_rules(attribute.shape, below)


def _constraint_rules(shape: Shape, place: _Place) -> Iterator[Rule]:
    where = place.path or shape.name
    if shape.at_least_one:
        none = " AND ".join(f"{place.attribute(name)} IS NULL" for name in shape.at_least_one)
        yield Rule(f"at_least_one({where})", place.holds(place.when_present(none)), place.plain_path)
    if shape.just_one:
        count = " + ".join(f"CASE WHEN {place.attribute(name)} IS NULL THEN 0 ELSE 1 END" for name in shape.just_one)
        yield Rule(f"just_one({where})", place.holds(place.when_present(f"{count} <> 1")), place.plain_path)


def value_conditions(attribute: Attribute, value: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with one value, as (kind, SQL that is TRUE for a bad value)."""
    if attribute.enum:
        yield "enum", _not_in(value, list(attribute.enum))
    if attribute.limits:
        yield "range", f"{value} NOT BETWEEN {attribute.limits[0]} AND {attribute.limits[1]}"
    if attribute.max_length:
        yield "length", f"length({value}) > {attribute.max_length}"
    if attribute.type == "datetime_t":
        yield "format", f"{value} NOT BETWEEN {_FIRST_DAY} AND {_LAST_DAY}"
    elif attribute.pattern:
        pattern = literal(_expression(attribute.type, attribute.pattern))
        yield "format", f"NOT regexp_matches({value}, {pattern})"
    if attribute.base_type == "float_t":
        yield "finite", f"NOT abs({value}) <= {_LARGEST_DOUBLE}"
    if attribute.type == "object_t" and attribute.shape is None:
        yield "object", f"left(ltrim(CAST({value} AS VARCHAR)), 1) <> '{{'"
        yield "finite", no_number_sql(f"CAST({value} AS VARCHAR)")


NO_NUMBER = r"([:,\[])(-?(?i:infinity|nan))([,\]}])"


def no_number_sql(text: str) -> str:
    """Return SQL for: a JSON text holds what DuckDB writes of a number beyond all numbers, and JSON does not know."""
    seldom = " OR ".join(f"contains({text}, '{each}')" for each in ("nfinity", ":nan", "[nan", ",nan", "NaN"))
    return f"({seldom}) AND regexp_matches({text}, '{NO_NUMBER}')"


def _not_in(value: str, allowed: list[int | str]) -> str:
    """Return SQL for: the value is none of the allowed ones; numbers as ranges (11 ns a row; 41 as IN)."""
    numbers = sorted(each for each in allowed if isinstance(each, int))
    texts = [each for each in allowed if isinstance(each, str)]
    if texts:
        return f"{value} NOT IN {literals(texts)}"
    return " AND ".join(_outside(value, low, high) for low, high in _runs(numbers))


def _outside(value: str, low: int, high: int) -> str:
    return f"{value} <> {low}" if low == high else f"{value} NOT BETWEEN {low} AND {high}"


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the unbroken runs of ascending numbers as (first, last)."""
    low = previous = numbers[0]
    for number in numbers[1:]:
        if number != previous + 1:
            yield low, previous
            low = number
        previous = number
    yield low, previous


def _profile_rules(event_class: EventClass, filled: Filled) -> Iterator[Rule]:
    """Yield one rule per profile: none of its attributes is filled in a row that does not name the profile."""
    for profiles, condition in _filled_by_profiles(event_class, filled).items():
        yield Rule(f"profile({' or '.join(profiles)})", f"NOT {_any_of(profiles)} AND {condition}")
    known = literals(event_class.profiles)
    yield Rule(
        "profile(metadata.profiles[])",
        f'array_length(list_filter("metadata"."profiles", lambda e0: e0 NOT IN {known})) > 0',
    )


def profiles_filled(event_class: EventClass, filled: Filled = EVERYTHING) -> dict[str, str]:
    """Return per profile the SQL that is TRUE where a row fills an attribute which only that profile allows."""
    found = _filled_by_profiles(event_class, filled)
    return {profiles[0]: condition for profiles, condition in found.items() if len(profiles) == 1}


def profiles_sql(event_class: EventClass, filled: Filled = EVERYTHING) -> str:
    """Return SQL for the list of the profiles whose attributes a row fills; `datetime` always, for time_dt."""
    found = ["['datetime']"]
    for profile, condition in profiles_filled(event_class, filled).items():
        if profile != "datetime":
            found.append(f"case when {condition} then [{literal(profile)}] else [] end")
    return f"list_sort({' || '.join(found)})"


def _filled_by_profiles(event_class: EventClass, filled: Filled) -> dict[tuple[str, ...], str]:
    conditions: dict[tuple[str, ...], list[str]] = {}
    for profiles, condition in _tied_to_profiles(event_class.shape, _Place(), filled):
        conditions.setdefault(profiles, []).append(condition)
    return {profiles: f"({' OR '.join(found)})" for profiles, found in conditions.items()}


def _tied_to_profiles(shape: Shape, place: _Place, filled: Filled) -> Iterator[tuple[tuple[str, ...], str]]:
    for attribute in shape.attributes:
        below = place.below(attribute)
        if below.plain_path not in filled:
            continue
        if attribute.profiles:
            yield attribute.profiles, place.holds(f"{place.attribute(attribute.name)} IS NOT NULL")
        if attribute.shape:
            yield from _tied_to_profiles(attribute.shape, below, filled)


def _any_of(profiles: tuple[str, ...]) -> str:
    named = [f'list_contains("metadata"."profiles", {literal(profile)})' for profile in profiles]
    return f"coalesce({' OR '.join(named)}, FALSE)"
