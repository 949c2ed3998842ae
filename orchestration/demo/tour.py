"""The steps of every demo: land, build, match, export, balance, ask. Each step calls what users call.

It runs as a process of its own (`orchestration.demo.local.run_tour`), by the settings file and the secrets of its
environment. A second run changes nothing: hours that have landed are not asked for again, and nothing is stale.
"""

import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.contracts import Contract, load_contracts
from ingest.objects import list_places
from lake import ledger
from lake.export.push import Pushed
from lake.ledger.balance import Balance, balance
from lake.storage import paths
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.cli.app import fail, known_errors
from orchestration.cli.commands.balance import print_balance
from orchestration.dbt.project import load_project
from orchestration.dbt.run import build
from orchestration.demo.context import load_context
from orchestration.demo.signals import differences, find_later, review, tell_answer, tell_incident
from orchestration.demo.simulators.loopback import ServerProcess, simulator
from orchestration.settings import ObjectSource, access_of, load_settings, open_lake
from orchestration.steps.collect import land_hour
from orchestration.steps.exports import declared_exports, push_behind

Truth = dict[str, Any]  # what the estate's generator counted while it wrote: estate/truth.json
TOKEN_VARIABLE = "HEADWATER_OKTA_TOKEN"
TOKEN = "demo-token"  # what the simulated org accepts; a real org's token is never in a file
_PUSHES = """
  with steps as (
    select user.name as who, time_dt, src_endpoint as origin, metadata.event_code as step, status_id,
      count_if(metadata.event_code = 'user.mfa.okta_verify.deny_push')
        over (partition by user.name order by time range between 900000 preceding and current row) as denials
    from silver.authentication where source = 'okta_system_log'
  ),
  let_in as (
    select * from steps where denials >= 3 and step = 'user.authentication.auth_via_mfa' and status_id = 1
  )
"""
QUESTIONS = (
    (
        "Who denied one push after another, and within a quarter of an hour let one through?",
        f"""{_PUSHES}
        select strftime(time_dt, '%H:%M:%S') as at, who, denials, origin.ip as ip, origin.location.country as country,
          origin.autonomous_system.name as network
        from let_in order by time_dt
        """,
    ),
    (
        "What did that account do on Windows machines in the hour after?",
        f"""{_PUSHES}
        select strftime(event.time_dt, '%H:%M:%S') as at, event.dst_endpoint.hostname as machine,
          event.logon_type as logon, event.status, event.src_endpoint.ip as "from"
        from silver.authentication as event join let_in
          on lower(event.user.name) = split_part(let_in.who, '@', 1)
          and event.time_dt between let_in.time_dt and let_in.time_dt + interval 1 hour
        where event.source = 'windows_event' and event.activity_id = 1
        order by event.time_dt limit 8
        """,
    ),
    (
        "And what did that address ask of AWS?",
        f"""{_PUSHES},
        calls as (  -- sessions of roles are sign-ins
          select time_dt, src_endpoint.ip, api.operation, http_request.user_agent from silver.api_activity
          union all
          select time_dt, src_endpoint.ip, api.operation, http_request.user_agent from silver.authentication
          where source = 'aws_cloudtrail'
        )
        select min(strftime(event.time_dt, '%H:%M:%S')) as first, event.operation,
          any_value(event.user_agent) as user_agent, count(*) as calls
        from calls as event join let_in on event.ip = let_in.origin.ip
        group by event.operation order by first limit 8
        """,
    ),
)

console = Console(highlight=False)


def tour(home: Path, places: str) -> int:
    """Run all steps in a demo's folder; return 0 when every sheet balances and the truth of the estate is met."""
    truth: Truth = json.loads((home / "estate/truth.json").read_text())
    store = open_lake(load_settings())
    recover(store)
    step("2/8", f"landing it hour by hour: {places}, and an Okta API on loopback that throttles")
    land_all(home, store, truth)
    step("3/8", "what the company knew and when: CMDB, directory, threat lists and warning lists, snapshot by snapshot")
    for line in load_context(store):
        console.print(f"    {line}", markup=False)
    step("4/8", "building OCSF tables and signals with dbt, each event with its context as it was at the time")
    done = build(load_settings(), store, sorted(load_contracts()))
    hours = sum(len(found) for found in done.hours.values())
    console.print(f"    {hours} event hours built, {len(done.models)} tables" if hours else "    nothing is stale")
    step("5/8", "threat lists matched with the past: what was learned only later")
    find_later(store)
    destinations = ", ".join(sorted(load_settings().destinations))
    step("6/8", f"exporting the curated tables, each hour read back: {destinations or 'no destination is configured'}")
    undelivered = export(store)
    step("7/8", "the balance sheet: what became of every event")
    sheet = balance(store, mappings=load_project().mappings, deliveries=True)
    print_balance(sheet)
    wrong = _compared(compare(sheet, truth), "it is what the generator says it wrote")
    step("8/8", "the incident that was planted")
    tell_incident(store, truth)
    for title, question in QUESTIONS:
        console.print(f"\n{title}", style="bold")
        tell_answer(store, question)
    console.print("\nHow good are the signals?", style="bold")
    scores = review(store, home / "estate/truth.json")
    wrong += _compared(differences(store, truth, scores), "signals and matches are those that were planted")
    return 0 if sheet.balanced and not wrong and not undelivered else 1


