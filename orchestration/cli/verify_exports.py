"""Destinations asked again what they hold of what was delivered, and how what is wrong with hours is shown.

What belongs here: asking hour by hour, lines for people. What does not: the commands (`cli.export`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lake.export.declaration import Export
from lake.export.destination import Destination, Partition
from lake.export.errors import ExportError
from lake.ledger.export_receipts import ExportReceipt, exported
from lake.storage.store import Store
from orchestration.cli.output import say
from orchestration.settings import Settings
from orchestration.steps.exports import opened

SAME, CANNOT_BE_ASKED = "same", "cannot be asked"
MOST_LINES = 10

Wrong = tuple[Export, str, str]  # which export, which hour ("" for all of them), and why


@dataclass
class Verified:
    """What was found: `rows` as for scripts, `wrong` of them, and how many hours were delivered to another place."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    elsewhere: int = 0

    def add(self, each: Export, hour: str, state: str) -> None:
        """Note what was found of one hour."""
        self.rows.append({"destination": each.destination, "table": each.table, "hour": hour, "state": state})
        if state not in (SAME, CANNOT_BE_ASKED):
            self.wrong.append((each, hour, state))

    def lines(self) -> Iterator[str]:
        """Yield how many hours were asked for, and what could not be asked."""
        states = [row["state"] for row in self.rows if row["hour"]]
        yield f"{states.count(SAME):,} of {len(states):,} delivered hours hold what their receipts say"
        for name in sorted({row["destination"] for row in self.rows if row["state"] == CANNOT_BE_ASKED}):
            yield f"{name}: cannot be asked what it holds; its receipts rest on acknowledgements"
        if self.elsewhere:
            yield f"{self.elsewhere:,} hours were delivered to another place, before the settings changed: push again"


def verify_all(
    settings: Settings, store: Store, exports: Sequence[Export], span: tuple[str | None, str | None]
) -> Verified:
    """Ask the configured destinations of some exports for the hours of a range. One that fails stops no other."""
    found = Verified()
    for name in sorted({each.destination for each in exports} & settings.destinations.keys()):
        mine = [each for each in exports if each.destination == name]
        try:
            with opened(settings, store, name) as there:
                for each in mine:
                    held = _within(exported(store, each.destination, each.table), span)
                    here = {hour: one for hour, one in held.items() if one.identity == there.identity}
                    found.elsewhere += len(held) - len(here)
                    for hour, state in _states(each, here, there):
                        found.add(each, hour, state)
        except ExportError as problem:
            for each in mine:
                found.add(each, "", str(problem))
    return found


def _within(receipts: Mapping[str, ExportReceipt], span: tuple[str | None, str | None]) -> dict[str, ExportReceipt]:
    first, last = span
    return {hour: each for hour, each in sorted(receipts.items()) if (first or "") <= hour <= (last or hour)}


def _states(each: Export, receipts: Mapping[str, ExportReceipt], there: Destination) -> Iterator[tuple[str, str]]:
    """Yield what is found of each hour. A destination that does not answer is not asked for the table's others."""
    failed = ""
    for hour, receipt in receipts.items():
        try:
            yield hour, failed or _state(each, hour, receipt, there)
        except ExportError as problem:
            failed = str(problem)
            yield hour, failed


def _state(each: Export, hour: str, receipt: ExportReceipt, there: Destination) -> str:
    held = there.read_back(each.table, Partition.of(hour))
    if held is None:
        return CANNOT_BE_ASKED
    if (held.rows, held.checksum) == (receipt.held_rows, receipt.held_checksum):
        return SAME
    other = "" if held.rows != receipt.held_rows else " of other events (checksum over keys)"
    return (
        f"{held.rows:,} rows are there, the receipt says {receipt.held_rows:,}{other}; push it again: headwater export"
        f" push --again --destination {each.destination} --table {each.table} --from {hour} --to {hour}"
    )


def print_wrong(wrong: Sequence[Wrong]) -> None:
    """Print what is wrong with hours of exports, one line for each reason at a destination."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for each, hour, why in wrong:
        found.setdefault((each.destination, why), []).append((each.table, hour))
    for (destination, why), where in [*found.items()][:MOST_LINES]:
        tables = sorted({table for table, _ in where})
        named = f"{destination}/{tables[0]}" if len(tables) == 1 else f"{destination} ({len(tables)} tables)"
        hours = f" {where[0][1]}" if len(where) == 1 else f", {len(where):,} hours"
        say(f"{named}{hours}: {why}".replace(" :", ":"), style="red")
    if len(found) > MOST_LINES:
        say(f"… and {len(found) - MOST_LINES:,} more; --json has all")
