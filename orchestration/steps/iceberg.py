"""The Iceberg tables that the settings name."""

from datetime import timedelta

from lake.iceberg import Place
from lake.storage.publish import open_store
from lake.storage.store import Store
from orchestration.settings import Settings


def iceberg_place(settings: Settings, lake: Store) -> Place:
    """Return where the tables are: in the lake's own folder `iceberg/`, or in the warehouse that is set."""
    used = settings.iceberg
    properties = {"client.region": settings.s3.region} if settings.s3.region else {}
    store = open_store(used.warehouse, settings.s3_options()) if used.warehouse else lake
    return Place(
        store=store,
        folder="" if used.warehouse else "iceberg",
        kind=used.catalog.type,
        uri=used.catalog.uri,
        properties={**properties, **used.catalog.properties},
        namespace=used.namespace,
        keep=timedelta(days=used.keep_days),
    )
