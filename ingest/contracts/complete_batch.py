"""Batches that are complete only when their writer says so: a folder of objects and the marker that is written last.

What belongs here: the custom property `completeBatch`, and which batch a name belongs to. What does not: listing
(`ingest.transports.listing`).
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from ingest.contracts.errors import Place, one_of

_KEYS: Final = ("pattern", "marker")


@dataclass(frozen=True, slots=True)
class CompleteBatch:
    """Objects whose names `pattern` finds belong to the batch that its group `batch` names, a folder.

    The batch is complete once that folder holds an object called `marker`.
    """

    pattern: re.Pattern[str]
    marker: str

    def of(self, name: str) -> str | None:
        """Return the batch of an object, or None for objects that stand alone."""
        found = self.pattern.search(name)
        return found["batch"].rstrip("/") if found else None

    def completed_by(self, name: str) -> str | None:
        """Return the batch that a marker of this name completes, or None for other names."""
        folder, _, last = name.rpartition("/")
        return folder if last == self.marker else None


def read_complete_batch(custom: dict[str, Any], place: Place) -> CompleteBatch | None:
    """Raises ContractError naming what is wrong."""
    found = custom.get("completeBatch")
    if found is None:
        return None
    for key in found:
        if key not in _KEYS:
            raise place.error(f"unknown key {key!r}; {one_of(_KEYS)}")
    marker, text = found.get("marker"), found.get("pattern")
    if not isinstance(marker, str) or not marker or "/" in marker:
        raise place.error(f"marker: found {marker!r}, expected the name of an object without its folder")
    try:
        pattern = re.compile(text) if isinstance(text, str) else None
    except re.error as error:
        raise place.error(f"pattern: not a regular expression: {error}") from None
    if pattern is None or "batch" not in pattern.groupindex:
        raise place.error("pattern: expected a regular expression with a group named batch: (?P<batch>...)")
    return CompleteBatch(pattern, marker)
