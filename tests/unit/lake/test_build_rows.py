"""A build whose rows are not as many as the mapping gave publishes nothing."""

from pathlib import Path

import duckdb
import pytest

from lake.build.run import BuildRun, Plan, RowsChanged
from lake.ledger import build_receipts
from lake.marts.declaration import Marts
from lake.storage.publish import Workplace
from lake.storage.store import LocalStore
from tests.unit.lake.held import MAPPINGS, SOURCE

MODEL, HOURS = f"authentication__{SOURCE}", ("2026-03-02T03", "2026-03-02T04", "2026-03-02T05")


@pytest.mark.parametrize(
    ("mapped", "wrong"),
    [
        ({"2026-03-02T03": 2, "2026-03-02T04": 1}, None),
        ({"2026-03-02T03": 1, "2026-03-02T04": 1}, "gave 1 rows of 2026-03-02T03 and 2 were written"),
        (
            {"2026-03-02T03": 2, "2026-03-02T04": 1, "2026-03-02T05": 4},
            "gave 4 rows of 2026-03-02T05 and 0 were written",
        ),
        ({"2026-03-02T03": 2}, "gave 0 rows of 2026-03-02T04 and 1 were written"),
    ],
)
def test_more_or_fewer_rows_than_the_mapping_gave_are_not_published(
    tmp_path: Path, mapped: dict[str, int], wrong: str | None
) -> None:
    store = LocalStore(tmp_path)
    with Workplace(store, "build") as place:
        run = BuildRun(store, MAPPINGS, Marts(()), Plan({SOURCE: HOURS}), place)
        for hour, rows in (("03", 2), ("04", 1)):
            folder = run.staging_folder(MODEL) / "date=2026-03-02" / f"hour={hour}"
            folder.mkdir(parents=True)
            duckdb.sql(f"select * from range({rows})").write_parquet(str(folder / "part.parquet"))
        if wrong is None:
            run.publish_model(MODEL, "authentication", SOURCE, {}, {}, mapped=mapped)
        else:
            with pytest.raises(RowsChanged, match=wrong):
                run.publish_model(MODEL, "authentication", SOURCE, {}, {}, mapped=mapped)
    assert set(build_receipts.of_model(store, MODEL)) == (set() if wrong else {*HOURS})
    assert bool(list(tmp_path.glob("silver/**/*.parquet"))) == (wrong is None)
