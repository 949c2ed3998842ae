"""Files: the formats, and what is special to a folder or a bucket; the rest is the contract's."""

import csv
import gzip
import io
import json
import os
import random
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake.export import files_store
from lake.export.destination import Partition, configured
from lake.export.errors import BadDeclaration, DestinationDenied, DestinationUnavailable
from lake.export.json_sql import columns_of, json_text
from lake.storage import duck
from lake.storage.publish import sweep
from lake.storage.store import AwsAccess
from orchestration.demo.simulators import s3
from tests.integration.export.adapters import as_json, json_row
from tests.integration.export.warm import Warm, WarmProcess
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import (
    HOUR,
    KINDS,
    KINDS_ROWS,
    SmallLake,
    event_ids,
    export,
    gold_export,
    held_of,
    rows_of,
)

FORMATS = ("parquet", "ndjson.gz", "csv", "csv.gz")
PART = "date=2026-03-02/hour=04/part"


def file_of(lake: SmallLake, format_: str, table: str = "authentication", root: str = "there") -> Path:
    return lake.scratch / root / table / f"{PART}.{format_}"


def lines_of(path: Path) -> list[str]:
    data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    return data.decode().split("\n")[:-1]


class TestValues:
    def pushed(self, lake: SmallLake, format_: str) -> tuple[list[dict[str, Any]], Path]:
        lake.silver(rows=KINDS_ROWS, columns=KINDS)
        assert lake.push(lake.destination(format=format_), export()).matches
        return rows_of(lake.read(export())), file_of(lake, format_)

    def test_parquet_holds_every_value_and_its_type(self, lake: SmallLake) -> None:
        rows, path = self.pushed(lake, "parquet")
        assert rows == pq.read_table(path).to_pylist()
        types = {each.name: str(each.type) for each in pq.read_schema(path)}
        assert ("timestamp[us]", "int64", "int32", "date32[day]", "binary", "map<string, string ('tags')>") == (
            types["time_dt"],
            types["long_id"],
            types["severity_id"],
            types["day"],
            types["raw_data"],
            types["tags"],
        )

    def test_packed_ndjson_holds_every_value(self, lake: SmallLake) -> None:
        rows, path = self.pushed(lake, "ndjson.gz")
        assert [json_row(row) for row in rows] == [json.loads(line) for line in lines_of(path)]
        text = "\n".join(lines_of(path))
        assert ("9007199254740993" in text, "-9223372036854775808" in text, '"c":null' in text) == (True, True, True)

    @pytest.mark.parametrize("format_", ["csv", "csv.gz"])
    def test_csv_holds_every_value_and_tells_null_from_an_empty_text(self, lake: SmallLake, format_: str) -> None:
        rows, path = self.pushed(lake, format_)
        data = gzip.decompress(path.read_bytes()) if format_ == "csv.gz" else path.read_bytes()
        found = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        assert list(rows[0]) == list(found[0])
        for row, held in zip(rows, found, strict=True):
            for name, value in row.items():
                assert self.csv_text(name, value) == self.csv_held(name, held[name]), name
        assert [b',"",', b",,,,"] == [each for each in (b',"",', b",,,,") if each in data]

    @staticmethod
    def csv_text(name: str, value: Any) -> Any:
        if value is None:
            return ""
        if name == "tags":
            return dict(value)
        if isinstance(value, dict | list):
            return as_json(value, listed=True)
        if isinstance(value, bool):
            return str(value).lower()
        return float(value) if isinstance(value, float) else str(as_json(value))

    @staticmethod
    def csv_held(name: str, text: str) -> Any:
        if name in ("user", "labels", "observables", "tags", "metadata") and text:
            return json.loads(text)
        return float(text) if name == "score" and text else text

    @pytest.mark.parametrize("format_", ["parquet", "ndjson", "csv.gz"])
    def test_values_of_16_megabytes_go_and_are_counted(self, lake: SmallLake, format_: str) -> None:
        event = "began as time_dt, {'uid': 'm' || n} as metadata"
        lake.silver(rows=2, columns=f"{event}, repeat('ü', {8 << 20}) as large, 'x' as small")
        receipt = lake.push(lake.destination(format=format_), export())
        assert (True, 2) == (receipt.matches, receipt.held_rows)
        if format_ == "parquet":
            return
        text = lines_of(file_of(lake, format_))[-1]
        assert "ü" * (8 << 20) in text

    def test_what_has_no_number_in_json_and_types_that_silver_lacks(self, lake: SmallLake) -> None:
        columns = """began as time_dt, {'uid': n} as metadata, 'nan'::double as a, [1.5, 'inf'::double] as b,
            1.10::decimal(18, 3) as c, 12345678901234567890123456789012345678::decimal(38, 0) as d,
            18446744073709551615::ubigint as e, [began, null] as f, [[began]] as g, map {'x': began} as h,
            {'a"b''c': 1, 'with space': timestamptz '2026-03-02 04:00:00+02'} as "i", chr(0) || 'x' as j,
            time '01:02:03' as k, {'x': {'y': null::int}} as l, 'null'::json as m, array_value(1.5::float, 2) as n"""
        lake.silver(rows=1, columns=columns)
        (line,) = self.lines(lake)
        at = "2026-03-02T04:00:00.000000Z"
        found = json.loads(line)
        assert {
            "a": "nan",
            "b": [1.5, "inf"],
            "c": 1.1,
            "d": 12345678901234567890123456789012345678,
            "e": (1 << 64) - 1,
            "f": [at, None],
        } == {name: found[name] for name in "abcdef"}
        assert {"g": [[at]], "h": {"x": at}, "j": "\0x", "k": "01:02:03", "l": {"x": {}}, "n": [1.5, 2.0]} | {
            "i": {"a\"b'c": 1, "with space": "2026-03-02T02:00:00.000000Z"}
        } == {name: found[name] for name in "ghjklni"}
        assert found["m"] is None  # JSON's own null, which is not NULL
        assert '"c":1.100' in line

    def lines(self, lake: SmallLake) -> list[str]:
        reader = lake.read(export())
        with reader.connect() as con:
            text = json_text(columns_of(con.sql("from exported")))
            return [row[0] for row in con.execute(f"select {text} from exported").fetchall()]


