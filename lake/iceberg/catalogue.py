"""The catalogue: where Iceberg keeps which snapshot of a table is the current one."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Identifier

from lake.base.errors import HeadwaterError, tell_omission
from lake.iceberg.file_io import LakeIO, address, serve
from lake.ledger.published_tables import TableName
from lake.storage.store import LocalStore, Store

MADE_OF = "headwater.table"  # the property that tells which table of the lake an Iceberg table is
_PROPERTIES = {
    "format-version": "2",
    # Values of events stand in data files alone, so that erasing those erases them; time prunes within an hour's table.
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.time": "full",
    "write.metadata.metrics.column.time_dt": "full",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    "commit.manifest-merge.enabled": "true",
    "commit.retry.num-retries": "0",  # a commit that was overtaken is planned again here, not repeated as it was
}


class IcebergError(HeadwaterError):
    """Something about catalogue, table or types that keeps a table from being published; the lake itself is whole."""


@dataclass(frozen=True)
class Place:
    """Where Iceberg tables are: the catalogue (`sql`, `glue` or `rest`), and the store and folder of their files.

    `namespace` may hold `{layer}`: silver, gold. `keep` is how long a snapshot that is no longer current stays.
    """

    store: Store
    folder: str = "iceberg"
    kind: str = "sql"
    uri: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "{layer}"
    keep: timedelta = timedelta(days=5)

    def key(self, name: TableName) -> str:
        """Return the folder of a table's files, relative to the store."""
        return f"{self.folder}/{name.layer}/{name.table}".lstrip("/")

    def identifier(self, name: TableName) -> tuple[str, str]:
        """Return the name of a table in the catalogue."""
        return self.namespace.format(layer=name.layer), name.table


def open_catalogue(place: Place) -> Catalog:
    """Return the catalogue of a place; a SQLite file is made when it is missing.

    Raises:
        IcebergError: it cannot be reached, or a lake in a bucket names none.
    """
    serve(place.store)
    properties = {"type": place.kind, **place.properties, **LakeIO.properties_for(place.store)}
    properties |= {"warehouse": address(place.store, place.folder)}
    if place.kind == "sql":
        properties["uri"] = place.uri or _beside(place)
    elif place.uri:
        properties["uri"] = place.uri
    try:
        return load_catalog("headwater", **properties)
    except Exception as problem:  # each kind of catalogue has errors of its own
        raise IcebergError(f"the Iceberg catalogue ({place.kind}) cannot be opened: {_line(problem)}") from problem


def _beside(place: Place) -> str:
    if not isinstance(place.store, LocalStore):
        raise IcebergError(
            f"{place.store.root} is a bucket, which can hold no SQLite file: set iceberg.catalog, for instance"
            " {type: glue}, or {type: sql, uri: sqlite:////var/lib/headwater/iceberg.db} on a disk that lasts"
        )
    folder = place.store.path / place.folder
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'catalog.db'}"


def find(catalogue: Catalog, place: Place, name: TableName) -> Table | None:
    """Return a table, or None when it was never published, or its metadata is gone from the lake."""
    return _load(catalogue, place.identifier(name))


def _load(catalogue: Catalog, identifier: Identifier) -> Table | None:
    try:
        return catalogue.load_table(identifier)
    except NoSuchTableError:
        return None
    except FileNotFoundError as gone:
        name = ".".join(identifier)
        tell_omission(f"{name}: its metadata is not there ({gone}); `headwater iceberg publish` makes the table again")
        return None


def make(catalogue: Catalog, place: Place, name: TableName, schema: Schema, partitions: tuple[str, ...]) -> Table:
    """Return a new table, partitioned as the lake's folders are; or the one that another has just made."""
    namespace, _ = place.identifier(name)
    with suppress(NamespaceAlreadyExistsError):
        catalogue.create_namespace(namespace)
    fields = [
        PartitionField(
            source_id=schema.find_field(each).field_id, field_id=1000 + at, transform=IdentityTransform(), name=each
        )
        for at, each in enumerate(partitions)
    ]
    try:
        return catalogue.create_table(
            place.identifier(name),
            schema=schema,
            location=address(place.store, place.key(name)),
            partition_spec=PartitionSpec(*fields),
            properties={**_PROPERTIES, MADE_OF: str(name)},
        )
    except TableAlreadyExistsError:
        if (found := find(catalogue, place, name)) is not None:
            return found
        catalogue.drop_table(place.identifier(name))  # only the catalogue knows of it any more
        return make(catalogue, place, name, schema, partitions)


def published_tables(catalogue: Catalog, place: Place) -> Iterator[tuple[TableName, Table]]:
    """Yield the tables that were published from a lake to this place."""
    for layer in TableName.LAYERS:
        namespace = place.namespace.format(layer=layer)
        if not catalogue.namespace_exists(namespace):
            continue
        for identifier in catalogue.list_tables(namespace):
            if (table := _load(catalogue, identifier)) is None:
                continue
            made_of = TableName.parsed(table.properties.get(MADE_OF, ""))
            if made_of is not None and made_of.layer == layer:
                yield made_of, table


def chosen(known: list[TableName], names: Iterable[str] | None) -> list[TableName]:
    """Return the tables that names mean. Raises IcebergError naming the tables there are."""
    if names is None:
        return known
    found: list[TableName] = []
    for name in names:
        meant = [each for each in known if name in (each.table, str(each))]
        if not meant:
            raise IcebergError(f"no table {name!r} is there; there are {', '.join(map(str, known)) or 'none yet'}")
        found += meant
    return found


def _line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
