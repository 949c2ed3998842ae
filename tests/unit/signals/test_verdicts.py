"""What is said of findings is kept, the last one counts, and what cannot be taken is named."""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.signals.verdicts import BadVerdicts, Verdict, add_verdicts, read_verdicts, verdicts_sql
from lake.storage.publish import recover
from lake.storage.store import LocalStore
from lake.upkeep.broken_receipts import CHANGED, MISSING, UNREADABLE, Damage
from lake.upkeep.damage import Looked, examine
from tests.unit.signals.lakes import PRODUCT, lake

NOON, LATER = datetime(2026, 3, 3, 12), datetime(2026, 3, 4, 12)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A lake with two findings."""
    return lake(tmp_path / "lake", ("f1", "2026-03-02T07:39:54", []), ("f2", "2026-03-02T07:50:00", []))


def say(store: LocalStore, *given: tuple[Any, ...], now: datetime = NOON) -> tuple[int, int, list[str]]:
    """Add dispositions; return how many were added and unchanged, and why others were refused."""
    done = add_verdicts(store, [Verdict(*each) for each in given], [PRODUCT], "test", now)
    return len(done.added), len(done.unchanged), [each.reason for each in done.refused]


def held(store: LocalStore, where: str = "true") -> list[tuple[Any, ...]]:
    """The dispositions of the lake, in the order in which they began to count."""
    said = f"select finding_uid, disposition, is_current from ({verdicts_sql(store)})"
    return duckdb.execute(f"{said} where {where} order by valid_from").fetchall()


def test_the_last_one_counts_and_what_was_said_before_is_kept(store: LocalStore) -> None:
    assert (1, 0, []) == say(store, ("f1", "false_positive", "ann"))
    assert (1, 0, []) == say(store, ("f1", "true_positive", "bob", "second look"), now=LATER)
    assert [("f1", "false_positive", False), ("f1", "true_positive", True)] == held(store)
    spans = f"select valid_from, valid_to from ({verdicts_sql(store)}) order by 1"
    assert [(NOON, LATER), (LATER, datetime(9999, 12, 31))] == duckdb.execute(spans).fetchall()


def test_their_files_are_held_against_receipts_byte_by_byte(store: LocalStore) -> None:
    """Zeroed, changed and missing ones are found; those of before have no receipt and are told as not checked."""
    say(store, ("f1", "false_positive", "ann"))
    say(store, ("f1", "true_positive", "bob"), now=LATER)
    looked = Looked()
    kind = "verdicts of analysts"

    def damage() -> list[Damage]:
        return [each for each in examine(store, share=1, looked=looked) if each.kind == kind]

    assert [] == damage()
    assert (2, 2, None) == (looked.files[kind], looked.read[kind], looked.not_checked.get(kind))

    first, last = sorted(store.path.glob("signals/dispositions/*/*.parquet"))
    (receipt,) = store.path.glob(f"ledger/verdicts/*/{last.stem}.json")
    whole = first.read_bytes()
    for damaged, state, found in (
        (bytes(len(whole)), CHANGED, "holds only zeros"),
        (whole[:50] + b"?" + whole[51:], CHANGED, "holds other bytes than its receipt says"),
        (whole[:-9], UNREADABLE, f"has {len(whole) - 9:,} bytes, and its receipt says {len(whole):,}"),
    ):
        first.write_bytes(damaged)
        (told,) = damage()
        assert (state, found) == (told.state, told.found)
        assert told.advice.startswith(
            "restore it from a backup; where there is none, delete its receipt ledger/verdicts/"
        )
    first.unlink()
    receipt.unlink()
    looked = Looked()
    (told,) = damage()
    assert (MISSING, 2, 1, 1) == (told.state, looked.files[kind], looked.read[kind], looked.not_checked.get(kind))


def test_what_was_decided_earlier_does_not_count_against_what_was_decided_later(store: LocalStore) -> None:
    say(store, ("f1", "true_positive", "bob", "", datetime(2026, 3, 3, 9)))
    say(store, ("f1", "benign", "ann", "", datetime(2026, 3, 3, 8)), now=LATER)
    assert [("f1", "true_positive", True)] == held(store, "is_current")


def test_saying_the_same_again_adds_nothing(store: LocalStore) -> None:
    said = [("f1", "benign", "ann", "backup"), ("f2", "duplicate", "ann")]
    assert (2, 0, []) == say(store, *said)
    assert (0, 2, []) == say(store, *said, now=LATER)
    assert 2 == len(held(store))


def test_what_cannot_be_taken_is_named_and_the_rest_is_kept(store: LocalStore) -> None:
    tomorrow = datetime(2026, 3, 9)
    added, _, refused = say(
        store, ("f9", "benign"), ("f2", "maybe"), ("f1", "benign"), ("f2", "benign", "", "", tomorrow)
    )
    assert 1 == added
    assert ["no product has a finding 'f9'", "'maybe' is no disposition", "it is said to be of 2026-03-09"] == [
        reason[: len(start)]
        for reason, start in zip(
            refused,
            ("no product has a finding 'f9'", "'maybe' is no disposition", "it is said to be of 2026-03-09"),
            strict=True,
        )
    ]
    assert [("f1", "benign", True)] == held(store)


def test_an_adding_that_was_cut_is_finished_by_the_next_command(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the journal and before the file is moved: nobody sees a part, the next command finishes it."""
    with monkeypatch.context() as patch:
        patch.setattr("lake.storage.publish._apply", _killed)
        with pytest.raises(KeyboardInterrupt):
            say(store, ("f1", "benign"), ("f2", "benign"))
    assert [] == held(store)
    assert 1 == recover(store)
    assert 2 == len(held(store))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_files_of_people_are_read_whatever_they_call_their_columns(tmp_path: Path) -> None:
    csv = tmp_path / "reviewed.csv"
    csv.write_text(
        '\ufeffUID,Disposition,Analyst,Comment,at\nf1,True Positive,ann,"yes, it was",2026-03-03T10:00:00+02:00\n'
    )
    ndjson = tmp_path / "reviewed.ndjson"
    ndjson.write_text(
        '{"finding_uid": "f1", "disposition": "true_positive", "by": "ann", "note": "yes, it was",'
        ' "at": "2026-03-03T08:00:00Z"}\n\n'
    )
    expected = ("f1", "true_positive", "ann", "yes, it was", datetime(2026, 3, 3, 8))
    for file in (csv, ndjson):
        (found,) = read_verdicts(file)
        assert expected == (found.finding_uid, found.verdict, found.by, found.note, found.at)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "finding_uid,verdict\nf1,benign\n", "line 2: unknown column 'verdict'"),
        ("a.csv", "finding_uid,disposition\nf1,benign,more\n", "line 2: has more values"),
        ("a.csv", "finding_uid,disposition\nf1,perhaps\n", "line 2: 'perhaps' is no disposition"),
        ("a.csv", "finding_uid,disposition,at\nf1,benign,yesterday\n", "line 2: 'yesterday' is no time"),
        ("a.ndjson", '{"disposition": "benign"}\n', "line 1: finding_uid is missing"),
        ("a.ndjson", "f1\n", "line 1: is no JSON"),
        ("a.ndjson", "[1]\n", "line 1: expected an object"),
        ("a.xlsx", "", "expected a file .csv or .ndjson"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_line(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadVerdicts, match=complaint):
        read_verdicts(tmp_path / name)
    with pytest.raises(BadVerdicts, match="cannot be read"):
        read_verdicts(tmp_path / "none.csv")
