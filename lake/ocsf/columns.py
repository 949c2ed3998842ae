"""The columns of a class: DuckDB types from the declared attributes.

What belongs here: the mapping from OCSF types to DuckDB types.
What does not: the pipeline's own columns, or writing files.
"""

from lake.ocsf.attributes import Attribute, EventClass

_TYPES = {
    "boolean_t": "BOOLEAN",
    "float_t": "DOUBLE",
    "integer_t": "INTEGER",
    "json_t": "JSON",
    "long_t": "BIGINT",
    "string_t": "VARCHAR",
}


def columns(event_class: EventClass) -> list[tuple[str, str]]:
    """Return the columns of a class in order, each with its DuckDB type."""
    return [(attribute.name, duckdb_type(attribute)) for attribute in event_class.shape.attributes]


def duckdb_type(attribute: Attribute) -> str:
    """Return the DuckDB type of an attribute: objects as STRUCT with quoted names, open objects and json_t as JSON."""
    return _element_type(attribute) + ("[]" if attribute.is_list else "")


def _element_type(attribute: Attribute) -> str:
    if attribute.type == "object_t":
        if attribute.shape is None:
            return "JSON"
        fields = ", ".join(f'"{inner.name}" {duckdb_type(inner)}' for inner in attribute.shape.attributes)
        return f"STRUCT({fields})"
    if attribute.type == "datetime_t":
        return "TIMESTAMP"
    return _TYPES[attribute.base_type]
