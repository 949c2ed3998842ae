"""One push to a simulated Splunk in a process that is killed: `python -m tests.integration.export.hec_push`."""

from __future__ import annotations

import sys
from pathlib import Path

from lake.storage.store import LocalStore
from tests.integration.export.hec import EXPORT
from tests.unit.export.lakes import SmallLake

BATCH, WINDOW = 20, 4


def main(root: str, url: str) -> None:
    """Push the hour of the lake under a folder."""
    lake = SmallLake(LocalStore(Path(root) / "lake"), Path(root))
    there = lake.destination("splunk", url=url, batch_events=BATCH, unacknowledged=WINDOW, connections=2)
    receipt = lake.push(there, EXPORT)
    sys.stdout.write(f"{receipt.matches} {receipt.sent}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