class TestHours:
    @pytest.mark.parametrize("format_", FORMATS)
    def test_every_format_is_replaced_counted_and_removed(self, lake: SmallLake, format_: str) -> None:
        there = lake.destination(format=format_)
        lake.silver()
        first = lake.push(there, export())
        assert (True, 10, "file") == (first.matches, first.held_rows, first.proof)
        assert file_of(lake, format_).stat().st_size == first.bytes_pushed
        lake.silver(rows=2)
        assert 2 == lake.push(there, export()).held_rows
        lake.silver(rows=0)
        empty = lake.push(there, export())
        assert (True, 0) == (empty.matches, empty.held_rows)
        assert [] == [path for path in (lake.scratch / "there").rglob("*") if path.is_file()]

    def test_gold_and_minutes_go_the_same_way(self, lake: SmallLake) -> None:
        lake.gold()
        lake.silver(rows=120)
        there = lake.destination(format="ndjson")
        assert lake.push(there, gold_export()).matches
        aggregate = {"by": ["src_endpoint.ip"], "sum": ["traffic.bytes"]}
        assert lake.push(there, export(reduction={"aggregate": aggregate})).matches
        lines = [json.loads(line) for line in lines_of(file_of(lake, "ndjson"))]
        assert 120 == sum(line["count"] for line in lines)
        assert {"src_endpoint", "traffic", "source", "time", "time_dt", "count", "start_time_dt", "end_time_dt"} < {
            *lines[0]
        }

    def test_a_lake_in_a_bucket_goes_to_another_place_of_it(self, bucket_lake: SmallLake, s3_bucket: str) -> None:
        bucket_lake.silver()
        assert bucket_lake.push(bucket_lake.destination(root=f"s3://{s3_bucket}/exported"), export()).matches
        assert [] == [key for key in s3.keys(s3.client(os.environ["AWS_ENDPOINT_URL"]), s3_bucket) if "_staging" in key]

    @pytest.mark.parametrize("format_", FORMATS)
    def test_a_file_that_was_changed_by_hand_is_found_and_mended(self, lake: SmallLake, format_: str) -> None:
        lake.silver()
        there = lake.destination(format=format_)
        lake.push(there, export())
        path = file_of(lake, format_)
        partition = Partition.of(HOUR)
        before = there.read_back("authentication", partition)
        other = lake.destination(format=format_, root=str(lake.scratch / "other"))
        lake.silver(rows=9)
        lake.push(other, export(destination="other"))
        path.write_bytes(file_of(lake, format_, root="other").read_bytes())
        after = there.read_back("authentication", partition)
        assert before is not None and after is not None and (10, 9) == (before.rows, after.rows)
        path.write_bytes(path.read_bytes()[:-30])
        try:
            cut = there.read_back("authentication", partition)
            assert cut is not None and cut != after
        except DestinationUnavailable as told:
            assert "cannot be read back" in str(told) and "\n" not in str(told)
        assert lake.push(there, export(), again=True).matches

    def test_a_reader_sees_the_old_hour_or_the_new(self, lake: SmallLake) -> None:
        there, seen, ended = lake.destination(format="ndjson"), set(), threading.Event()
        lake.silver(rows=1000)
        lake.push(there, export())

        def look() -> None:
            while not ended.is_set():
                seen.add(len(lines_of(file_of(lake, "ndjson"))))

        looking = threading.Thread(target=look)
        looking.start()
        for rows in (3000, 1000):
            lake.silver(rows=rows)
            lake.push(there, export())
        ended.set()
        looking.join()
        assert {1000, 3000} >= seen

    def test_the_rows_are_in_the_order_of_the_lake(self, lake: SmallLake) -> None:
        numbers = [(n * 7919) % 45_000 for n in range(45_000)]
        lake.silver(rows=numbers)
        for format_ in ("parquet", "ndjson", "csv"):
            receipt = lake.push(lake.destination(format=format_), export(columns=["message"], table=format_))
            assert receipt.matches
        ids = event_ids(lake.read(export()))
        assert ids == pq.read_table(file_of(lake, "parquet", "parquet")).column("_event_id").to_pylist()
        assert ids == [json.loads(line)["_event_id"] for line in lines_of(file_of(lake, "ndjson", "ndjson"))]
        assert ids == [line.rsplit(",", 1)[1] for line in lines_of(file_of(lake, "csv", "csv"))[1:]]


