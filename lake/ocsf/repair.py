"""Rows that break an OCSF rule, made valid: what is wrong in them leaves its attribute for `unmapped.invalid`.

SQL text, generated from the class as the rules are. It runs over the rows that the check of the rules has found, so
that a build in which every row is valid pays nothing for it.

  - a value out of range, of another format or of none of an enum's values is left out
  - an object without an attribute that OCSF requires, or with none of those of which it wants at least one, is left out
  - where OCSF requires the object itself, or one of several, it stays with the name `Unknown`
"""

from collections.abc import Iterator

from lake.base.sql import literal, quoted
from lake.ocsf.attributes import Attribute, EventClass, Shape
from lake.ocsf.columns import duckdb_type
from lake.ocsf.rules import NO_NUMBER, no_number_sql, profiles_sql, value_conditions

UNKNOWN = "Unknown"
KEY = "invalid"  # in `unmapped`: the columns as the mapping gave them
_KEPT = ("metadata", "unmapped")  # what a whole row cannot lose


def repaired_sql(event_class: EventClass, rows: str) -> str:
    """Return a SELECT over rows of a class, with further columns, that makes each of them valid."""
    attributes = event_class.shape.attributes
    made = [
        f"{_attribute(each, quoted(each.name), 0, each.required and not each.profiles)} as {quoted(each.name)}"
        for each in attributes
    ]
    needed = _one_needed(event_class.shape)
    names = [each.name for each in attributes if each.name not in _KEPT]
    changed = {name: f"made.{quoted(name)} is distinct from old.{quoted(name)}" for name in names}
    lost = ", ".join(f"{literal(name)}: case when {now} then old.{quoted(name)} end" for name, now in changed.items())
    left = f"json_merge_patch('{{}}', to_json({{{lost}}}))"
    bad_text = "case when made.unmapped is null and old.unmapped is not null then old.unmapped::varchar end"
    gone = f"json_merge_patch({left}, json_merge_patch('{{}}', json_object('unmapped', {bad_text})))"
    gone = f"nullif({gone}::varchar, '{{}}')::json"  # a merge takes what is null for nothing
    unmapped = f"json_merge_patch(coalesce(made.unmapped::varchar, '{{}}'), json_object({literal(KEY)}, {gone}))"
    whole = _open_object("unmapped::varchar")  # a number that left its attribute may be none
    profiles = f"struct_update(metadata, profiles := {profiles_sql(event_class)}) as metadata"
    return f"""with old as (select row_number() over () as _number, * from {rows}),
made as (select * replace ({", ".join([*made])}) from old),
whole as (select * {f"replace ({needed})" if needed else ""} from made),
named as (select * replace ({profiles}) from whole),
kept as (
  select made.* exclude (_number) replace ({unmapped} as unmapped) from named as made join old using (_number)
)
select * replace ({whole} as unmapped) from kept"""


def _one_needed(shape: Shape) -> str:
    """Return the columns that change where a row has none of those of which it needs one, or several."""
    if shape.just_one:
        columns = [each for each in shape.attributes if each.name in shape.just_one]
        none = " and ".join(f"{quoted(each.name)} is null" for each in columns)
        value = f"case when {none} then {_default(columns[0])}"
        kept = [f"{value} else {quoted(columns[0].name)} end as {quoted(columns[0].name)}"]
        for number, each in enumerate(columns[1:], 1):
            before = " and ".join(f"{quoted(earlier.name)} is null" for earlier in columns[:number])
            kept.append(f"case when {before} then {quoted(each.name)} end as {quoted(each.name)}")
        return ", ".join(kept)
    if not shape.at_least_one:
        return ""
    none = " and ".join(f"{quoted(name)} is null" for name in shape.at_least_one)
    first = next(each for each in shape.attributes if each.name in shape.at_least_one)
    value = _default(first)
    return f"case when {none} then {value} else {quoted(first.name)} end as {quoted(first.name)}" if value else ""


