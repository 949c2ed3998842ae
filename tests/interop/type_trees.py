"""Types in words that no reader owns: what DuckDB, Arrow, Polars and Spark call theirs, brought to one tree.

Belongs here: from a reader's type to a tree. Not here: which types are expected (`lake/README.md`, the tests).

A tree is a word (`int64`, `text`, `json`, …), a list `("list", tree)`, or a struct `{name: tree}`. A timestamp without
a zone, in microseconds, is `time`; silver's are UTC.
"""

from typing import Any

Tree = Any

_DUCKDB = {
    "bigint": "int64",
    "integer": "int32",
    "boolean": "bool",
    "double": "double",
    "varchar": "text",
    "timestamp": "time",
    "json": "json",
}


def of_duckdb(type_: Any) -> Tree:
    """The tree of a DuckDB type."""
    if str(type_) == "JSON":
        return "json"
    if type_.id == "struct":
        return {name: of_duckdb(inner) for name, inner in type_.children}
    if type_.id == "list":
        return ("list", of_duckdb(dict(type_.children)["child"]))
    return _DUCKDB[type_.id]


def of_arrow(type_: Any) -> Tree:
    """The tree of an Arrow type."""
    import pyarrow as pa

    if pa.types.is_struct(type_):
        return {type_.field(at).name: of_arrow(type_.field(at).type) for at in range(type_.num_fields)}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return ("list", of_arrow(type_.value_type))
    words = {pa.int64(): "int64", pa.int32(): "int32", pa.bool_(): "bool", pa.float64(): "double"}
    words |= {pa.string(): "text", pa.large_string(): "text", pa.timestamp("us"): "time"}
    return "json" if getattr(type_, "extension_name", "") == "arrow.json" else words[type_]


def of_polars(type_: Any) -> Tree:
    """The tree of a Polars type."""
    import polars as pl

    if isinstance(type_, pl.Struct):
        return {field.name: of_polars(field.dtype) for field in type_.fields}
    if isinstance(type_, pl.List):
        return ("list", of_polars(type_.inner))
    words = {pl.Int64(): "int64", pl.Int32(): "int32", pl.Boolean(): "bool", pl.Float64(): "double"}
    words |= {pl.String(): "text", pl.Datetime("us"): "time", pl.Binary(): "bytes"}
    return words[type_]


def of_spark(type_: Any) -> Tree:
    """The tree of a Spark type."""
    name = type(type_).__name__
    if name == "StructType":
        return {field.name: of_spark(field.dataType) for field in type_.fields}
    if name == "ArrayType":
        return ("list", of_spark(type_.elementType))
    words = {"LongType": "int64", "IntegerType": "int32", "BooleanType": "bool", "DoubleType": "double"}
    return (words | {"StringType": "text", "TimestampNTZType": "time"})[name]


def with_json_as(word: str, tree: Tree) -> Tree:
    """A tree in which JSON goes by the name that a reader has for it."""
    if isinstance(tree, dict):
        return {name: with_json_as(word, inner) for name, inner in tree.items()}
    if isinstance(tree, tuple):
        return ("list", with_json_as(word, tree[1]))
    return word if tree == "json" else tree
