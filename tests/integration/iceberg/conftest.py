"""A local lake to publish from, with its tables in its own folder."""

from pathlib import Path

import pytest
from pyiceberg.table import Table

from lake.iceberg import Place, TableName
from lake.iceberg.catalogue import find, open_catalogue
from lake.storage.store import LocalStore
from tests.integration.iceberg.built import Lake, told

AUTHENTICATION = TableName("silver", "authentication")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LocalStore(tmp_path / "lake"), tmp_path)


@pytest.fixture
def place(lake: Lake) -> Place:
    return Place(lake.store)


def table(place: Place, name: TableName = AUTHENTICATION) -> Table:
    found = find(open_catalogue(place), place, name)
    assert found is not None
    return found


def read(place: Place, name: TableName = AUTHENTICATION, snapshot_id: int | None = None) -> list[tuple[str, str, int]]:
    return told(table(place, name).scan(snapshot_id=snapshot_id).to_arrow().to_pylist())
