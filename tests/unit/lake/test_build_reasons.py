"""`headwater build --dry-run` says what would be built and why, and the reasons are true."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from lake import ledger
from lake.build.reasons import Due, due
from lake.ledger import build_receipts
from lake.ledger.staleness import Mappings
from lake.marts.declaration import Marts, Node
from lake.marts.staleness import Tables
from lake.storage.store import LocalStore
from tests.unit.lake.held import SOURCE, build, landing
from tests.unit.lake.test_marts import receipt

CLASS, OUTCOMES = f"authentication__{SOURCE}", f"dispositions__{SOURCE}"
PARTS = {"macro strange_user": "1", "model stg_strange": "1", "seed ocsf_routing": "1"}
HOURS = ("2026-03-02T03", "2026-03-02T04")


def mappings(parts: Mapping[str, str] = PARTS, fingerprint: str = "mapping", **more: str) -> Mappings:
    """The project: the class is made of `parts`, and of these has its fingerprint."""
    return Mappings({CLASS: fingerprint, OUTCOMES: "mapping", **more}, {CLASS: parts})


MART = Marts([
    Node(CLASS, "table", "silver"),
    Node("authentication", "view", "silver", (CLASS,)),
    Node("sign_ins", "table", "gold", ("authentication",)),
])  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A lake of two hours, built by `mappings()`."""
    store = LocalStore(tmp_path)
    landing(store, "b1", [(3, "a"), (4, "b")])
    build(store)
    for key, text in mappings().record(store, CLASS):
        store.write(key, text.encode())
    return store


def told(found: Due) -> list[tuple[str, str, int]]:
    return [(each.table.split("__")[0], each.why, len(each.hours)) for each in found.reasons]


def test_nothing_is_told_of_what_is_current(store: LocalStore) -> None:
    assert due(store, mappings(), Marts(()), [SOURCE]) == Due()


def test_an_hour_and_a_table_that_were_never_built(store: LocalStore) -> None:
    landing(store, "b2", [(7, "new")])
    assert told(due(store, mappings(), Marts(()), [SOURCE])) == [
        ("authentication", "new hour: never built", 1),
        ("dispositions", "new hour: never built", 1),
    ]
    added = Mappings({**mappings().fingerprints, f"user_access__{SOURCE}": "m"})
    assert ("user_access", "new table: never built", 2) in told(due(store, added, Marts(()), [SOURCE]))


def test_what_became_of_bronze_files_since_an_hour_was_built(store: LocalStore) -> None:
    def why() -> set[str]:
        return {each.why for each in due(store, mappings(), Marts(()), [SOURCE]).reasons}

    landing(store, "b2", [(4, "late")])
    assert why() == {"new bronze files since it was built (late events)"}
    build(store)
    landing(store, "b2", [(4, "other")])
    assert why() == {"changed bronze files since it was built"}
    build(store)
    landing(store, "b2", [])
    assert why() == {"gone bronze files since it was built"}


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ({**PARTS, "macro strange_user": "2"}, "macro strange_user changed"),
        (
            {**PARTS, "macro strange_user": "2", "seed ocsf_routing": "2"},
            "macro strange_user, seed ocsf_routing changed",
        ),
        ({**PARTS, "macro b": "1", "model stg_strange": "2"}, "model stg_strange changed; macro b added"),
        ({"macro strange_user": "1", "model stg_strange": "1"}, "seed ocsf_routing removed"),
        (
            {**PARTS, **{f"macro {name}": "1" for name in "abcde"}},
            "macro a, macro b, macro c and 2 more added",
        ),
    ],
)
def test_which_part_of_a_mapping_changed(store: LocalStore, now: dict[str, str], why: str) -> None:
    found = due(store, mappings(now, "another"), Marts(()), [SOURCE])
    assert told(found) == [("authentication", why, 2)]
    assert found.hours == {SOURCE: HOURS}


def test_a_mapping_whose_parts_no_build_recorded(store: LocalStore) -> None:
    found = due(store, Mappings({CLASS: "mapping", OUTCOMES: "another"}, {}), Marts(()), [SOURCE])
    assert told(found) == [("dispositions", "mapping changed; which part of it is not on record", 2)]


def test_files_that_are_not_there(store: LocalStore) -> None:
    files = sorted(each.key for each in store.list("silver"))
    store.delete(files[0])
    store.write(files[1], b"short")
    assert told(due(store, mappings(), Marts(()), [SOURCE])) == [
        ("authentication", "its file is gone", 1),
        ("authentication", "its file is not the one of its receipt", 1),
    ]


def test_only_the_hours_asked_for_and_all_again(store: LocalStore) -> None:
    found = due(store, mappings(PARTS, "another"), Marts(()), [SOURCE], lambda hour: hour > HOURS[0])
    assert found.hours == {SOURCE: HOURS[1:]}
    again = due(store, mappings(), Marts(()), [SOURCE], again=True)
    assert told(again) == [("authentication", "asked for again", 2), ("dispositions", "asked for again", 2)]


def test_tables_that_the_project_no_longer_has_are_told_and_stay(store: LocalStore) -> None:
    before = [each.key for each in store.list("")]
    found = due(store, Mappings({OUTCOMES: "mapping"}), Marts(()), [SOURCE])
    assert found.retired == {CLASS: HOURS}
    assert told(found) == [("authentication", "retired: the project no longer has this table, its files go", 2)]
    assert (found.hours, found.marts) == ({}, {})
    assert [each.key for each in store.list("")] == before


def test_marts_that_are_stale_and_marts_that_may_follow(store: LocalStore) -> None:
    held = mappings(sign_ins="sql")
    assert told(due(store, held, MART, [SOURCE])) == [("sign_ins", "never built", 2)]
    _build_mart(store)
    assert due(store, held, MART, [SOURCE]) == Due()
    landing(store, "b2", [(4, "late")])
    found = due(store, held, MART, [SOURCE])
    follows = "reads hours that are built first: built if their rows come out otherwise"
    assert told(found)[-1] == ("sign_ins", follows, 1)
    assert (found.marts, found.if_changed) == ({}, {"sign_ins": HOURS[1:]})
    build(store)
    assert told(due(store, held, MART, [SOURCE])) == [("sign_ins", "other rows in authentication", 1)]
    _build_mart(store)
    other = mappings(sign_ins="other")
    found = due(store, other, MART, [SOURCE])
    assert told(found) == [("sign_ins", "mapping changed; which part of it is not on record", 2)]


def _build_mart(store: LocalStore) -> None:
    tables = Tables(store)
    mart = MART.by_name["sign_ins"]
    done = [receipt("sign_ins", "", hour, mapping="sql", inputs=tables.inputs(mart, hour)) for hour in HOURS]
    for key, text in build_receipts.merged_days(store, "sign_ins", done):
        store.write(key, text.encode())


def test_an_hour_that_was_erased_from_is_told_so(store: LocalStore) -> None:
    (held,) = ledger.landings(store, SOURCE)
    gone = ledger.Removed(ledger.ERASED, "bronze", HOURS[1], 1, "e1")
    files = tuple(each for each in held.files if each.hour != HOURS[1])
    text = ledger.encode(msgspec.structs.replace(held, files=files, removed=(gone,)))
    (key,) = [each.key for each in store.list(f"ledger/landing/{SOURCE}")]
    store.write(key, text.encode())
    assert {each.why for each in due(store, mappings(), Marts(()), [SOURCE]).reasons} == {
        "gone bronze files since it was built (events were erased)"
    }
