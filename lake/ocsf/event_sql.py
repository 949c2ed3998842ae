"""From a mapping's columns to whole OCSF events, as SQL text.

Pure functions from a class and the types that a mapping gives to the steps of a SELECT, and to the query that checks
its rows with the rules. What does not belong here: running SQL, context (`lake/ocsf/context/`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
from duckdb.sqltypes import DuckDBPyType

from lake.base.sql import literal, quoted
from lake.ocsf.accounts.rows import SEPARATOR
from lake.ocsf.attributes import EventClass
from lake.ocsf.columns import Filled, children, columns, conform, filled_by
from lake.ocsf.context.fill import PLACES
from lake.ocsf.observables import Observed, Subject, observed, subjects
from lake.ocsf.repair import repaired_sql
from lake.ocsf.rules import profiles_sql, rules

PIPELINE = ("_event_key", "_event_at", "_arrived_at", "_batch", "_source_object", "_source_row")
RECORD = "_record"  # in a mapping's `metadata`: the pipeline's columns of the record that the event was made of
_COMPLETED = ("time", "time_dt", "activity_id", "activity_name", "severity_id", "metadata", "unmapped")


@dataclass(frozen=True)
class EventSql:
    """`steps` are CTEs from `mapped` to `completed`; `metadata` is the object of a whole event of its rows.

    `subjects` and `observed` are what a row may be asked about. `values` are the row's values that its record is held
    against: (path, whether it is JSON).
    """

    steps: str
    metadata: str
    subjects: tuple[Subject, ...]
    observed: tuple[Observed, ...]
    values: tuple[tuple[str, bool], ...] = ()


def event_sql(event_class: EventClass, given: Mapping[str, str], model: str = "") -> EventSql:
    """Return the SQL that makes whole events of the rows of `mapped`, which has the columns `given` (name → type).

    With `model`, and where `metadata` carries the record, what the row lacks of the record goes to `unmapped`: by the
    function `hw_unmapped`, which knows the values of the model.

    Raises:
        ConformError: a given column or attribute is not declared, or its type cannot become the declared one.
    """
    declared = columns(event_class)
    conformed = [*conform(declared, given, "mapped"), *_pipeline(given)]
    filled = _filled(event_class, given)
    accounts = bool(model) and _carries_record(given)
    if accounts:
        conformed.append(f"mapped.metadata.{RECORD}.record as _record")
    steps = f"""conformed as (
  select
  {_lines(conformed)}
  from mapped
),
{"whole" if accounts else "completed"} as (
  select * replace (
  {_lines(_completions(event_class, given))}
  )
  from conformed
)"""
    values = tuple(_values(event_class, given)) if accounts else ()
    if accounts:
        texts = f", {literal(SEPARATOR)}, ".join(sql for _, sql, _ in values)
        left = f"hw_unmapped({literal(model)}, _record, concat({texts}), unmapped::varchar)"
        steps += f""",
completed as (
  select * exclude (_record) replace ({left}::json as unmapped)
  from whole
)"""
    own = filled_by(given)
    found = tuple(subjects(event_class, own))
    told = tuple((path, is_json) for path, _, is_json in values)
    return EventSql(steps, _metadata(event_class, filled), found, tuple(observed(event_class, own)), told)


def published_values_sql(event_class: EventClass) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """Return SQL for the values of a published row as one text, and what they are: (path, whether it is JSON).

    Context has added its own by then; what it is asked about stands in the row in any case.
    """
    first, *others = _values(event_class, dict(columns(event_class)))
    values = [(first[0], '"time"', first[2]), *others]
    text = f", {literal(SEPARATOR)}, ".join(sql for _, sql, _ in values)
    return f"concat({text})", tuple((path, is_json) for path, _, is_json in values)


def record_sql(columns_of_text: Sequence[str]) -> str:
    """Return SQL for the record of a bronze row: JSON, or the line and its fields, each behind the separator."""
    if not columns_of_text:
        return "coalesce(_record, _raw)"
    fields = "".join(f", {literal(SEPARATOR)}, {quoted(name)}" for name in columns_of_text)
    line = f"concat({literal(SEPARATOR)}, _raw{fields})"
    return f"case when left(ltrim(_raw), 1) = '{{' then _raw else {line} end"


def _carries_record(given: Mapping[str, str]) -> bool:
    metadata = duckdb.sqltype(given.get("metadata", "STRUCT(uid VARCHAR)"))
    fields = dict(children(metadata)) if metadata.id == "struct" else {}
    return RECORD in fields and "record" in dict(children(fields[RECORD]))


def _values(event_class: EventClass, given: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """The values of a row that come from its record: path, SQL that gives its text or NULL, whether that is JSON."""
    yield "time", "epoch_ms(_event_at)", False
    captions = {name.removesuffix("_id") for name in given if name.endswith("_id")}
    for name, type_ in columns(event_class):
        if name in ("time", "time_dt", "observables"):
            continue
        if name in given:
            yield from _leaves(name, quoted(name), duckdb.sqltype(given[name]), duckdb.sqltype(type_))
        elif name in captions:
            yield name, quoted(name), False


def _leaves(path: str, sql: str, given: DuckDBPyType, declared: DuckDBPyType) -> Iterator[tuple[str, str, bool]]:
    if given.id == "null":
        return
    if declared.id == "struct":
        inside = dict(children(declared))
        for name, inner in children(given):
            if name in inside:
                yield from _leaves(f"{path}.{name}", f"{sql}.{quoted(name)}", inner, inside[name])
    elif declared.id == "list":
        yield path, f"to_json({sql})", True
    elif str(declared).startswith("TIMESTAMP"):
        yield path, f"epoch_ms({sql})", False
    else:
        yield path, sql, str(declared) == "JSON"


def _pipeline(given: Mapping[str, str]) -> list[str]:
    """The pipeline's columns. A mapping has them in `metadata` (macro `ocsf_metadata`); a mart gives them itself."""
    if RECORD in dict(children(duckdb.sqltype(given.get("metadata", "STRUCT(uid VARCHAR)")))):
        places = (
            "mapped.metadata.uid",
            *(f"mapped.metadata.{RECORD}.{name.removeprefix('_')}" for name in PIPELINE[1:]),
        )
        return [f"{place} as {name}" for place, name in zip(places, PIPELINE, strict=True)]
    return [f"mapped.{name}" for name in PIPELINE]


