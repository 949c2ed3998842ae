"""Rows that break rules are made valid by the official schema, and what left them is in `unmapped`."""

import json
from collections.abc import Callable

import duckdb
import pytest

from lake.base.sql import literal, quoted
from lake.ocsf.attributes import Attribute, EventClass, Shape, declared_classes
from lake.ocsf.columns import duckdb_type
from lake.ocsf.repair import repaired_sql
from lake.ocsf.validate import validate_table

CLASSES = declared_classes()
Chosen = Callable[[Attribute, Shape], bool]


def wrong(attribute: Attribute) -> str:
    """Return a value that no rule over the attribute allows, where there is a rule."""
    if attribute.base_type in ("integer_t", "long_t"):
        return "987654321"
    values = {"boolean_t": "true", "float_t": "'nan'::double", "json_t": "'{}'::json"}
    text = "'no such thing\n'" if attribute.pattern or attribute.enum else "'text'"
    if attribute.type == "object_t":
        return "'[1]'::json"
    return (
        "timestamp '2026-03-02 05:00:00'" if attribute.type == "datetime_t" else values.get(attribute.base_type, text)
    )


def made_of(attribute: Attribute, shape: Shape, chosen: Chosen) -> str:
    """Return SQL for a value of an attribute, typed, with what is chosen in it."""
    if attribute.shape:
        inner = attribute.shape
        fields = [f"{quoted(each.name)} := {made_of(each, inner, chosen)}" for each in inner.attributes]
        value = f"struct_pack({', '.join(fields)})"
    else:
        value = wrong(attribute) if chosen(attribute, shape) else "null"
    return f"{f'[{value}]' if attribute.is_list else value}::{duckdb_type(attribute)}"


def everything(attribute: Attribute, shape: Shape) -> bool:
    return True


def no_names(attribute: Attribute, shape: Shape) -> bool:
    return not attribute.required and attribute.name not in (*shape.at_least_one, *shape.just_one)


def nothing(attribute: Attribute, shape: Shape) -> bool:
    return False


def rows_of(event_class: EventClass, chosen: Chosen) -> str:
    """Return a SELECT of one row of a class, sound but for what the mapping has filled."""
    shape, uid = event_class.shape, event_class.uid
    columns = {each.name: made_of(each, shape, chosen) for each in shape.attributes}
    metadata = next(each for each in shape.attributes if each.name == "metadata")
    product = "{'name': 'p', 'vendor_name': 'v'}"
    parts = {
        "product": product,
        "uid": "'u'",
        "version": literal(event_class.version),
        "profiles": "['datetime', 'host']",
    }
    typed = {each.name: duckdb_type(each) for each in (metadata.shape.attributes if metadata.shape else ())}
    given = ", ".join(f"{quoted(name)} := {parts.get(name, 'null')}::{type_}" for name, type_ in typed.items())
    columns |= {
        "category_uid": str(event_class.category_uid), "class_uid": str(uid), "type_uid": f"{uid * 100}::bigint",
        "activity_id": "0", "severity_id": "1", "time": "1772427600000::bigint", "unmapped": "null::json",
        "time_dt": "timestamp '2026-03-02 05:00:00'", "metadata": f"struct_pack({given})",
    }  # fmt: skip
    return f"select {', '.join(f'{value} as {quoted(name)}' for name, value in columns.items())}, 'b' as _batch"


@pytest.mark.parametrize("name", ["network_activity", "process_activity", "authorize_session", "detection_finding"])
def test_every_row_becomes_valid(name: str) -> None:
    event_class = CLASSES[name]
    kinds = (everything, no_names, nothing)
    rows = " union all by name ".join(f"({rows_of(event_class, chosen)})" for chosen in kinds)
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(f"create table given as {rows}")
        con.execute(f"create table made as {repaired_sql(event_class, 'given')}")
        report = validate_table(con.table("made"), name)
        assert (0, len(kinds)) == (report.invalid, report.checked), report.examples
        unmapped = con.sql("select unmapped::varchar from made").fetchall()
    assert any(json.loads(text or "{}").get("invalid") for (text,) in unmapped)


@pytest.mark.parametrize("held", ['{"a":[NaN,Infinity,-Infinity,NaN]}', '{"a":NaN,"b":"x:NaN,y"}', '{"a":1,"b":NaN}'])
def test_numbers_that_json_does_not_know_become_texts(held: str) -> None:
    event_class = CLASSES["base_event"]
    rows = rows_of(event_class, nothing).replace("null::json as", f"{literal(held)}::json as")
    assert held in rows, "the row has it"
    found = duckdb.sql(f"select unmapped::varchar from ({repaired_sql(event_class, f'({rows})')})").fetchall()
    assert isinstance(json.loads(found[0][0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON")), dict)


def test_a_number_that_is_none_and_left_its_attribute_is_a_text() -> None:
    event_class = CLASSES["network_activity"]
    rows = rows_of(event_class, everything).replace("'nan'::double", "'inf'::double")
    found = duckdb.sql(f"select unmapped::varchar from ({repaired_sql(event_class, f'({rows})')})").fetchall()
    assert '"Infinity"' in found[0][0]
    json.loads(found[0][0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
