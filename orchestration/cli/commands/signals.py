"""Commands for the signals of data products: how good they are."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from lake.signals.quality import quality_sql
from lake.signals.truth import BadTruth, Score, read_truth, score
from lake.storage import duck
from orchestration.cli.app import Json, app, lake, out, print_json, print_table, say
from orchestration.steps.products import product_names

signals = typer.Typer(no_args_is_help=True, help="How good the signals of the data products are.")
app.add_typer(signals, name="signals")


@signals.command("score")
def score_(
    truth: Annotated[Path, typer.Option(help="Labels: incidents with their events, by product (JSON).")],
    json: Json = False,
) -> None:
    """Hold the signals against labelled events: precision and recall. Exit code 1 if one is false or missed."""
    store, told = lake(), read_truth(truth)
    unknown = sorted(set(told) - set(product_names()))
    if unknown:
        raise BadTruth(f"{truth}: there is no product {unknown[0]!r}; there are {', '.join(product_names())}")
    scores = [score(store, product, labels) for product, labels in sorted(told.items())]
    if json:
        print_json([_told(each) for each in scores])
    else:
        tell_scores(scores)
    if any(each.missed or each.true < len(each.signals) for each in scores):
        raise typer.Exit(1)


@signals.command("quality")
def quality(json: Json = False) -> None:
    """Show the funnel of each product by month: raw events, candidates, signals, reviewed, true."""
    with duck.connect(store := lake()) as con:
        cursor = con.execute(quality_sql(store, product_names()))
        names, rows = [column[0] for column in cursor.description or ()], cursor.fetchall()
    if json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table("", [name.replace("_", " ") for name in names], rows)


def tell_scores(scores: list[Score]) -> None:
    """Print every signal with what it tells of, then precision and recall of each product."""
    rows = [
        (each.severity, each.score, ", ".join(each.incidents) or "nothing that is labelled", each.message)
        for found in scores
        for each in found.signals
    ]
    if rows:
        print_table("", ("severity", "score", "tells of", "sentence"), rows)
    for found in scores:
        precision, recall = _share(found.precision), _share(found.recall)
        out.print(
            f"{found.product}: {len(found.signals)} signals, {found.true} true; precision {precision}; "
            f"{len(found.incidents) - len(found.missed)} of {len(found.incidents)} incidents found; recall {recall}"
        )
        if found.missed:
            say(f"missed: {', '.join(found.missed)}")


def _told(found: Score) -> dict[str, object]:
    signals = [json_text.loads(json_text.dumps(each.__dict__)) for each in found.signals]
    told = {"product": found.product, "precision": found.precision, "recall": found.recall}
    return told | {"incidents": found.incidents, "missed": found.missed, "signals": signals}


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"
