"""How a destination's table comes to take the rows: columns are added and widened, anything else stops the export."""

import pytest

from lake.export.errors import SchemaConflict
from lake.export.evolution import evolution

WIDER = {"INT": ("BIGINT", "DOUBLE"), "BIGINT": ("DECIMAL",)}
HELD = {"a": "INT", "b": "TEXT", "s.x": "INT"}


def test_a_table_that_fits_needs_nothing() -> None:
    assert not evolution("t", HELD, HELD, WIDER)
    assert not evolution("t", HELD, {"a": "INT"}, WIDER)  # the rows have fewer columns: the others stay, and are NULL


def test_what_is_missing_is_added_and_what_is_narrower_widened() -> None:
    found = evolution("t", HELD, {**HELD, "a": "BIGINT", "s.x": "DOUBLE", "s.y": "TEXT", "c": "INT"}, WIDER)
    assert ({"s.y": "TEXT", "c": "INT"}, {"a": "BIGINT", "s.x": "DOUBLE"}) == (found.added, found.widened)
    assert found


def test_what_is_wider_already_stays_wide() -> None:
    assert not evolution("t", {**HELD, "a": "BIGINT"}, HELD, WIDER)


def test_anything_else_stops_the_export_and_names_the_columns() -> None:
    with pytest.raises(SchemaConflict) as told:
        evolution("there/t", HELD, {**HELD, "a": "TEXT", "b": "INT", "c": "INT"}, WIDER)
    message = "there/t: a is INT there and TEXT here; b is TEXT there and INT here. Nothing was changed there."
    assert str(told.value).startswith(message)


def test_many_conflicts_are_told_by_the_first_of_them() -> None:
    names = [f"c{n}" for n in range(9)]
    with pytest.raises(SchemaConflict, match=r"c0 is .*c4 is TEXT there and INT here …\. Nothing"):
        evolution("t", dict.fromkeys(names, "TEXT"), dict.fromkeys(names, "INT"), WIDER)
