"""One push to a simulated Splunk as a process of its own, to be killed: `python -m tests.lake.export.hec_push …`."""

from __future__ import annotations

import sys
from pathlib import Path

from lake.store import LocalStore
from tests.lake.delivery.lakes import SmallLake
from tests.lake.export.hec import EXPORT

BATCH, WINDOW = 20, 4


def main(root: str, url: str) -> None:
    """Push the hour of the lake under a folder."""
    lake = SmallLake(LocalStore(Path(root) / "lake"), Path(root))
    there = lake.destination("splunk", url=url, batch_events=BATCH, unacknowledged=WINDOW, connections=2)
    receipt = lake.push(there, EXPORT)
    sys.stdout.write(f"{receipt.matches} {receipt.sent}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
