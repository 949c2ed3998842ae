"""A lake and a simulated Splunk beside it, with what is special to Splunk."""

from collections import Counter
from typing import Any

from lake.export.rows import checksum_over
from lake.ledger.export_receipts import ExportReceipt
from tests.integration.export.adapters import Splunk
from tests.unit.export.lakes import OKTA


def ids(numbers: Any) -> list[str]:
    """The event ids of rows."""
    return sorted(f"{OKTA}:m{number}" for number in numbers)


def once(splunk: Splunk, numbers: Any) -> bool:
    """Whether these rows, and no others, are in Splunk, each exactly once."""
    return splunk.hec.counts() == Counter(ids(numbers))


def newest_is(splunk: Splunk, numbers: Any, receipt: ExportReceipt) -> bool:
    """Whether the documented search finds these rows, and counts what the receipt says."""
    found = splunk.hec.index.newest()
    counted = (len(found), checksum_over(found))
    return sorted(found) == ids(numbers) and counted == (receipt.held_rows, receipt.held_checksum)
