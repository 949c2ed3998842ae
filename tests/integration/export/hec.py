"""A lake and a simulated Splunk beside it, as tests of that destination use them.

Belongs here: what several of these tests need. Not here: what Splunk does (`orchestration.demo.simulators.splunk.hec`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lake.export.destination import Destination
from lake.export.rows import checksum_over
from lake.ledger.export_receipts import ExportReceipt
from orchestration.demo.simulators.splunk.hec import Request, SplunkSimulator
from tests.unit.export.lakes import HOUR, SmallLake, export

TOKEN = "8f6c1b7e-secret-token"
EXPORT = export()
QUICK = {"acknowledge_seconds": 2, "retry_seconds": 2, "timeout_seconds": 2}


@dataclass
class Splunk:
    """A lake, and a collector to push its table `authentication` to."""

    lake: SmallLake
    hec: SplunkSimulator

    def destination(self, **options: Any) -> Destination:
        return self.lake.destination("splunk", **{"url": self.hec.url, **QUICK, **options})

    def push(self, hour: str = HOUR, again: bool = False, **options: Any) -> ExportReceipt:
        there = self.destination(**options)
        try:
            return self.lake.push(there, EXPORT, hour, again=again)
        finally:
            there.close()

    @property
    def progress(self) -> list[str]:
        """The files of progress."""
        return [each.key for each in self.lake.store.list("_exporting")]

    def posts(self) -> list[Request]:
        """The requests that carried events."""
        return [each for each in self.hec.requests if each.path.endswith("/event")]


def ids(numbers: Any) -> list[str]:
    """The event ids of rows."""
    return sorted(f"okta_system_log:m{number}" for number in numbers)


def once(splunk: Splunk, numbers: Any) -> bool:
    """Whether these rows, and no others, stand in Splunk, each exactly once."""
    return splunk.hec.counts() == Counter(ids(numbers))


def newest_is(splunk: Splunk, numbers: Any, receipt: ExportReceipt) -> bool:
    """Whether the documented search finds these rows, and counts what the receipt says."""
    found = splunk.hec.index.newest()
    counted = (len(found), checksum_over(found))
    return sorted(found) == ids(numbers) and counted == (receipt.held_rows, receipt.held_checksum)


def body_with(word: str) -> Callable[[bytes], bool]:
    """Whether a (packed) body holds a word."""
    import zlib

    return lambda body: word.encode() in zlib.decompress(body, wbits=31)


def running(lake: SmallLake, **options: Any) -> Iterator[Splunk]:
    """Yield a running collector that takes `TOKEN`."""
    from orchestration.demo.simulators.splunk.index import Token

    acknowledges = options.pop("acknowledges", True)
    indexes = options.pop("indexes", ())
    with SplunkSimulator([Token(TOKEN, acknowledges=acknowledges, indexes=indexes)], **options) as hec:
        yield Splunk(lake, hec)
