"""From declared types to DuckDB: columns, from_json shapes, paths."""

import json

import pyarrow as pa
import pytest

from ingest.contracts import Field, load_contracts
from ingest.contracts.model import split_path
from ingest.landing.fields import FieldPaths, paths_of
from lake.base.sql import at_hand, json_path

OWNER = Field(
    "owner",
    "owner",
    "object",
    ("owner",),
    properties=(
        Field("id", "owner.id", "integer", ("owner", "id")),
        Field("e.mail", "owner.e.mail", "string", ("owner", "e.mail"), aliases=("mail", 'contact."e.mail"')),
    ),
)
ROOMS = Field(
    "rooms",
    "rooms",
    "array",
    ("rooms",),
    items=Field(
        "[*]",
        "rooms[*]",
        "object",
        ("rooms", "[*]"),
        properties=(Field("size", "rooms[*].size", "number", ("rooms", "[*]", "size")),),
    ),
)


def scalar(kind: str) -> Field:
    """A top-level field of this type."""
    return Field("x", "x", kind, ("x",))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (scalar("string"), "VARCHAR"),
        (scalar("integer"), "BIGINT"),
        (scalar("number"), "DOUBLE"),
        (scalar("boolean"), "BOOLEAN"),
        (scalar("map"), "JSON"),
        (scalar("any"), "JSON"),
        (scalar("array"), "JSON"),
        (OWNER, 'STRUCT("id" BIGINT, "e.mail" VARCHAR)'),
        (ROOMS, 'STRUCT("size" DOUBLE)[]'),
    ],
)
def test_column_type(field: Field, expected: str) -> None:
    """Objects with declared properties are STRUCT, open ones JSON, lists LIST."""
    assert expected == field.duckdb_type


def test_shape_and_type_agree_in_duckdb() -> None:
    """What from_json gives for the shape of any contract has the type that the contract states for the column."""
    connection = at_hand()
    for contract in load_contracts().values():
        shape = json.dumps({each.name: each.from_json_shape for each in contract.fields})
        found = connection.execute("select unnest(from_json('{}', ?))", [shape]).description
        expected = [
            connection.execute(f"select null::{each.duckdb_type}").description[0][1] for each in contract.fields
        ]
        assert [(each.name, kind) for each, kind in zip(contract.fields, expected, strict=True)] == [
            (name, kind) for name, kind, *_ in found
        ]


def test_every_path_of_every_contract_is_read_by_duckdb() -> None:
    """A record that holds one value under each path, of names and aliases, gives that value back."""
    connection = at_hand()
    for contract in load_contracts().values():
        paths = FieldPaths(contract)
        found = [steps for field in paths.fields for steps in paths.of(field)]
        records = [(nested(steps, "found"), json_path(steps)) for steps in found]
        connection.register("records", pa.table({"record": [r for r, _ in records], "path": [p for _, p in records]}))
        query = "select path from records where (record ->> path) is distinct from 'found'"
        assert [] == connection.execute(query).fetchall()
        connection.unregister("records")


def test_aliases_are_read_in_the_object_that_holds_the_field() -> None:
    """An alias of a nested field stays inside its object; quoted steps may hold dots."""
    mail = OWNER.properties[1]
    assert [("owner", "e.mail"), ("owner", "mail"), ("owner", "contact", "e.mail")] == paths_of(mail, ("owner",))


def nested(steps: tuple[str, ...], value: str) -> str:
    """JSON text of objects inside each other that lead to the value."""
    found: object = value
    for step in reversed(steps):
        found = {step: found}
    return json.dumps(found)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", 'a"b', '"a', '""', 'a."b"c'])
def test_not_a_path(text: str) -> None:
    """A path that would silently read nothing is an error."""
    with pytest.raises(ValueError, match="not a path"):
        split_path(text)


def test_path_steps() -> None:
    """Dots part steps, quotes keep a step with dots together."""
    assert ("a", "b") == split_path("a.b")
    assert ("a", "#x.y", "@t") == split_path('a."#x.y".@t')
    assert '$."a"[*]."b.c"' == json_path(("a", "[*]", "b.c"))