def _compared(wrong: list[str], right: str) -> list[str]:
    """Print how something compares with the truth of the estate; return what is wrong."""
    for line in wrong:
        console.print(f"    the truth of the estate says otherwise: {line}", style="red", markup=False)
    if not wrong:
        console.print(f"    … and {right} (estate/truth.json)", style="green")
    return wrong


def export(store: Store) -> int:
    """Push what is behind at the configured destinations; return how many hours were not delivered."""
    done: dict[str, list[Pushed]] = {}
    for exported, pushed in push_behind(load_settings(), store, declared_exports()):
        done.setdefault(exported.destination, []).append(pushed)
    failed = 0
    for destination, hours in sorted(done.items()):
        receipts = [each.receipt for each in hours if each.receipt is not None]
        rows, sent = sum(each.held_rows for each in receipts), sum(each.bytes_pushed for each in receipts)
        wrong = [each for each in hours if each.failed or (each.receipt is not None and each.receipt.mismatch)]
        failed += len(wrong)
        proofs = ", ".join(sorted({each.proof for each in receipts}))
        console.print(
            f"    {destination}: {len({each.table for each in receipts})} tables, {len(receipts)} hours, {rows:,} rows,"
            f" {sent / 1e6:.1f} MB; proof: {proofs}"
        )
        for each in wrong[:3]:
            why = each.failed or (each.receipt.mismatch if each.receipt is not None else "")
            console.print(f"    {destination} {each.hour}: {why}", style="red", markup=False)
    if not done:
        console.print("    nothing is behind")
    return failed


def step(number: str, title: str) -> None:
    """Say what comes next."""
    console.print(f"\n[bold cyan]{number}[/] {title}")


def land_all(home: Path, store: Store, truth: Truth) -> None:
    """Land every arrival hour of every source that has no receipt yet."""
    contracts = load_contracts()
    todo = [
        (source, hour)
        for source in sorted(load_settings().sources)
        for hour in arrival_hours(truth, contracts[source])
        if ledger.landing(store, source, paths.hour_name(hour)) is None
    ]
    if not todo:
        console.print("    every hour has landed already")
        return
    columns = (TextColumn("    {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with okta_org(home), Progress(*columns, console=console) as bar:
        for source in sorted({source for source, _ in todo}):
            hours = [hour for each, hour in todo if each == source]
            task = bar.add_task(source, total=len(hours))
            for hour in hours:
                land_hour(load_settings(), contracts[source], hour)
                bar.advance(task)
            if not console.is_terminal:
                console.print(f"    {source}: {len(hours)} arrival hours landed")


def arrival_hours(truth: Truth, contract: Contract) -> list[datetime]:
    """Return the hours (naive UTC) in which something of a source arrived, gaps included.

    Objects of a bucket whose names tell no time arrived when they were put there.
    """
    place = load_settings().sources[contract.source]
    if isinstance(place, ObjectSource) and place.root and place.root.startswith("s3://"):
        listing = list_places(contract, [place.root], access_of(load_settings(), contract.source))
        hours = sorted({paths.floor_hour(each.arrived_at) for each in listing.objects})
    else:
        found = truth["sources"][contract.source]["by_arrival_hour"]
        hours = sorted(datetime.fromisoformat(hour).replace(tzinfo=None) for hour in found)
    first, last = hours[0], hours[-1]
    return [first + timedelta(hours=at) for at in range(int((last - first).total_seconds() // 3600) + 1)]


def okta_org(home: Path) -> ServerProcess:
    """Return the simulated Okta org, to be run as a process: real HTTP, real paging, a 429 now and then."""
    place = yaml.safe_load((home / "headwater.yml").read_text())["sources"]["okta_system_log"]
    words = ["--events", str(home / "estate/okta/system_log.ndjson.gz"), "--port", place["base_url"].rsplit(":", 1)[1]]
    token = {TOKEN_VARIABLE: os.environ.get(TOKEN_VARIABLE, TOKEN)}
    return simulator("okta", *words, "--rate-limit", "600", "--fault", "rate_limit:25", environment=token)


def compare(sheet: Balance, truth: Truth) -> list[str]:
    """Return where the sheet differs from what the estate's generator counted while it wrote."""
    wrong = []
    for row in sheet.sources:
        counted = truth["sources"][row.source]
        expected = {
            "read": counted["read"],
            "landed": counted["landed"],
            "quarantined": sum(counted["quarantined"].values()),
            "duplicates": counted["duplicates"],
            "collisions": counted["collision_rows"],
        }
        wrong += [
            f"{row.source} {name}: {getattr(row, name)}, not {number}"
            for name, number in expected.items()
            if getattr(row, name) != number
        ]
    return wrong


if __name__ == "__main__":
    try:
        sys.exit(tour(Path(sys.argv[1]), sys.argv[2]))
    except known_errors() as problem:
        sys.exit(fail(problem))
