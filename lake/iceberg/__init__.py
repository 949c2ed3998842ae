"""The lake's tables as Iceberg tables, for engines that read no folders.

Iceberg's files never change, while a rebuilt hour replaces its file in the lake. So an Iceberg table has data files of
its own, one per source and hour, with Iceberg's field ids in them. Their names carry the mark of the build that made
their rows: what is published is read from the table itself, and publishing again, after whatever crash, publishes
nothing twice.
"""

from lake.iceberg.catalogue import IcebergError, Place
from lake.iceberg.publishing import Published, publish_tables
from lake.iceberg.status import TableStatus, table_status
from lake.iceberg.upkeep import forget_history
from lake.ledger.published_tables import TableName

__all__ = [
    "IcebergError",
    "Place",
    "Published",
    "TableName",
    "TableStatus",
    "forget_history",
    "publish_tables",
    "table_status",
]
