"""Types: from the Parquet files of the lake to an Iceberg schema, and back to files that carry its field ids.

What belongs here: schemas. What does not: rows, or tables.

Columns are matched by name. A column that a later mapping brings is added with a new id and is NULL in older rows; one
that a later mapping drops stays, and is NULL in newer rows. JSON is text in Iceberg.
"""

from collections.abc import Iterator
from itertools import count

import pyarrow as pa
from pyiceberg.exceptions import ValidationError
from pyiceberg.io.pyarrow import pyarrow_to_schema, schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Table

from lake.iceberg.catalogue import IcebergError

FIELD_ID = b"PARQUET:field_id"
_WIDER = {(pa.int32(), pa.int64()), (pa.float32(), pa.float64())}  # what Iceberg lets a column become


def assigned(columns: pa.Schema) -> Schema:
    """Return the Iceberg schema of a new table with the columns of a file, all optional, with ids of their own."""
    ids = count(1)
    return pyarrow_to_schema(pa.schema([_numbered(column, ids) for column in columns]))


def _numbered(column: pa.Field, ids: Iterator[int]) -> pa.Field:
    number = {FIELD_ID: str(next(ids)).encode()}
    held = column.type
    if pa.types.is_struct(held):
        held = pa.struct([_numbered(held.field(at), ids) for at in range(held.num_fields)])
    elif pa.types.is_list(held):
        held = pa.list_(_numbered(held.value_field, ids))
    return pa.field(column.name, held, nullable=True, metadata=number)


def evolve(table: Table, columns: pa.Schema) -> None:
    """Give a table the columns that a file has and it has not, and types that are wider.

    Raises:
        IcebergError: a column has another type now, which no reader of the older rows could bear.
    """
    try:
        with table.update_schema() as update:
            update.union_by_name(columns)
        Fit(table).identified(columns)
    except (ValidationError, KeyError, ValueError, TypeError) as problem:
        raise IcebergError(
            f"{'.'.join(table.name())}: a column has changed its type, which an Iceberg table cannot follow:"
            f" {' '.join(str(problem).split())[:300]}. Drop the table from the catalogue to publish it anew"
        ) from problem


class Fit:
    """A table's schema, held against the columns of files; those of one table are nearly always the same."""

    def __init__(self, table: Table) -> None:
        self._table = schema_to_pyarrow(table.schema(), include_field_ids=True)
        self._found: dict[pa.Schema, pa.Schema] = {}

    def lacks(self, columns: pa.Schema) -> bool:
        """Return whether a file with these columns holds something that the table's schema does not say yet."""
        try:
            self.identified(columns)
        except (KeyError, TypeError):
            return True
        return False

    def identified(self, columns: pa.Schema) -> pa.Schema:
        """Return a file's columns with the field ids and types of the table.

        Raises:
            KeyError: the table has no such column.
            TypeError: the table has a type for it that does not hold the file's values.
        """
        if columns not in self._found:
            self._found[columns] = pa.schema([_identified(each, self._table.field(each.name)) for each in columns])
        return self._found[columns]


def _identified(column: pa.Field, known: pa.Field) -> pa.Field:
    return pa.field(column.name, _type(column.type, known.type), nullable=True, metadata=_id(known))


def _type(held: pa.DataType, known: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(held) and pa.types.is_struct(known):
        names = {known.field(at).name: known.field(at) for at in range(known.num_fields)}
        return pa.struct([_identified(held.field(at), names[held.field(at).name]) for at in range(held.num_fields)])
    if pa.types.is_list(held) and (pa.types.is_list(known) or pa.types.is_large_list(known)):
        inner = _type(held.value_type, known.value_type)
        return pa.list_(pa.field("element", inner, nullable=True, metadata=_id(known.value_field)))
    if _is_text(held) and _is_text(known):
        return pa.string()
    if held == known or (held, known) in _WIDER:
        return known
    raise TypeError(f"{held} does not fit {known}")


def _id(known: pa.Field) -> dict[bytes, bytes]:
    return {FIELD_ID: known.metadata[FIELD_ID]}


def _is_text(held: pa.DataType) -> bool:
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held))
