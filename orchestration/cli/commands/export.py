"""Commands for exports: push what is behind, say how deliveries stand, ask destinations what they hold."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.base.errors import WRONG_CALL
from lake.export import destinations
from lake.export.declaration import Export
from lake.export.destination import Destination, Partition, altered_files, kinds
from lake.export.errors import ExportError
from lake.export.push import Pushed
from lake.ledger.export_receipts import ExportReceipt, exported
from lake.storage.store import Store
from orchestration.cli.app import (
    First,
    Json,
    Last,
    UsageError,
    app,
    hour_range,
    lake,
    out,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.settings import Settings
from orchestration.steps.exports import (
    ExportState,
    declared_exports,
    export_states,
    opened,
    push_behind,
    pushing_again,
)

export = typer.Typer(help="Curated tables at their destinations, with receipts.", no_args_is_help=True)
app.add_typer(export, name="export")

Destinations = Annotated[list[str] | None, typer.Option("--destination", help="Only these, by their names.")]
Tables = Annotated[list[str] | None, typer.Option("--table", help="Only these tables, by their names there.")]
SAME, CANNOT_BE_ASKED = "same", "cannot be asked"
_MOST_LINES = 10

Wrong = tuple[Export, str, str]  # which export, which hour ("" for all of them), and why


@export.command()
def push(
    destination: Destinations = None,
    table: Tables = None,
    first: First = None,
    last: Last = None,
    again: Annotated[bool, typer.Option("--again", help="Also hours that are delivered already.")] = False,
    json: Json = False,
) -> None:
    """Push the event hours that are behind. Each is replaced whole, and read back; what is current is left alone."""
    used, store = settings(), lake()
    exports = _chosen(destination, table)
    span = hour_range(first, last)
    rows: dict[str, dict[str, Any]] = {}
    failures: list[Wrong] = []
    for each, pushed in _followed(push_behind(used, store, exports, *span, again), json):
        row = rows.setdefault(str(each), _empty(each))
        if pushed.failed:
            row["failed"][pushed.hour] = pushed.failed
            failures.append((each, pushed.hour, pushed.failed.removeprefix("not tried: ")))
        elif pushed.receipt is not None:
            row["hours"] += 1
            row["rows"] += pushed.receipt.held_rows
            row["refused"] += pushed.receipt.refused
            row["bytes"] += pushed.receipt.bytes_pushed
            if pushed.receipt.mismatch:
                row["mismatches"][pushed.hour] = pushed.receipt.mismatch
                failures.append((each, pushed.hour, pushed.receipt.mismatch))
    if json:
        print_json(list(rows.values()))
    else:
        _print_pushed([row for row in rows.values() if row["hours"]], bool(failures))
        print_wrong(failures)
        if failed := sum(len(row["failed"]) for row in rows.values()):
            say(f"{failed:,} hours were not delivered: they are in the lake, and stay behind")
        for line in _unset(exports, used):
            say(line)
    if failures:
        raise typer.Exit(1)
    _exit_if_nowhere(exports, used)


def _followed(pushed: Iterable[tuple[Export, Pushed]], hidden: bool) -> Iterator[tuple[Export, Pushed]]:
    """Yield what was pushed, and say how far it is."""
    with progress("pushing", hidden) as tell:
        for n, (each, hour) in enumerate(pushed, 1):
            tell(f"pushed to {each}; hours in all", n)
            yield each, hour


def _empty(each: Export) -> dict[str, Any]:
    counts = dict.fromkeys(("hours", "rows", "refused", "bytes"), 0)
    return {"destination": each.destination, "table": each.table, **counts, "mismatches": {}, "failed": {}}


def _print_pushed(rows: Sequence[dict[str, Any]], failed: bool) -> None:
    if not rows:
        if not failed:
            out.print("nothing was behind")
        return
    columns = ("destination", "table", "hours", "rows", "refused", "bytes")
    print_table("", columns, [[row[name] for name in columns] for row in rows])


def _unset(exports: Sequence[Export], used: Settings) -> list[str]:
    """Return a line for each destination that models declare and the settings do not name."""
    lines = []
    wrong = {name.removeprefix("destinations.") for name in used.left_out}
    for name in sorted({each.destination for each in exports} - used.destinations.keys() - wrong):
        meant = get_close_matches(name, used.destinations, 1)
        told = f"is {meant[0]} meant?" if meant else "add it under `destinations` in the settings"
        lines.append(f"{name}: declared by models, not configured: {told}")
    return lines


@export.command()
def status(destination: Destinations = None, table: Tables = None, json: Json = False) -> None:
    """What each destination has, and what is behind, with the age of the oldest hour that waits."""
    used, store = settings(), lake()
    found = export_states(used, store, _chosen(destination, table))
    if json:
        print_json([_told(each) for each in found])
    else:
        shown = [each for each in found if each.status is not None]
        heads = ("destination", "table", "hours", "rows", "refused", "behind", "oldest\nwaits", "ok")
        if shown:
            print_table("", heads, [_row(each) for each in shown], 1)
        for line in [*_remarks(found), *_unset([each.export for each in found], used)]:
            say(line)
        if not found:
            out.print("no model declares an export (meta.exports)")
    if any(each.failed or each.lacking or (each.status and each.status.mismatches) for each in found):
        raise typer.Exit(1)
    if not any(each.status is not None for each in found):
        _exit_if_nowhere([each.export for each in found], used)


@export.command()
def verify(
    destination: Destinations = None, table: Tables = None, first: First = None, last: Last = None, json: Json = False
) -> None:
    """Ask the destinations again what they hold of what was delivered: rows, and the checksum over their keys."""
    used, store = settings(), lake()
    span, chosen = hour_range(first, last), _chosen(destination, table)
    with progress("asking the destinations", hidden=json) as tell:
        verified = verify_all(used, store, chosen, span, lambda each, n: tell(f"asking for {each}; hours in all", n))
    if json:
        print_json(verified.rows)
    else:
        for line in verified.lines():
            say(line)
        print_wrong(verified.wrong)
        for line in _unset(chosen, used):
            say(line)
    if verified.wrong:
        raise typer.Exit(1)
    _exit_if_nowhere(chosen, used)


def _exit_if_nowhere(exports: Sequence[Export], used: Settings) -> None:
    """End with the code for absent settings when no export has a destination: the lines above name what is not set."""
    if exports and not any(each.destination in used.destinations for each in exports):
        raise typer.Exit(WRONG_CALL)


def _chosen(destinations: Sequence[str] | None, tables: Sequence[str] | None) -> Sequence[Export]:
    """Return the declared exports of some destinations and tables.

    Raises UsageError naming those there are, SettingsError for a destination whose settings cannot be used.
    """
    for name in destinations or ():
        settings().refuse(f"destinations.{name}")
    found = declared_exports()
    for asked, known, what in (
        (destinations, sorted({each.destination for each in found}), "destination"),
        (tables, sorted({each.table for each in found}), "exported table"),
    ):
        unknown = sorted(set(asked or ()) - set(known))
        if unknown:
            raise UsageError(f"no {what} {unknown[0]!r} is declared; there are {', '.join(known) or 'none'}")
    return [
        each
        for each in found
        if (not destinations or each.destination in destinations) and (not tables or each.table in tables)
    ]


def _row(each: ExportState) -> list[object]:
    held = each.status
    if held is None:
        return []
    oldest = min((hour.since for hour in held.behind), default="")
    counts: list[object] = [held.hours, held.rows, held.refused, len(held.behind)]
    return [each.export.destination, each.export.table, *counts, _age(oldest), not held.mismatches]


def _age(since: str) -> str:
    """Return how long ago a time (ISO) was, in the largest unit that fits."""
    if not since:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def _remarks(found: Sequence[ExportState]) -> list[str]:
    lines = []
    for each in found:
        if each.failed:
            lines.append(f"{each.export.destination}: {each.failed}")
        lines += [f"{each.export.destination}: {missing}" for missing in each.lacking]
        for hour, why in (each.status.mismatches if each.status else ())[:_MOST_LINES]:
            lines.append(f"{each.export} {hour}: {why}")
    behind = Counter(hour.why for each in found if each.status for hour in each.status.behind)
    if behind:
        why = ", ".join(f"{number:,} {name}" for name, number in sorted(behind.items()))
        lines.append(f"{behind.total():,} hours are behind ({why}): run `headwater export push`")
    elif any(each.status for each in found):
        lines.append("nothing is behind")
    return [*dict.fromkeys(lines)]


def _told(each: ExportState) -> dict[str, Any]:
    held = each.status
    state = "failed" if each.failed else "not configured" if held is None else "behind" if held.behind else "current"
    told: dict[str, Any] = {
        "destination": each.export.destination,
        "table": each.export.table,
        "model": each.export.model,
        "type": each.kind,
        "identity": each.identity,
        "state": "mismatch" if held is not None and held.mismatches else state,
        "failed": each.failed,
        "lacking": list(each.lacking),
    }
    if held is not None:
        oldest = min((hour.since for hour in held.behind), default="")
        told |= {
            "hours": held.hours,
            "rows": held.rows,
            "refused": held.refused,
            "behind": [{"hour": one.hour, "why": one.why, "since": one.since, "rows": one.rows} for one in held.behind],
            "oldest_waits_since": oldest,
            "oldest_waits_seconds": _seconds(oldest),
            "mismatches": dict(held.mismatches),
        }
    return told


def _seconds(since: str) -> int | None:
    return int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()) if since else None


@export.command()
def addon(
    folder: Annotated[Path, typer.Argument(help="Where the add-on's folder is made.")], json: Json = False
) -> None:
    """Write a Splunk add-on with CIM field aliases, event types and tags for the classes that go to Splunk."""
    there = Path(destinations.__path__[0])
    made = [
        import_module(f"{destinations.__name__}.{each}.addon").write_addon(folder)
        for each in kinds()
        if (there / each / "addon.py").is_file()
    ]
    if not made:
        raise UsageError("no destination has an add-on")
    if json:
        print_json({"folder": str(made[0])})
    else:
        say(str(made[0]))


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
    settings: Settings,
    store: Store,
    exports: Sequence[Export],
    span: tuple[str | None, str | None],
    told: Callable[[Export, int], None] = lambda each, n: None,
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
                        told(each, len(found.rows))
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
    try:
        held = there.read_back(each.table, Partition.of(hour))
    except ExportError:
        if altered := _altered(receipt, there):  # such a file stops no other from being asked for
            return altered
        raise
    if held is None:
        return CANNOT_BE_ASKED
    if (held.rows, held.checksum) == (receipt.held_rows, receipt.held_checksum):
        return _altered(receipt, there) or SAME
    other = "" if held.rows != receipt.held_rows else " of other events (checksum over keys)"
    return f"{held.rows:,} rows are there, the receipt says {receipt.held_rows:,}{other}; {pushing_again(receipt)}"


def _altered(receipt: ExportReceipt, there: Destination) -> str:
    """Return what is wrong with the files of an hour, and what to do."""
    named = "; ".join(f"{file} {found}" for file, found in altered_files(there, receipt.digests).items())
    return f"{named}; {pushing_again(receipt)}" if named else ""


def print_wrong(wrong: Sequence[Wrong]) -> None:
    """Print what is wrong with hours of exports, one line for each reason at a destination."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for each, hour, why in wrong:
        found.setdefault((each.destination, why), []).append((each.table, hour))
    for (destination, why), where in [*found.items()][:_MOST_LINES]:
        tables = sorted({table for table, _ in where})
        named = f"{destination}/{tables[0]}" if len(tables) == 1 else f"{destination} ({len(tables)} tables)"
        hours = f" {where[0][1]}" if len(where) == 1 else f", {len(where):,} hours"
        say(f"{named}{hours}: {why}".replace(" :", ":"), style="red")
    if len(found) > _MOST_LINES:
        say(f"… and {len(found) - _MOST_LINES:,} more; --json has all")
