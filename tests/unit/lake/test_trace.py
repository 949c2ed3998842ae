"""An event is followed from its OCSF row to the record, whatever became of it, with the views of a lake alone."""

from pathlib import Path

import duckdb
import pytest

from lake.query.trace import trace
from lake.storage.store import LocalStore

SILVER = """
create schema silver;
create view silver.authentication as select {'uid': 'e1', 'product': null} as metadata, 'okta' as source, 'b' as _batch,
  'o' as _source_object, 7 as _source_row, '2026-03-02' as date, '05' as hour, 1 as activity_id;
"""
BRONZE = """
create schema bronze;
create view bronze.okta as select 'b' as _batch, 'o' as _source_object, 7 as _source_row, 'e1' as _event_key,
  timestamp '2026-03-02 05:00' as _event_at, timestamp '2026-03-02 05:01' as _arrived_at, '{}' as _raw,
  '2026-03-02' as date, '05' as hour;
"""
LEDGER = """
create schema ledger;
create view ledger.dispositions as select 'okta' as source, '2026-03-02' as date, '05' as hour, 'b' as _batch,
  'o' as _source_object, 7 as _source_row, 'filtered' as disposition, 'noise' as filter, false as collision,
  null as error;
"""


@pytest.mark.parametrize(("built", "became"), [("", "not built"), (LEDGER, "filtered by noise")])
def test_a_record_says_where_it_is_from_and_what_became_of_it(built: str, became: str, tmp_path: Path) -> None:
    with duckdb.connect() as con:
        con.execute(SILVER + BRONZE + built)
        found = trace(con, LocalStore(tmp_path), "e1")
        assert [] == trace(con, LocalStore(tmp_path), "e2")["records"]
    [event], [record] = found["events"], found["records"]
    assert {"metadata": {"uid": "e1"}, "activity_id": 1} == event["event"], "neither empty nor the pipeline's own"
    assert ("authentication", "okta", "b", "o", 7) == tuple(
        event[key] for key in ("class", "source", "batch", "object", "row")
    )
    assert (became, "okta", "o", 7, "{}") == tuple(
        record[key] for key in ("disposition", "source", "object", "row", "raw")
    )
    assert [{"source": "okta", "batch": "b"}] == found["batches"], "no receipt, no numbers"
