"""Reads a feed in one of its formats, the way a load does."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ingest.reference.formats import Source, checked_options, reader_of
from ingest.reference.tables import Entry, Reject
from lake.base.http import Clock


@dataclass(frozen=True)
class Found:
    """What a reader gave."""

    entries: list[Entry]
    rejects: list[Reject]
    skipped: Counter[str]
    told: dict[str, str]

    @property
    def observables(self) -> list[tuple[str, str]]:
        """Kind and value of every entry, in order."""
        return [(entry.kind, entry.value) for entry in self.entries]

    @property
    def reasons(self) -> list[str]:
        """Why pieces were rejected, in order."""
        return [reject.reason for reject in self.rejects]

    def payload(self, at: int = 0) -> dict[str, Any]:
        """What an entry says, without what it leaves open."""
        return {name: value for name, value in self.entries[at].payload.items() if value not in (None, [])}

    def of(self, entry: str) -> Entry:
        """The entry of that name."""
        (found,) = [each for each in self.entries if each.entry == entry]
        return found


def read_feed(
    format: str, table: str, path: Path | None = None, since: datetime | None = None, **options: object
) -> Found:
    """Everything a feed holds."""
    source = Source(table, path, since)
    found = list(reader_of(format).read(source, checked_options(format, table, options)))
    return Found(
        [each for each in found if isinstance(each, Entry)],
        [each for each in found if isinstance(each, Reject)],
        source.skipped,
        source.told,
    )


def read_text(folder: Path, format: str, table: str, text: str | bytes, **options: object) -> Found:
    """Everything that a feed of this text holds."""
    path = folder / "feed"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_feed(format, table, path, **options)


def passing_clock(waits: list[float]) -> Clock:
    """A clock whose sleeps take no time and are noted in `waits`."""
    now = [1_772_000_000.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    return Clock(lambda: now[0], sleep)
