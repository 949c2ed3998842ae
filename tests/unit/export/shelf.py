"""A destination in memory, for what the mechanism itself does: it may refuse rows, lose some, or be interrupted.

Belongs here: the smallest thing that keeps a destination's protocol. Not here: any vendor's ways.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lake.export.destination import Delivery, Held, Partition, Refusal
from lake.export.rows import Reader, checksum_over
from tests.unit.export.lakes import rows_of


@dataclass
class Shelf:
    """`refuses` says why a row is not taken, or ""; `loses` which is taken and gone.

    `act` is called on a push before anything is taken, `end` when all of it is and nothing is answered yet.
    """

    identity: str = "a shelf"
    refuses: Callable[[dict[str, Any]], str] = lambda row: ""
    loses: Callable[[dict[str, Any]], bool] = lambda row: False
    act: Callable[[], object] = bool
    end: Callable[[], object] = bool
    held: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    pushes: int = 0

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        self.pushes += 1
        self.act()
        rows = rows_of(reader)
        refused = [
            Refusal(event_id=row["_event_id"], source=row["source"], code=code, said=f"no {code} here")
            for row in rows
            if (code := self.refuses(row))
        ]
        self.held[table, str(partition)] = [row for row in rows if not self.refuses(row) and not self.loses(row)]
        self.end()
        return Delivery(held=self.read_back(table, partition), bytes=1, proof="query", refused=refused)

    def read_back(self, table: str, partition: Partition) -> Held:
        ids = [row["_event_id"] for row in self.held.get((table, str(partition)), ())]
        return Held(rows=len(ids), checksum=checksum_over(ids))

    def close(self) -> None:
        pass
