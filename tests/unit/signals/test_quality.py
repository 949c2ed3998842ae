"""The funnel of a product by month, and its precision and recall against labels."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.signals.quality import quality_sql
from lake.signals.truth import BadTruth, read_truth, score
from lake.signals.verdicts import Verdict, add_verdicts
from lake.storage.store import LocalStore
from tests.unit.signals.lakes import PRODUCT, built, funnel, lake

LABELS = {
    "incidents": [{"incident": "theft", "events": ["E1", "e2"]}, {"incident": "missed one", "events": ["e9"]}],
    "innocent": {"backup": ["e5"]},
}


def quality(store: LocalStore) -> list[dict[str, Any]]:
    """The rows of gold.signal_quality."""
    cursor = duckdb.execute(quality_sql(store, [PRODUCT]))
    names = [each[0] for each in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_funnel_goes_from_raw_events_to_true_signals(tmp_path: Path) -> None:
    found: list[tuple[str, str, list[str]]] = [(f"f{number}", f"2026-03-02T07:0{number}:00", []) for number in range(6)]
    store = lake(tmp_path, *found, ("april", "2026-04-01T00:00:00", []))
    for hour in ("2026-03-02T07:00", "2026-03-30T09:00"):
        funnel(store, hour, raw=1000, candidates=10, signals=3)
    built(store, "2026-03-02T07", "2026-03-02T09:00:00+00:00")
    said = ("true_positive", "true_positive", "false_positive", "benign", "duplicate")
    given = [Verdict(f"f{number}", each) for number, each in enumerate(said)]
    add_verdicts(store, given, [PRODUCT], "test", datetime(2026, 3, 5))
    march, april = quality(store)
    assert (PRODUCT, 2000, 20, 6) == tuple(march[name] for name in ("product", "raw_events", "candidates", "signals"))
    assert (5, 2, 1, 1, 1) == tuple(
        march[name] for name in ("reviewed", "true_positives", "false_positives", "benign", "duplicates")
    )
    assert 0.5 == march["precision"]
    assert (300, 7050) == (march["median_seconds_to_arrival"], march["median_seconds_to_signal"])
    assert (1, 0, None, None) == tuple(
        april[name] for name in ("signals", "reviewed", "precision", "median_seconds_to_signal")
    )


def test_a_disposition_that_was_taken_back_counts_no_longer(tmp_path: Path) -> None:
    store = lake(tmp_path, ("f1", "2026-03-02T07:00:00", []))
    for day, said in ((5, "true_positive"), (6, "false_positive")):
        add_verdicts(store, [Verdict("f1", said)], [PRODUCT], "test", datetime(2026, 3, day))
    (row,) = quality(store)
    assert (1, 0, 1, 0.0) == (row["reviewed"], row["true_positives"], row["false_positives"], row["precision"])


def test_an_empty_lake_has_no_quality(tmp_path: Path) -> None:
    assert [] == quality(lake(tmp_path))


def test_signals_are_held_against_labelled_events(tmp_path: Path) -> None:
    store = lake(
        tmp_path,
        ("true", "2026-03-02T07:00:00", ["e1", "e5"]),
        ("again", "2026-03-02T07:10:00", ["E2"]),
        ("false", "2026-03-02T08:00:00", ["e7"]),
        ("nothing", "2026-03-02T08:30:00", []),
    )
    found = score(store, PRODUCT, LABELS)
    told = {each.uid: (each.incidents, each.innocent) for each in found.signals}
    assert {
        "true": (("theft",), ("backup",)),
        "again": (("theft",), ()),
        "false": ((), ()),
        "nothing": ((), ()),
    } == told
    assert (0.5, 0.5, ("missed one",)) == (found.precision, found.recall, found.missed)


def test_without_signals_there_is_no_precision_and_nothing_is_found(tmp_path: Path) -> None:
    found = score(lake(tmp_path), PRODUCT, LABELS)
    assert (None, 0.0) == (found.precision, found.recall)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[]", "has no labels"),
        ("{}", "has no labels"),
        ('{"signals": 1}', "expected the labels"),
    ],
)
def test_labels_that_cannot_be_used_are_told(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(BadTruth, match=complaint):
        read_truth(tmp_path / "truth.json")


def test_labels_without_events_are_told(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text(json.dumps({"signals": {PRODUCT: {"incidents": [{"incident": "theft"}]}}}))
    with pytest.raises(BadTruth, match="each has `incident` and `events`"):
        score(lake(tmp_path / "lake"), PRODUCT, read_truth(tmp_path / "truth.json")[PRODUCT])
