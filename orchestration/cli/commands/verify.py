"""The command that holds log files against what their vendor signed, and the lake's files against its receipts."""

from functools import partial
from typing import Annotated

import typer

from ingest.contracts import load_contracts
from ingest.sources import Report, integrity_of
from lake import ledger
from lake.query.values import KINDS, MISSING
from lake.upkeep.broken_receipts import UNKNOWN
from orchestration.cli.app import (
    Json,
    UsageError,
    app,
    contract,
    hour_range,
    lake,
    number,
    print_json,
    print_table,
    progress,
    say,
    settings,
)
from orchestration.steps.verify import newest_settled, values_of_source, verifiable, verify_hours, verify_lake

LAKE, VALUES = "lake", "values"  # no source has these names


@app.command()
def verify(
    source: Annotated[
        str,
        typer.Argument(
            help="A source whose log files are signed; `lake`, for the lake itself; or `values`, for what records say."
        ),
    ],
    first: Annotated[
        str | None, typer.Option("--from", help="First arrival hour or day (UTC); default: the newest provable hour.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last arrival hour or day (UTC), included.")] = None,
    sample: Annotated[
        float,
        typer.Option(min=0, max=1, help="Of `lake`: the share of files to read again; of `values`: of rows."),
    ] = 1.0,
    only: Annotated[
        list[str] | None, typer.Option("--source", help="Of `lake` and `values`: only these sources.")
    ] = None,
    json: Json = False,
) -> None:
    """Verify log files by CloudTrail's digest chain, or with `lake` every file of the lake by its receipt.

    Log files: missing, altered and unnamed ones, and what the lake landed. Lake: damaged, missing and unnamed files.
    """
    if source == VALUES:
        _verify_values(sample, [contract(name).source for name in only] if only else None, json)
        return
    if source == LAKE:
        _verify_lake(sample, [contract(name).source for name in only] if only else None, json)
        return
    held = contract(source)
    if integrity_of(source) is None:
        known = ", ".join(verifiable(load_contracts())) or "none"
        raise UsageError(f"log files of {source} carry no signatures; there are those of {known}")
    hours = _span(source, first, last)
    with progress("verifying", hidden=json) as tell:
        report = verify_hours(settings(), held, lake(), *hours, told=partial(tell, "verifying: log files"))
    if json:
        print_json(report.plain())
    else:
        _tell(report)
    if not report.sound:
        raise typer.Exit(1)


def _verify_values(share: float, sources: list[str] | None, json: bool) -> None:
    store, found = lake(), {}
    for source in sources or [each for each in load_contracts() if each in ledger.sources(store)]:
        doing = f"reading {source}: rows"
        with progress(doing, hidden=json) as tell:
            found[source] = values_of_source(store, source, share, told=partial(tell, doing))
    if json:
        print_json(
            {
                source: {"rows": each.rows, "values": dict(each.values), "missing": dict(each.missing)}
                for source, each in found.items()
            }
        )
    else:
        print_table(
            "",
            ("source", "rows", "values", *KINDS, "accounted for"),
            [
                (name, each.rows, each.values.total(), *(each.values[kind] for kind in KINDS), f"{each.share:.2%}")
                for name, each in found.items()
            ],
        )
        for name, each in found.items():
            for path, count in each.missing.most_common(5):
                say(f"{name}: {path} is nowhere in {number(count, 'row')}, e.g. metadata.uid {each.examples[path]}")
    if any(each.values[MISSING] for each in found.values()):
        raise typer.Exit(1)


def _verify_lake(sample: float, sources: list[str] | None, json: bool) -> None:
    store = lake()
    with progress("reading the lake", hidden=json) as tell:
        report = verify_lake(store, sample, sources, lambda files: tell("reading the lake: files", files), settings())
    looked = report.looked
    if json:
        print_json(
            {
                "counts": {
                    kind: {
                        "files": looked.files[kind],
                        "bytes": looked.bytes.get(kind, 0),
                        "read": looked.read.get(kind, 0),
                        "not_checked": looked.not_checked.get(kind, 0),
                    }
                    for kind in looked.files
                },
                "damage": report.damage,
                "marked": report.marked,
            }
        )
    else:
        counts = [
            (kind, files, looked.bytes.get(kind, 0), looked.read.get(kind, 0), looked.not_checked.get(kind, 0))
            for kind, files in looked.files.items()
        ]
        if counts:
            print_table("", ("kind", "files", "bytes", "read\nagain", "without\nchecksum"), counts)
        for each in report.damage:
            now = f" (now {report.marked[each.key]})" if each.key in report.marked else ""
            say(f"{each.state:11}{each}{now}", style="yellow" if each.state == UNKNOWN else "red")
        unchecked = sum(looked.not_checked.values())
        if unchecked:
            say(f"not checked: {number(unchecked, 'file')} of receipts without checksums; only their footers were read")
        say(f"{number(len(report.damage), 'file')} damaged, missing or unknown")
        if report.marked:
            say(f"{number(len(report.marked), 'table file')} put aside: run `headwater build` to make them again")
    if report.damage:
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
