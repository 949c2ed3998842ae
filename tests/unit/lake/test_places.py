"""Where a lake may lie, what its folders say, and who may read it."""

import os
import stat
from datetime import datetime
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.query.session import ask, connect
from lake.storage import paths
from lake.storage.duck import partitioned
from lake.storage.publish import open_store
from lake.storage.store import LocalStore
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.unit.ingest.landing.landed import lines

CONTRACT = load_contracts()[SOURCE]
ODD = ["a b", "it's", 'q"q', "ünï", "-dash", "{a,b}", "%20#;$`", "new\nline", "source=x", "date=2020-01-01/hour=07"]
NOWHERE = ["qu?x", "st*r", "br[a]x", "back\\slash", "file", "file/below", "x" * 300, "caf\udce9"]


@pytest.mark.parametrize("name", ODD)
def test_a_lake_lies_anywhere_and_its_columns_come_from_its_own_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.json").write_bytes(lines(call("a", "2026-03-02T05:01:00Z")))
    store = open_store(tmp_path / name)
    (landed,) = land_files(CONTRACT, list_objects(CONTRACT, [tmp_path / "a.json"]).objects, store)
    assert ["2026-03-02T05"] == [each.hour for each in landed.receipt.files]
    columns = [(each.name, each.duckdb_type) for each in CONTRACT.fields]
    table = f"bronze.{CONTRACT.source}"
    with connect(store, {CONTRACT.source: columns}, {}, table) as con:
        assert ask(con, f"select date, hour from {table}")[1] == [("2026-03-02", "05")]
        assert not {"source", "class_uid"} & {row[0] for row in ask(con, f"describe {table}")[1]}


def test_folders_of_the_lake_are_columns_and_those_above_it_are_none(tmp_path: Path) -> None:
    import duckdb

    for place in ("plain", "source=x/date=2020-01-01/other=1"):
        folder = tmp_path / place / "silver/t/source=s/date=2026-03-02/hour=05"
        folder.mkdir(parents=True)
        with duckdb.connect() as con:
            con.execute("copy (select 1 as a) to ? (format parquet)", [str(folder / "part.parquet")])
            pattern = f"'{tmp_path / place}/silver/t/*/*/*/*.parquet'"
            relation = partitioned(pattern, str(tmp_path / place), ("source", "date", "hour"), "union_by_name = true, ")
            found = con.execute(f"select * from {relation}")
            assert {each[0] for each in found.description} == {"a", "source", "date", "hour"}
            assert con.execute(f"select source, date, hour from {relation}").fetchall() == [("s", "2026-03-02", "05")]


@pytest.mark.parametrize("name", NOWHERE)
def test_a_place_that_no_lake_can_have_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(paths.BadRoot, match="lake '") as told:
        open_store(tmp_path / name)
    assert told.value.exit_code == 2


@pytest.mark.parametrize("root", ["s3:/x/y", "s3://", "gs://b/x", "https://h/x", "S3://b/x"])
def test_a_url_of_another_kind_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match=r"expected a local folder, a file:// URL or s3://bucket/prefix"):
        open_store(root)


def test_the_last_hour_of_a_path_counts() -> None:
    assert paths.hour_of("/date=2020-01-01/hour=07/bronze/s/date=2026-03-02/hour=05/b.parquet") == datetime(
        2026, 3, 2, 5
    )
    assert paths.hour_of("x/date=2020-01-01/other") is paths.hour_of("update=2026-03-02/hour=05/x") is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_read_by_the_group_and_erasures_by_the_owner(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        (tmp_path / "a.json").write_bytes(lines(call("a", "2026-03-02T05:01:00Z")))
        store = LocalStore(tmp_path / "new" / "lake")
        land_files(CONTRACT, list_objects(CONTRACT, [tmp_path / "a.json"]).objects, store)
        store.write("erasures/conditions/s/x.json", b"{}")
        store.put(tmp_path / "a.json", "gold/m/x.parquet")
        with store.lock("publish"):
            pass
    finally:
        os.umask(before)
    for path in store.path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        private = path.relative_to(store.path).parts[0] == "erasures"
        assert mode == ((0o700 if private else 0o750) if path.is_dir() else 0o640), path
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o750
