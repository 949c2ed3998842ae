"""The command that holds delivered log files against what their vendor signed."""

from typing import Annotated

import typer

from ingest.sources.aws_cloudtrail.digest_report import KINDS, Report
from orchestration.cli.app import Json, app, contract, hour_range, lake, settings
from orchestration.cli.output import UsageError, err, print_json, print_table, say
from orchestration.steps.verify import VERIFIABLE, newest_settled, verify_hours


@app.command()
def verify(
    source: Annotated[str, typer.Argument(help="The source whose log files are signed: aws_cloudtrail.")],
    first: Annotated[
        str | None, typer.Option("--from", help="First arrival hour or day (UTC); default: the newest provable hour.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last arrival hour or day (UTC), included.")] = None,
    json: Json = False,
) -> None:
    """Verify log files by CloudTrail's digest chain: missing, altered and unnamed files, and what the lake landed."""
    held = contract(source)
    if source not in VERIFIABLE:
        raise UsageError(f"log files of {source} carry no signatures; there are those of {', '.join(VERIFIABLE)}")
    hours = _span(first, last)
    with err.status("verifying …"):
        report = verify_hours(settings(), held, lake(), *hours)
    if json:
        print_json(report_told(report))
    else:
        _tell(report)
    if not report.sound:
        raise typer.Exit(1)


def _span(first: str | None, last: str | None) -> tuple[str, str]:
    since, until = hour_range(first, last or first)
    since, until = since or newest_settled(), until or newest_settled()
    if since > until:
        raise UsageError(f"--from {since} lies after --to {until}")
    return since, until


def report_told(report: Report) -> dict[str, object]:
    """Return a report as plain values, each finding with its severity and what its kind means."""
    findings = [
        {
            "kind": each.kind,
            "severity": each.severity,
            "meaning": KINDS[each.kind][1],
            "file": each.file,
            "why": each.why,
            "digest": each.digest,
            "batches": list(each.batches),
        }
        for each in report.findings
    ]
    plain = {name: getattr(report, name) for name in report.__struct_fields__ if name != "findings"}
    return {**plain, "sound": report.sound, "findings": findings}


def _tell(report: Report) -> None:
    heads = ("chain of digests", "digests", "proven", "covered\nfrom", "to")
    rows = [(each.chain, each.digests, each.proven, each.first, each.last) for each in report.chains]
    if rows:
        print_table("", heads, rows)
    say(summary(report))
    for each in report.findings:
        say(f"{each.severity:8}{each.kind}: {each.file}", style="red" if each.severity == "error" else "yellow")
        say(f"        {each.why}" + (f" (by {each.digest})" if each.digest else ""))


def summary(report: Report) -> str:
    """Return in one line how much was verified."""
    span = report.first if report.first == report.last else f"{report.first} to {report.last}"
    return (
        f"{span}: {report.log_files:,} log files in {report.digests:,} digests, {report.intact:,} intact"
        f" ({report.proven:,} proven by a signature), {report.landed:,} landed as verified;"
        f" {len(report.findings)} findings"
    )
