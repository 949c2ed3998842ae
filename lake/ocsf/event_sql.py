"""From a mapping's columns to whole OCSF events, as SQL text.

What belongs here: pure functions from a class and the types that a mapping gives to the steps of a SELECT, and to the
query that holds its rows against the rules. What does not: running SQL, GeoIP (`dbt_project/macros/geoip.sql`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lake.ocsf.attributes import EventClass
from lake.ocsf.columns import columns
from lake.ocsf.conform import conform
from lake.ocsf.filled import Filled, filled_by
from lake.ocsf.rules import profiles_filled, rules

PIPELINE = ("_event_key", "_event_at", "_arrived_at", "_batch", "_source_object", "_source_row")
_COMPLETED = ("time", "time_dt", "activity_id", "activity_name", "severity_id", "metadata")


@dataclass(frozen=True)
class EventSql:
    """`steps` are CTEs from `mapped` to `whole_event`; `endpoints` are the columns with an address, and their types."""

    steps: str
    endpoints: tuple[tuple[str, str], ...]


def event_sql(event_class: EventClass, given: Mapping[str, str]) -> EventSql:
    """Return the SQL that makes whole events of the rows of `mapped`, which has the columns `given` (name → type).

    Raises:
        ConformError: a given column or attribute is not declared, or its type cannot become the declared one.
    """
    declared = columns(event_class)
    conformed = [*conform(declared, given, "mapped"), *(f"mapped.{name}" for name in PIPELINE)]
    filled = _filled(given)
    steps = f"""conformed as (
  select
  {_lines(conformed)}
  from mapped
),
completed as (
  select * replace (
  {_lines(_completions(event_class, given))}
  )
  from conformed
),
whole_event as (
  select * replace (
    {_metadata(event_class, filled)} as metadata
  )
  from completed
)"""
    return EventSql(steps, tuple((name, type_) for name, type_ in declared if f"{name}.ip" in filled.paths))


def broken_sql(event_class: EventClass, given: Mapping[str, str], relation: str) -> tuple[str, str]:
    """Return two queries over the finished rows: how many break a rule; and (hour, rule, rows, one metadata.uid).

    `relation` has the class's columns and `date`, `hour` (text).
    """
    applied = rules(event_class, _filled(given))
    broken = f"(select * from {relation} where {_lines([rule.sql for rule in applied], ' or ')})"
    each = "\nunion all ".join(
        f"select date || 'T' || hour, {_text(rule.name)}, count(*), any_value(metadata.uid) from broken"
        f" where {rule.sql} group by 1"
        for rule in applied
    )
    return f"select count(*) from {broken}", f"with broken as materialized {broken}\n{each}"


def _filled(given: Mapping[str, str]) -> Filled:
    """What finished rows may have: what the mapping gives, what is completed, and the places of addresses."""
    own = filled_by(given)
    captions = [name.removesuffix("_id") for name in given if name.endswith("_id")]
    places = [f"{name}.{part}" for name in given if f"{name}.ip" in own for part in ("location", "autonomous_system")]
    fixed = ("category_uid", "category_name", "class_uid", "class_name", "type_uid", "type_name", "severity")
    return filled_by(given, (*_COMPLETED, *fixed, *captions, *places))


def _completions(event_class: EventClass, given: Mapping[str, str]) -> list[str]:
    """Columns that follow from others: constants of the class, type_uid, the event time, and captions of ids."""
    enums = {each.name: each for each in event_class.shape.attributes if each.enum}
    names = {each.name for each in event_class.shape.attributes}
    activity = "coalesce(activity_id, 0)"
    activity_name = _caption(enums["activity_id"].enum, activity)
    caption = _text(event_class.caption)
    made = {
        "time": "epoch_ms(_event_at)",
        "time_dt": "_event_at",
        "activity_id": activity,
        "activity_name": f"coalesce(activity_name, {activity_name})",
        "category_uid": str(event_class.category_uid),
        "category_name": _text(event_class.category_name),
        "class_uid": str(event_class.uid),
        "class_name": caption,
        "type_uid": f"({event_class.uid}::bigint * 100 + {activity})",
        "type_name": f"{_text(event_class.caption + ': ')} || coalesce({activity_name}, 'Other')",
        "severity_id": "coalesce(severity_id, 1)",
    }
    for name, attribute in enums.items():
        sibling = name.removesuffix("_id")
        if name in ("activity_id", sibling) or sibling not in names or name not in (*given, "severity_id"):
            continue
        made[sibling] = f"coalesce({sibling}, {_caption(attribute.enum, made.get(name, name))})"
    return [f"{expression} as {name}" for name, expression in made.items()]


def _caption(enum: Mapping[int | str, str], expression: str) -> str:
    return f"case {expression} " + " ".join(f"when {id_} then {_text(text)}" for id_, text in enum.items()) + " end"


def _metadata(event_class: EventClass, filled: Filled) -> str:
    """`metadata` with what is the same for every event; written out, since struct_update is DuckDB's alone."""
    same = {
        "version": _text(event_class.version),
        "uid": "_event_key",
        "logged_time": "epoch_ms(_arrived_at)",
        "profiles": _profiles(event_class, filled),
    }
    shape = next(each.shape for each in event_class.shape.attributes if each.name == "metadata")
    names = [each.name for each in shape.attributes] if shape else []
    return (
        "struct_pack(" + ", ".join(f'"{name}" := {same.get(name, f"metadata.{_name(name)}")}' for name in names) + ")"
    )


def _profiles(event_class: EventClass, filled: Filled) -> str:
    """The profiles whose attributes a row fills; `datetime` always, for time_dt."""
    found = ["['datetime']"]
    for profile, condition in profiles_filled(event_class, filled).items():
        if profile != "datetime":
            found.append(f"case when {condition} then [{_text(profile)}] else [] end")
    return f"list_sort({' || '.join(found)})"


def _lines(parts: Sequence[str], between: str = ", ") -> str:
    return f"{between.rstrip()}\n  ".join(parts) if between == ", " else f"\n {between}".join(parts)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return f'"{value}"'
