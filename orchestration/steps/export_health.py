"""Whether a destination answers now, and takes the credentials that the settings name.

What belongs here: one small question to each, within a bound of time. What does not: showing it (`cli.doctor`).
"""

from threading import Thread

from lake.export.declaration import Export
from lake.export.destination import Partition
from lake.export.errors import BadDeclaration, ExportError
from lake.storage.store import Store
from orchestration.settings import Settings
from orchestration.steps.exports import opened

_SECONDS = 20.0
_ANY_HOUR = "2000-01-01T00"  # nothing is there: it is asked for to see whether the destination answers


def unanswered(settings: Settings, store: Store, export: Export, seconds: float = _SECONDS) -> str:
    """Return why an export's destination cannot be asked what it holds, or "". Nothing is changed there."""
    told = [f"no answer within {seconds:.0f} seconds"]

    def ask() -> None:
        try:
            with opened(settings, store, export.destination) as destination:
                destination.read_back(export.table, Partition.of(_ANY_HOUR))
        except (ExportError, BadDeclaration, OSError) as problem:
            told[0] = str(problem)
        else:
            told[0] = ""

    asking = Thread(target=ask, daemon=True)  # one that waits for longer does not keep the command
    asking.start()
    asking.join(seconds)
    return told[0]