def broken_sql(event_class: EventClass, given: Mapping[str, str], relation: str) -> tuple[str, str]:
    """Return two queries over the finished rows: how many break a rule; and (hour, rule, rows, one metadata.uid).

    `relation` has the class's columns and `date`, `hour` (text).
    """
    applied = rules(event_class, _filled(event_class, given))
    broken = f"(select * from {relation} where {_lines([rule.sql for rule in applied], ' or ')})"
    each = "\nunion all ".join(
        f"select date || 'T' || hour, {literal(rule.name)}, count(*), any_value(metadata.uid) from broken"
        f" where {rule.sql} group by 1"
        for rule in applied
    )
    return f"select count(*) from {broken}", f"with broken as materialized {broken}\n{each}"


def repair_sql(event_class: EventClass, given: Mapping[str, str], relation: str) -> tuple[str, str]:
    """Return a query for how many finished rows break a rule, and a SELECT in which all are valid."""
    broken = _lines([rule.sql for rule in rules(event_class, _filled(event_class, given))], " or ")
    marked = f"(select *, coalesce({broken}, false) as _broken from {relation})"
    made = repaired_sql(event_class, f"{marked} where _broken")
    whole = f"select * exclude (_broken) from {marked} where not _broken"
    return (
        f"select count(*) from {marked} where _broken",
        f"select * exclude (_broken) from ({made}) union all by name {whole}",
    )


def _filled(event_class: EventClass, given: Mapping[str, str]) -> Filled:
    """What finished rows may have: what the mapping gives, what is completed, and what context fills."""
    own = filled_by(given)
    captions = [name.removesuffix("_id") for name in given if name.endswith("_id")]
    places = [f"{each.path}.{name}" for each in subjects(event_class, own) for name in PLACES.get(each.entity, ())]
    fixed = ("category_uid", "category_name", "class_uid", "class_name", "type_uid", "type_name", "severity")
    lists = ("enrichments", "osint", "observables")
    return filled_by(given, (*_COMPLETED, *fixed, *captions, *places, *lists))


def _completions(event_class: EventClass, given: Mapping[str, str]) -> list[str]:
    """Columns that follow from others: constants of the class, type_uid, the event time, and captions of ids."""
    enums = {each.name: each for each in event_class.shape.attributes if each.enum}
    names = {each.name for each in event_class.shape.attributes}
    activity = "coalesce(activity_id, 0)"
    activity_name = _caption(enums["activity_id"].enum, activity)
    caption = literal(event_class.caption)
    made = {
        "time": "epoch_ms(_event_at)",
        "time_dt": "_event_at",
        "activity_id": activity,
        "activity_name": f"coalesce(activity_name, {activity_name})",
        "category_uid": str(event_class.category_uid),
        "category_name": literal(event_class.category_name),
        "class_uid": str(event_class.uid),
        "class_name": caption,
        "type_uid": f"({event_class.uid}::bigint * 100 + {activity})",
        "type_name": f"{literal(event_class.caption + ': ')} || coalesce({activity_name}, 'Other')",
        "severity_id": "coalesce(severity_id, 1)",
    }
    if "unmapped" in given:
        made["unmapped"] = "nullif(unmapped, '{}')"
    for name, attribute in enums.items():
        sibling = name.removesuffix("_id")
        if name in ("activity_id", sibling) or sibling not in names or name not in (*given, "severity_id"):
            continue
        made[sibling] = f"coalesce({sibling}, {_caption(attribute.enum, made.get(name, name))})"
    return [f"{expression} as {name}" for name, expression in made.items()]


def _caption(enum: Mapping[int | str, str], expression: str) -> str:
    return f"case {expression} " + " ".join(f"when {id_} then {literal(text)}" for id_, text in enum.items()) + " end"


def _metadata(event_class: EventClass, filled: Filled) -> str:
    """`metadata` with what is the same for every event; written out, since struct_update is DuckDB's alone."""
    same = {
        "version": literal(event_class.version),
        "uid": "_event_key",
        "logged_time": "epoch_ms(_arrived_at)",
        "profiles": profiles_sql(event_class, filled),
    }
    shape = next(each.shape for each in event_class.shape.attributes if each.name == "metadata")
    names = [each.name for each in shape.attributes] if shape else []
    return (
        "struct_pack("
        + ", ".join(f"{quoted(name)} := {same.get(name, f'metadata.{quoted(name)}')}" for name in names)
        + ")"
    )


def _lines(parts: Sequence[str], between: str = ", ") -> str:
    return f"{between.rstrip()}\n  ".join(parts) if between == ", " else f"\n {between}".join(parts)
