"""The command that holds delivered log files against what their vendor signed."""

from typing import Annotated

import typer

from ingest.contracts import load_contracts
from ingest.sources import Report, integrity_of
from orchestration.cli.app import (
    Json,
    UsageError,
    app,
    contract,
    hour_range,
    lake,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.steps.verify import newest_settled, verifiable, verify_hours


@app.command()
def verify(
    source: Annotated[str, typer.Argument(help="A source whose log files are signed.")],
    first: Annotated[
        str | None, typer.Option("--from", help="First arrival hour or day (UTC); default: the newest provable hour.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last arrival hour or day (UTC), included.")] = None,
    json: Json = False,
) -> None:
    """Verify log files by CloudTrail's digest chain: missing, altered and unnamed files, and what the lake landed."""
    held = contract(source)
    if integrity_of(source) is None:
        known = ", ".join(verifiable(load_contracts())) or "none"
        raise UsageError(f"log files of {source} carry no signatures; there are those of {known}")
    hours = _span(source, first, last)
    with progress("verifying", hidden=json):
        report = verify_hours(settings(), held, lake(), *hours)
    if json:
        print_json(report.plain())
    else:
        _tell(report)
    if not report.sound:
        raise typer.Exit(1)


def _span(source: str, first: str | None, last: str | None) -> tuple[str, str]:
    since, until = hour_range(first, last or first)
    newest = newest_settled(source)
    since, until = since or newest, until or newest
    if since > until:
        raise UsageError(f"--from {since} lies after --to {until}")
    return since, until


def _tell(report: Report) -> None:
    heads = ("chain of digests", "digests", "proven", "covered\nfrom", "to")
    rows = [(each.chain, each.digests, each.proven, each.first, each.last) for each in report.chains]
    if rows:
        print_table("", heads, rows)
    say(_summary(report))
    for each in report.findings:
        say(f"{each.severity:8}{each.kind}: {each.file}", style="red" if each.severity == "error" else "yellow")
        say(f"        {each.why}" + (f" (by {each.digest})" if each.digest else ""))


def _summary(report: Report) -> str:
    """Return in one line how much was verified."""
    span = report.first if report.first == report.last else f"{report.first} to {report.last}"
    return (
        f"{span}: {report.log_files:,} log files in {report.digests:,} digests, {report.intact:,} intact"
        f" ({report.proven:,} proven by a signature), {report.landed:,} landed as verified;"
        f" {len(report.findings)} findings"
    )