class TestSettings:
    def test_what_is_wrong_with_them_is_told_by_name(self) -> None:
        for given, told in (
            ({"type": "files"}, "destinations.x: .*`root`"),
            ({"type": "files", "root": "r", "format": "xml"}, r"destinations\.x\.format: invalid enum value 'xml'"),
            ({"type": "files", "root": "r", "password": "hunter2"}, "unknown field `password`"),
            ({"type": "filez", "root": "r"}, "'filez' is no type"),
            ({"root": "r"}, "no `type` is given"),
        ):
            with pytest.raises(BadDeclaration, match=told) as raised:
                configured("x", given)
            assert "hunter2" not in str(raised.value)


class TestBucketFaults:
    @pytest.mark.parametrize(
        ("fault", "error", "told"),
        [
            (Fault("error", "PUT", status=400, code="ExpiredToken", times=None), DestinationDenied, "have expired"),
            (Fault("error", "PUT", status=503, code="SlowDown", times=None), DestinationUnavailable, "SlowDown"),
            (Fault("error", "GET", r"part\.ndjson$", status=403, code="AccessDenied", times=None), None, "read back"),
        ],
    )
    def test_what_fails_is_told_and_delivered_when_it_is_well_again(
        self, lake: SmallLake, s3_server: s3.S3Server, s3_bucket: str, fault: Fault, error: type[Exception], told: str
    ) -> None:
        lake.silver()
        options = {"root": f"s3://{s3_bucket}/x", "format": "ndjson"}
        assert lake.push(lake.destination(**options), export()).matches
        lake.silver(rows=4)
        with FaultyProxy(s3_server.url) as proxy, pytest.MonkeyPatch.context() as patch:
            patch.setattr(files_store, "AwsAccess", partial(AwsAccess, attempts=2))
            patch.setattr(duck, "_RETRIES", 1)
            there = lake.destination(**options, endpoint_url=proxy.url)
            proxy.inject(fault)
            with pytest.raises(error or DestinationUnavailable, match=told) as raised:
                lake.push(there, export())
            assert "testing" not in str(raised.value)
            proxy.heal()
            receipt = lake.push(there, export())
        assert (True, 4) == (receipt.matches, receipt.held_rows)


