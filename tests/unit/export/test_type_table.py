"""The documented types are those of the destinations' files."""

from lake.export import type_table
from lake.export.destination import kinds, module_of


def test_every_destination_says_what_becomes_of_every_kind_of_value() -> None:
    assert {name: set(type_table.LAKE) for name in kinds()} == {name: set(module_of(name).TYPES) for name in kinds()}


def test_the_documented_table_is_what_the_destinations_say() -> None:
    assert [] == type_table.drift()
