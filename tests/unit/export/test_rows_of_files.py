"""The rows of an hour as files: of sources that drifted apart, damaged, replaced, large, or none."""

import json
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from lake.export import rows
from lake.export.errors import ExportError
from lake.export.rows import RowsMoved
from lake.storage.store import LocalStore
from tests.unit.export.lakes import (
    CLOUDTRAIL,
    EVENT,
    GOLD,
    HOUR,
    KINDS,
    KINDS_ROWS,
    OKTA,
    SmallLake,
    export,
    gold_export,
    rows_of,
)
from tests.unit.export.test_rows import counted


class TestHours:
    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"filter": "status_id = 2", "columns": ["message"]},
            {"without": ["unmapped"], "key": ["user.name"]},
            {"reduction": {"drop": ["is_alert"], "sample": {"share": 0.5}, "aggregate": {"by": ["src_endpoint.ip"]}}},
        ],
    )
    def test_an_hour_that_became_empty_needs_no_column(self, lake: SmallLake, said: dict[str, object]) -> None:
        lake.silver()
        lake.silver(rows=0)
        lake.gold()
        lake.gold(rows=0)
        for wanted in (export(**said), gold_export(**said)):
            reader = lake.read(wanted)
            assert (0, 0, []) == (reader.rows, reader.checksum, rows_of(reader))
            assert [(0, 0, 0, 0, 0, 0)] == list(counted(reader).values())

    def test_a_source_without_rows_is_counted_beside_the_others(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        lake.silver(rows=0, source=CLOUDTRAIL)
        assert {CLOUDTRAIL: (0, 0, 0, 0, 0, 0), OKTA: (3, 0, 0, 0, 0, 3)} == counted(lake.read(export()))

    def test_one_sources_model_exports_its_rows_alone(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        lake.silver(rows=2, source=CLOUDTRAIL)
        assert {CLOUDTRAIL: (2, 0, 0, 0, 0, 2)} == counted(lake.read(export(f"authentication__{CLOUDTRAIL}")))

    def test_a_file_with_other_rows_than_its_receipt_says_is_not_exported(self, lake: SmallLake) -> None:
        built = lake.silver(rows=3)
        before = lake.builds(export())
        lake.silver(rows=4)
        with pytest.raises(RowsMoved, match=f"the file of {OKTA} has 4 rows, its receipt says 3"):
            rows.read_rows(lake.store, export(), before, lake.scratch / "r")
        assert built.file == lake.silver(rows=3).file

    def test_an_hour_built_anew_between_counting_and_reading_is_noticed(
        self, lake: SmallLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.silver(rows=3)
        write = rows._write

        def late(con: duckdb.DuckDBPyConnection, path: Path) -> None:
            lake.silver(rows=5)
            write(con, path)

        monkeypatch.setattr(rows, "_write", late)
        with pytest.raises(RowsMoved, match=r"3 rows were counted, then 5 read|cannot be read"):
            lake.read(export())

    @pytest.mark.parametrize("damage", ["missing", "empty", "cut", "overwritten", "no Parquet"])
    def test_a_damaged_file_is_told_in_one_line(self, lake: SmallLake, damage: str) -> None:
        built = lake.silver(rows=2000)
        data = lake.store.read(built.file)
        spoilt = {"empty": b"", "cut": data[: len(data) // 2], "no Parquet": b"not Parquet at all"}
        spoilt["overwritten"] = data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :]
        if damage == "missing":
            lake.store.delete(built.file)
        else:
            lake.store.write(built.file, spoilt[damage])
        with pytest.raises(ExportError, match=r"^there/authentication: the lake's files cannot be read: [^\n]+$"):
            lake.read(export())


class TestTypes:
    def test_sources_whose_types_drifted_apart_are_put_together_by_name(self, lake: SmallLake) -> None:
        """Struct fields go by name, never by place; numbers become the wider type; else text."""
        event = "began as time_dt, {'uid': 'm' || n} as metadata"
        one = "{'a': 1, 'b': 'x'} as s, 1::integer as n_wide, 1::integer as n_text, 'only' as mine, [{'a': 1}] as l"
        two = "{'b': 'y', 'c': 5, 'a': 2::bigint} as s, 2.5::double as n_wide, 'two' as n_text, [{'b': 2}] as l"
        lake.silver(rows=1, columns=f"{event}, {two}")
        lake.silver(rows=1, columns=f"{event}, {one}", source=CLOUDTRAIL)
        first, second = rows_of(lake.read(export()))
        assert {"a": 1, "b": "x", "c": None} == first["s"]
        assert {"a": 2, "b": "y", "c": 5} == second["s"]
        assert [(1.0, "1", "only"), (2.5, "two", None)] == [
            (row["n_wide"], row["n_text"], row["mine"]) for row in (first, second)
        ]
        assert [[{"a": 1, "b": None}], [{"a": None, "b": 2}]] == [first["l"], second["l"]]

    def test_every_kind_of_value_stays_what_it_is(self, lake: SmallLake) -> None:
        built = lake.silver(rows=KINDS_ROWS, columns=KINDS)
        held = pq.read_table(lake.store.url(built.file))
        reader = lake.read(export())
        own = [name for name in held.column_names if not name.startswith("_")]
        assert held.select(own).to_pylist() == [{name: row[name] for name in own} for row in rows_of(reader)]
        assert "JSON" in str(pq.ParquetFile(reader.path).schema.column(own.index("unmapped")).logical_type)

    def test_decimals_and_huge_integers_stay_what_they_are(self, lake: SmallLake) -> None:
        columns = (
            f"{GOLD}, 12345678901234567890123456789012345678::decimal(38, 0) as d, 18446744073709551615::ubigint as u"
        )
        lake.gold(rows=1, columns=columns)
        (row,) = rows_of(lake.read(gold_export()))
        assert ("12345678901234567890123456789012345678", 18446744073709551615) == (str(row["d"]), row["u"])


class TestSize:
    def test_rows_keep_their_order_over_many_row_groups_and_threads(self, lake: SmallLake) -> None:
        numbers = [(n * 7919) % 50_000 for n in range(50_000)]  # in no order that sorting or threads would make
        uid = EVENT.replace("'m' || n,", "'m' || case when n % 20_000 = 1 then 0 else n end,")  # some collide
        lake.silver(rows=numbers, columns=f"n::bigint as at_row, {uid}")
        lake.silver(rows=numbers[:30_000], columns=f"n::bigint as at_row, {EVENT}", source=CLOUDTRAIL)
        reader = lake.read(export(columns=["at_row"], filter="at_row >= 0"), threads=4)
        with reader.connect() as con:
            found = con.execute("select at_row from exported").fetchnumpy()["at_row"].tolist()
        assert numbers[:30_000] + numbers == found
        assert found == [n for batch in reader.batches(1000, ["at_row"]) for n in batch.column(0).to_pylist()]

    def test_a_full_disk_is_told_and_no_half_file_is_taken_for_the_rows(self, lake: SmallLake) -> None:
        lake.silver(rows=200)
        folder = lake.scratch / "full"
        folder.mkdir()
        for name in ("rows.parquet", "tmp_rows.parquet"):
            (folder / name).symlink_to("/dev/full")
        with pytest.raises(ExportError, match=r"^there/authentication: the disk .* is full .*: make room"):
            rows.read_rows(lake.store, export(), lake.builds(export()), folder)
        (lake.scratch / "made").symlink_to("/dev/full")
        with pytest.raises(ExportError, match=r"cannot be written for the destination: the disk .* is full"):
            lake.read(export()).write("from exported", lake.scratch / "made")


def test_a_reader_says_when_its_rows_cannot_be_written(lake: SmallLake, tmp_path: Path) -> None:
    lake.silver(rows=1)
    with pytest.raises(ExportError, match="cannot be written for the destination: Conversion Error"):
        lake.read(export()).write("select message::integer from exported", tmp_path / "x.parquet")


def test_bytes_are_of_the_lakes_files_before_and_of_the_rows_after(lake: SmallLake) -> None:
    built = [lake.silver(rows=5000), lake.silver(rows=10, source=CLOUDTRAIL)]
    reader = lake.read(export(filter="message = 'signed in as u0'"))
    assert sum(each.bytes for each in built) == reader.bytes_before > reader.bytes_after == reader.path.stat().st_size


def test_the_lake_is_only_read(lake: SmallLake) -> None:
    assert isinstance(lake.store, LocalStore)
    lake.silver()
    before = {each.key: each.fingerprint for each in lake.store.list()}
    lake.read(export(filter="status_id = 1", reduction={"aggregate": {"by": ["message"]}}))
    assert before == {each.key: each.fingerprint for each in lake.store.list()}
    assert json.loads(lake.store.read("ledger/build/authentication__okta_system_log/date=2026-03-02.json")).keys() == {
        HOUR
    }
    assert datetime(2026, 3, 2, 4) == rows_of(lake.read(export()))[0]["time_dt"]