class TestKilled:
    """kill -9: the hour is as it was or as it should be, then delivered once."""

    def check(self, lake: SmallLake, options: dict[str, Any], whole: set[int]) -> None:
        """Right after the kill the file, if any, is whole; the next push makes it the lake's."""
        there = lake.destination(**options)
        held = there.read_back("authentication", Partition.of(HOUR))
        assert held is not None and held.rows in whole
        receipt = lake.push(there, export())
        reader = lake.read(export())
        assert (True, reader.rows, reader.checksum) == (receipt.matches, receipt.held_rows, receipt.held_checksum)
        assert held_of(receipt) == there.read_back("authentication", Partition.of(HOUR))
        assert [] == lake.behind(there, export())
        sweep(lake.store)  # as the next step of any kind does
        assert [] == [each.key for each in lake.store.list("_staging")]

    def test_in_a_folder(self, lake: SmallLake, warm: WarmProcess, storm: bool) -> None:
        steps = 8 if storm else 2
        options, home = {"root": str(lake.scratch / "there"), "format": "csv.gz"}, str(lake.scratch)
        pushing = Warm(warm, lake, "files", options)
        lake.silver(rows=100)
        lake.push(lake.destination(**options), export())
        lake.silver(rows=200)
        acts = pushing.push(HOUR, watched=home).acts
        assert 8 < acts
        before, killed = 200, 0
        for turn in range(steps):
            rows = 201 + turn
            lake.silver(rows=rows)
            code = pushing.push(HOUR, 1 + (turn * 2 + 1) * acts // (2 * steps), watched=home).code
            assert code in (-9, 0)  # a push that finds less to clear away has fewer acts, and may end before its last
            killed += code == -9
            self.check(lake, options, {before, rows})
            before = rows
        assert killed > steps // 2

    @pytest.mark.storm
    def test_at_random_moments(self, lake: SmallLake, warm: WarmProcess, s3_bucket: str) -> None:
        chance = random.Random(7)
        for root in (str(lake.scratch / "there"), f"s3://{s3_bucket}/there"):
            options = {"root": root, "format": "ndjson.gz"}
            pushing = Warm(warm, lake, "files", options)
            lake.silver(rows=5000)
            ended = pushing.push(HOUR)
            assert 0 == ended.code, ended.said
            before = 5000
            for turn in range(3):
                rows = 5001 + turn
                lake.silver(rows=rows)
                pushing.push(HOUR, seconds=ended.seconds * chance.random())
                self.check(lake, options, {before, rows})
                before = rows

    def test_what_a_killed_push_left_beside_the_file_goes_when_it_is_old(self, lake: SmallLake) -> None:
        lake.silver()
        lake.push(lake.destination(), export())
        folder = file_of(lake, "parquet").parent
        for name, age in ((".tmp-old", 7200), (".tmp-new", 60)):
            (folder / name).write_bytes(b"half a file")
            os.utime(folder / name, (time.time() - age,) * 2)
        lake.push(lake.destination(), export(), again=True)
        assert {".tmp-new", "part.parquet"} == {path.name for path in folder.iterdir()}


def test_two_processes_push_one_hour_once(lake: SmallLake, warm: WarmProcess) -> None:
    lake.silver(rows=5000)
    options = {"root": str(lake.scratch / "there")}
    (other_scratch := lake.scratch / "other").mkdir()
    with WarmProcess(other_scratch) as second:
        pushes = [Warm(each, lake, "files", options) for each in (warm, second)]
        for each in pushes:
            each.start(HOUR, watched=options["root"])
        ended = [each.ended() for each in pushes]
    assert ([0, 0], 1) == ([each.code for each in ended], sum(each.acts > 0 for each in ended))


@pytest.mark.storm
def test_memory_does_not_grow_with_the_hour(lake: SmallLake) -> None:
    """DuckDB may take 120 MiB, and does at some size of an hour; libraries take their own. Beyond, nothing grows."""
    options = {"root": str(lake.scratch / "there"), "format": "ndjson"}
    peaks = []
    for rows in (12_500, 200_000):
        lake.silver(rows=rows)
        with WarmProcess(lake.scratch) as process:
            ended = Warm(process, lake, "files", options, memory_bytes=120 << 20).push(HOUR)
        assert 0 == ended.code, ended.said
        peaks.append(ended.memory_bytes)
    assert peaks[1] < peaks[0] + (200 << 20), peaks
