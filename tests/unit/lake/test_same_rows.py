"""An hour that is built again with the rows that it had makes nothing that has read them stale or behind."""

from pathlib import Path

import duckdb
import msgspec
import pytest

from lake.base.sql import at_hand
from lake.build.run import BuildRun, Plan
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.published_tables import mark
from lake.ledger.staleness import Mappings
from lake.marts.declaration import Marts
from lake.storage.publish import Workplace
from lake.storage.store import LocalStore
from tests.unit.lake.held import SOURCE

HOUR = "2026-03-02T03"
MODEL = f"authentication__{SOURCE}"
ROWS = "select n, {'name': 'u' || n, 'groups': [n::varchar, null]} as user from range(5000) as t(n)"
SHUFFLED = f"{ROWS} order by n desc"


class Lake:
    def __init__(self, folder: Path) -> None:
        self.store, self.file = LocalStore(folder), folder / f"silver/authentication/source={SOURCE}"
        self.built = 0

    def build(self, sql: str | None, mapping: str = "m", compare: bool = True) -> BuildReceipt:
        """Build the hour of these rows, by another mapping each time."""
        self.built += 1
        with Workplace(self.store, "build") as place, at_hand() as con:
            mappings = Mappings({MODEL: f"{mapping}{self.built}"})
            plan = Plan({SOURCE: (HOUR,)})
            run = BuildRun(self.store, mappings, Marts(()), plan, place, con=con if compare else None)
            if sql is not None:
                folder = run.staging_folder(MODEL) / "date=2026-03-02" / "hour=03"
                folder.mkdir(parents=True)
                con.sql(sql).write_parquet(str(folder / "part.parquet"))
            run.publish_model(MODEL, "authentication", SOURCE, {}, {})
        return self.receipt

    @property
    def receipt(self) -> BuildReceipt:
        return build_receipts.of_model(self.store, MODEL)[HOUR]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def marks(receipt: BuildReceipt) -> tuple[str, str]:
    return receipt.rows_mark, mark(receipt)


@pytest.mark.parametrize(("first", "again"), [(ROWS, ROWS), (ROWS, SHUFFLED), (None, None)])
def test_equal_rows_keep_their_marks(lake: Lake, first: str | None, again: str | None) -> None:
    before = lake.build(first)
    after = lake.build(again)
    assert before.mapping != after.mapping
    assert marks(before) == marks(after)
    assert marks(before) == marks(lake.build(again)), "and once more"


@pytest.mark.parametrize(
    "again",
    [
        "select n + (n = 7)::int as n, user from (" + ROWS + ")",  # one value
        "select n, {'name': case when n <> 7 then user.name end, 'groups': user.groups} as user from (" + ROWS + ")",
        "select n, case when n <> 7 then user end as user from (" + ROWS + ")",
        "select n, {'name': user.name, 'groups': list_reverse(user.groups)} as user from (" + ROWS + ")",
        "select n, {'name': 'u' || (4999 - n), 'groups': user.groups} as user from (" + ROWS + ")",  # columns shuffled
        "select *, null::varchar as more from (" + ROWS + ")",  # another column
        "select n::integer as n, user from (" + ROWS + ")",  # another type
        ROWS.replace("5000", "4999"),
        ROWS.replace("(5000)", "(1, 5001)"),
        None,
    ],
)
def test_other_rows_have_other_marks(lake: Lake, again: str | None) -> None:
    before = marks(lake.build(ROWS))
    after = marks(lake.build(again))
    assert before[0] != after[0] and before[1] != after[1]


def test_rows_that_came_back_are_compared_with_what_was_there(lake: Lake) -> None:
    first = lake.build(ROWS)
    other = lake.build(ROWS.replace("'u'", "'v'"))
    assert marks(first) != marks(other) != marks(lake.build(ROWS))


@pytest.mark.parametrize("damage", ["gone", "garbled", "replaced"])
def test_an_old_file_that_is_not_what_its_receipt_says_counts_as_other_rows(lake: Lake, damage: str) -> None:
    before = lake.build(ROWS)
    (file,) = lake.file.rglob("*.parquet")
    if damage == "gone":
        file.unlink()
    elif damage == "garbled":
        file.write_bytes(b"x" * before.bytes)
    else:
        duckdb.sql(ROWS.replace("'u'", "'v'")).write_parquet(str(file))
    assert marks(before)[1] != marks(lake.build(SHUFFLED))[1]


def test_an_hour_that_expired_is_not_compared(lake: Lake) -> None:
    before = lake.build(None)
    gone = msgspec.structs.replace(before, expired_at="2026-06-01T00:00:00+00:00")
    for key, text in build_receipts.merged_days(lake.store, MODEL, [gone]):
        lake.store.write(key, text.encode())
    assert lake.build(None).same is None


def test_a_build_that_came_in_between_is_not_what_was_compared(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file is read before the lake is locked: a build that replaces it meanwhile makes the comparison void."""
    lake.build(ROWS)
    from lake.build import run

    compared = run.same_rows

    def overtaken(*given: object) -> object:
        found = compared(*given)  # type: ignore[arg-type]
        monkeypatch.setattr(run, "same_rows", compared)
        lake.build(ROWS.replace("'u'", "'v'"))
        return found

    monkeypatch.setattr(run, "same_rows", overtaken)
    assert lake.build(ROWS).same is None


def test_receipts_from_before_there_were_marks_are_read(lake: Lake) -> None:
    before = lake.build(ROWS, compare=False)
    (key,) = [each.key for each in lake.store.list(f"ledger/build/{MODEL}")]
    lake.store.write(key, lake.store.read(key).replace(b',"same":null', b""))
    assert lake.receipt == before
    assert marks(before) == marks(lake.build(SHUFFLED))