def _attribute(attribute: Attribute, value: str, depth: int, needed: bool) -> str:
    if not attribute.is_list:
        return _one(attribute, value, depth, needed)
    element = f"e{depth}"
    kept = f"list_transform({value}, lambda {element}: {_one(attribute, element, depth + 1, False)})"
    kept = f"nullif(list_filter({kept}, lambda {element}: {element} is not null), [])"
    kept = f"case when {value} is not null then {kept} end"
    default = _default(attribute) if needed else ""
    return f"coalesce({kept}, [{default}])" if default else kept


def _one(attribute: Attribute, value: str, depth: int, needed: bool) -> str:
    """Return SQL for one value, NULL where it cannot stay; a needed one is there in any case, if it can be made."""
    bad = " or ".join(f"({condition})" for _, condition in value_conditions(attribute, value))
    kept = f"case when {bad} then null else {value} end" if bad else value
    if attribute.type == "object_t" and attribute.shape is None:
        kept = _open_object(f"{value}::varchar")
    if attribute.shape is not None:
        kept = _object(attribute, attribute.shape, value, depth)
    default = _default(attribute) if needed else ""
    return f"coalesce({kept}, {default})" if default else kept


def _open_object(text: str) -> str:
    """Return SQL for JSON that stays if it is an object, with texts where it has a number that is none."""
    named, spaced = text, text
    for _ in range(2):  # of two beside each other the comma belongs to the first
        named = f"regexp_replace({named}, '{NO_NUMBER}', '\\1\"\\2\"\\3', 'g')"
        spaced = f"regexp_replace({spaced}, '{NO_NUMBER}', '\\1 \\2\\3', 'g')"  # within a text
    mended = f"case when json_valid({named}) then {named} else json_object('text', {spaced})::varchar end"
    return (
        f"(case when left(ltrim({text}), 1) <> '{{' then null"
        f" when {no_number_sql(text)} then {mended} else {text} end)::json"
    )


def _object(attribute: Attribute, shape: Shape, value: str, depth: int) -> str:
    held = f"o{depth}"
    parts = [
        f"{quoted(each.name)} := {_attribute(each, f'{value}.{quoted(each.name)}', depth + 1, _is_unknown_id(each))}"
        for each in shape.attributes
    ]
    required = [each.name for each in shape.attributes if each.required and not each.profiles]
    missing = [f"{held}.{quoted(name)} is null" for name in required]
    missing.append("(" + " and ".join(f"{held}.{quoted(each.name)} is null" for each in shape.attributes) + ")")
    if shape.at_least_one:
        missing.append("(" + " and ".join(f"{held}.{quoted(name)} is null" for name in shape.at_least_one) + ")")
    if shape.just_one:
        count = " + ".join(f"({held}.{quoted(name)} is not null)::integer" for name in shape.just_one)
        missing.append(f"{count} <> 1")
    # a list of one, so that what is made is written once
    made = f"list_filter([struct_pack({', '.join(parts)})], lambda {held}: not ({' or '.join(missing)}))[1]"
    return f"case when {value} is not null then {made} end"


def _is_unknown_id(attribute: Attribute) -> bool:
    """Whether an attribute is an id that OCSF requires and that may be 0, which is Unknown."""
    return attribute.required and not attribute.is_list and 0 in attribute.enum


def _default(attribute: Attribute) -> str:
    """Return SQL for the value of something that nothing is known of; "" where there is none."""
    if attribute.shape is not None:
        parts = dict(_defaults(attribute.shape))
        fields = ", ".join(
            f"{quoted(each.name)} := {parts.get(each.name) or f'null::{duckdb_type(each)}'}"
            for each in attribute.shape.attributes
        )
        return f"struct_pack({fields})" if parts else ""
    if attribute.enum:
        return "0" if 0 in attribute.enum else "99" if 99 in attribute.enum else ""
    plain = attribute.base_type == "string_t" and not attribute.pattern
    return literal(UNKNOWN) if plain else ""


def _defaults(shape: Shape) -> Iterator[tuple[str, str]]:
    for each in shape.attributes:
        if each.required and not each.profiles:
            yield each.name, _default(each)
    wanted = shape.at_least_one or shape.just_one
    texts = [each for each in shape.attributes if each.name in wanted and not each.is_list and each.shape is None]
    chosen = sorted(texts, key=lambda each: each.name != "name")
    named = next(((each.name, found) for each in chosen if (found := _default(each))), None)
    if named:
        yield named
