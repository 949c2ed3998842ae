"""Comparing two states of a table: values as they are, NULL like any other, JSON by content."""

from collections.abc import Iterator, Sequence

import duckdb
import pytest

from lake.query.compare import Column, Difference, compare

BEFORE = """
    select * from (values
        ('same', 1, {'name': 'ann', 'place': {'city': 'Bern', 'zip': null}}, '{"a": 1, "b": [1, 2]}', [1, 2]),
        ('edited', 2, {'name': 'bob', 'place': {'city': null, 'zip': '1'}}, '{"a": 1}', [1]),
        ('gone', 3, null, null, null)
    ) as t(uid, number, owner, unmapped, list)
"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def differing(con: duckdb.DuckDBPyConnection, change: str, key: Sequence[str] = ("uid",)) -> Difference:
    """Compare the rows with those that a statement makes of them."""
    con.execute(f"create or replace temp table edited as {BEFORE}")
    con.execute(change)
    return compare(con, BEFORE, "from edited", key)


def test_the_same_rows_in_another_order_and_another_spelling_of_json_differ_in_nothing(
    con: duckdb.DuckDBPyConnection,
) -> None:
    change = """
        update edited set unmapped = '{"b":[1,2],"a":1}' where uid = 'same';
        create or replace temp table edited as from edited order by uid
    """
    found = differing(con, change)
    assert (found.before, found.after, found.added, found.removed, found.changed) == (3, 3, 0, 0, 0)
    assert (found.columns, found.examples) == ([], [])


def test_added_removed_and_changed_rows_are_counted_with_examples(con: duckdb.DuckDBPyConnection) -> None:
    change = """
        delete from edited where uid = 'gone';
        insert into edited (uid, number) values ('new', 9);
        update edited set number = null where uid = 'same'
    """
    found = differing(con, change)
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    examples = {each.what: each for each in found.examples}
    assert examples["changed"].key == {"uid": "same"}
    assert examples["changed"].values == {"number": (1, None)}
    assert examples["added"].values == {"uid": (None, "new"), "number": (None, 9)}
    assert examples["removed"].values == {"uid": ("gone", None), "number": (3, None)}


def test_of_an_object_the_paths_that_differ_are_named(con: duckdb.DuckDBPyConnection) -> None:
    change = """
        update edited set owner = {'name': 'ann', 'place': {'city': 'Bonn', 'zip': null}} where uid = 'same';
        update edited set owner = {'name': 'rob', 'place': {'city': 'Bonn', 'zip': '1'}} where uid = 'edited'
    """
    found = differing(con, change)
    assert found.columns == [Column("owner", 2, {"owner.name": 1, "owner.place.city": 2})]
    assert [each.values for each in found.examples] == [
        {"owner.name": ("bob", "rob"), "owner.place.city": (None, "Bonn")},
        {"owner.place.city": ("Bern", "Bonn")},
    ]


def test_lists_are_compared_as_they_are_and_json_by_content(con: duckdb.DuckDBPyConnection) -> None:
    change = """
        update edited set list = [2, 1] where uid = 'same';
        update edited set unmapped = '{"a": 2}' where uid = 'edited'
    """
    found = differing(con, change)
    assert {each.name: each.values for each in found.columns} == {"list": 1, "unmapped": 1}


def test_a_column_that_one_side_lacks_is_null_there(con: duckdb.DuckDBPyConnection) -> None:
    found = differing(con, "alter table edited drop list; alter table edited add column fresh int")
    assert {each.name: each.values for each in found.columns} == {"list": 2}


def test_a_column_of_another_type_is_compared_by_content(con: duckdb.DuckDBPyConnection) -> None:
    found = differing(
        con, "alter table edited alter number type bigint; update edited set number = 7 where uid = 'same'"
    )
    assert [(each.name, each.values) for each in found.columns] == [("number", 1)]


def test_rows_of_one_key_are_paired_as_they_arrived(con: duckdb.DuckDBPyConnection) -> None:
    rows = "select 'k' as uid, unnest([1, 2]) as _source_row, unnest(['a', 'b']) as text"
    found = compare(con, rows, f"select uid, _source_row, upper(text) as text from ({rows})", ("uid",))
    assert (found.added, found.removed, found.changed) == (0, 0, 2)
    assert [each.values["text"] for each in found.examples] == [("a", "A"), ("b", "B")]


def test_without_a_key_rows_are_the_same_only_as_a_whole(con: duckdb.DuckDBPyConnection) -> None:
    found = differing(con, "update edited set number = 5 where uid = 'same'", key=())
    assert (found.added, found.removed, found.changed) == (1, 1, 0)


def test_a_path_may_be_the_key(con: duckdb.DuckDBPyConnection) -> None:
    found = differing(con, "delete from edited where uid = 'gone'; update edited set number = 5", key=("owner.name",))
    assert (found.removed, found.changed) == (1, 2)
