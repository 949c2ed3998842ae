"""The command that shows how late a source's events arrive, and advises what to set."""

from typing import Annotated

import msgspec
import typer

from ingest.contracts import Contract
from lake import ledger
from lake.ledger.lateness import Lateness, lateness_of
from orchestration.cli.app import Json, app, contract, lake, print_json, print_table, say

_MOST_ROWS = 24


@app.command()
def lateness(
    source: Annotated[str, typer.Argument(help="A source that has landed by the hour.")], json: Json = False
) -> None:
    """Show event hour by arrival hour, how late 50 %, 99 % and all events came, and what to set because of it."""
    held = contract(source)
    found = lateness_of(ledger.landings(lake(), source, []))
    advice = _advice(held, found)
    if json:
        print_json({"source": source, **msgspec.structs.asdict(found), "advice": advice})
        return
    if not found.events:
        say(f"{source}: no hour has landed yet; `headwater fetch {source}` or the schedule lands them")
        return
    print_table("", ["event\nhour", "arrival\nhour", "events"], [list(each) for each in found.cells[:_MOST_ROWS]])
    if len(found.cells) > _MOST_ROWS:
        say(f"and {len(found.cells) - _MOST_ROWS:,} more; --json has them all")
    say(
        f"{source}: {found.events:,} events; hours from event to arrival: p50 {found.p50:g}, p99 {found.p99:g},"
        f" max {found.most:g}; the latest single event {found.worst_seconds / 3600:.1f} h"
    )
    for line in advice:
        say(line)


def _advice(held: Contract, found: Lateness) -> list[str]:
    """Return what to set: of an API settle and overlap, of others what the contract promises."""
    if held.api is not None:
        if not found.swept:
            sweep = f" {held.api.sweep} after its end" if held.api.sweep else ""
            return [f"no hour was asked for again yet: its schedule does{sweep}, and only that tells what came late"]
        share = found.found_late / found.swept
        if not found.found_late:
            return ["nothing came late: settle and overlap are enough"]
        advice = [f"{found.found_late:,} of {found.swept:,} records ({share:.2%}) came after their hour was fetched"]
        if share > 0.01:
            name, now = held.source, int(held.api.settle.total_seconds())
            advice.append(f"more than 1 %: set sources.{name}.settle_seconds to {2 * now or 600} (contract: {now})")
        advice.append("for the rest set overlap_seconds to 3600: the next hour's fetch then finds them, not the sweep")
        return advice
    promised = held.lateness_max.total_seconds()
    if found.worst_seconds > promised:
        return [f"the latest event came {found.worst_seconds / 3600:.1f} h late; the contract's latency allows"
                f" {promised / 3600:.1f} h: raise its valueExt"]  # fmt: skip
    return ["all within what the contract's latency allows"]
