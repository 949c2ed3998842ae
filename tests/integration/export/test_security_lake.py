"""Amazon Security Lake's layout, against an S3-compatible server: AWS's rules are held, an hour is replaced exactly."""

import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from lake.export.destination import Destination, Partition, configured
from lake.export.errors import BadDeclaration, DestinationDenied, DestinationUnavailable, RowsRefused
from lake.export.status import MISMATCH, MOVED
from orchestration.demo.simulators import s3
from tests.integration.export.warm import Warm, WarmProcess
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import (
    EVENT,
    HOUR,
    SmallLake,
    event_ids,
    export,
    gold_export,
)

PLACE = "ext/authentication/region=eu-central-1/accountId={}/eventDay=20260302/authentication-2026-03-02T04.parquet"
AWS = [f"11111111111{n}" for n in range(3)]


@pytest.fixture
def bucket(s3_bucket: str) -> str:
    return s3_bucket


def there(lake: SmallLake, bucket: str, **options: Any) -> Destination:
    return lake.destination("security_lake", root=f"s3://{bucket}", region="eu-central-1", **options)


def keys(bucket: str) -> list[str]:
    return s3.keys(s3.client(os.environ["AWS_ENDPOINT_URL"]), bucket)


def table(bucket: str, key: str) -> pq.ParquetFile:
    body = s3.client(os.environ["AWS_ENDPOINT_URL"]).get_object(Bucket=bucket, Key=key)["Body"].read()
    return pq.ParquetFile(pa.BufferReader(body))


def test_each_account_has_an_object_with_its_rows_alone_in_order_of_time(lake: SmallLake, bucket: str) -> None:
    lake.silver(rows=list(range(60))[::-1])
    receipt = lake.push(there(lake, bucket), export())
    assert (True, 60, {"source": "ext/authentication", "accounts": "3"}) == (
        receipt.matches,
        receipt.held_rows,
        receipt.remote,
    )
    assert [PLACE.format(account) for account in AWS] == keys(bucket)
    found = []
    for account in AWS:
        rows = table(bucket, PLACE.format(account)).read().to_pylist()
        assert {account} == {row["cloud"]["account"]["uid"] for row in rows}
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
        found += [row["_event_id"] for row in rows]
    assert sorted(event_ids(lake.read(export()))) == sorted(found)
    assert receipt.bytes_pushed == sum(
        s3.client(os.environ["AWS_ENDPOINT_URL"]).head_object(Bucket=bucket, Key=key)["ContentLength"]
        for key in keys(bucket)
    )


def test_rows_of_no_account_of_another_vendors_and_of_a_strange_one_have_places_of_their_own(
    lake: SmallLake, bucket: str
) -> None:
    uid = "['123456789012', null, '', 'a/b ../c=é', ' 210987654321 ', '12345678901'][n + 1]"
    lake.silver(rows=6, columns=EVENT.replace("(111111111110 + n % 3)::varchar", uid))
    assert lake.push(there(lake, bucket), export()).matches
    accounts = ["123456789012", "210987654321", "external", "external_12345678901", "external_a_b_.._c__"]
    assert [PLACE.format(account) for account in accounts] == keys(bucket)
    assert 2 == table(bucket, PLACE.format("external")).metadata.num_rows


@pytest.mark.parametrize(
    "cloud", ["'x' as cloud", "{'provider': 'AWS'} as cloud", "{'account': 'x'} as cloud", "1 as x"]
)
def test_a_class_without_accounts_goes_where_the_setting_says(lake: SmallLake, bucket: str, cloud: str) -> None:
    start = EVENT.index("{'provider'")
    lake.silver(columns=EVENT[:start] + cloud + EVENT[EVENT.index(" as cloud") + 9 :])
    assert lake.push(there(lake, bucket, account="999999999999"), export()).matches
    assert [PLACE.format("999999999999")] == keys(bucket)


def test_the_parquet_rules_of_aws_are_held(lake: SmallLake, bucket: str) -> None:
    lake.silver(rows=20_000, columns=f"{EVENT}, repeat(md5(n::varchar), 60) as large")
    lake.push(there(lake, bucket), export(filter="cloud.account.uid = '111111111110'"))
    held = table(bucket, PLACE.format(AWS[0]))
    groups = [held.metadata.row_group(at) for at in range(held.metadata.num_row_groups)]
    chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
    assert {"ZSTD"} == {chunk.compression for chunk in chunks}
    assert max(group.total_byte_size for group in groups) <= 256 << 20
    large = held.schema_arrow.get_field_index("large")
    assert 6 < sum(group.num_rows for group in groups) / 1000
    assert max(_pages(lake, bucket, large)) <= 1 << 20


def _pages(lake: SmallLake, bucket: str, column: int) -> list[int]:
    """The uncompressed sizes of the data pages of a column, by the headers of the pages."""
    path = lake.scratch / "held.parquet"
    path.write_bytes(
        s3.client(os.environ["AWS_ENDPOINT_URL"]).get_object(Bucket=bucket, Key=PLACE.format(AWS[0]))["Body"].read()
    )
    metadata, sizes = pq.read_metadata(path), []
    for at in range(metadata.num_row_groups):
        chunk = metadata.row_group(at).column(column)
        start = chunk.data_page_offset
        end = (chunk.dictionary_page_offset or start) + chunk.total_compressed_size
        data = path.read_bytes()[start:end]
        while data:
            kind, uncompressed, compressed, length = page_header(data)
            sizes.append(uncompressed if kind in (0, 3) else 0)
            data = data[length + compressed :]
    return sizes


def page_header(data: bytes) -> tuple[int, int, int, int]:
    """Read type and sizes of a page header (Thrift's compact protocol), and its own length."""
    reader = _Thrift(data)
    fields = reader.struct()
    return fields[1], fields[2], fields[3], reader.at


class _Thrift:
    """As much of Thrift's compact protocol as a page header has."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:
        shift = value = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self.data[self.at]:
            self.at += 1
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = self.value(head & 15)
        self.at += 1
        return fields

    def value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 8:
            length = self.varint()
            self.at += length
            return self.data[self.at - length : self.at]
        return self.struct() if kind == 12 else self.zigzag()


def test_json_is_text_and_instants_have_microseconds(lake: SmallLake, bucket: str) -> None:
    lake.silver(columns=f"{EVENT}, [{{'data': '{{\"a\":null}}'::json}}] as enrichments")
    assert lake.push(there(lake, bucket), export()).matches
    held = table(bucket, PLACE.format(AWS[0]))
    types = {each.name: each.type for each in held.schema_arrow}
    assert (pa.timestamp("us"), pa.string(), pa.int64()) == (types["time_dt"], types["unmapped"], types["time"])
    assert "JSON" not in str(held.schema)


class TestHours:
    def test_what_the_hour_no_longer_has_goes_and_nothing_else(self, lake: SmallLake, bucket: str) -> None:
        next_hour = HOUR.replace("T04", "T05")
        for hour in (HOUR, next_hour):
            lake.silver(hour, rows=6)
            lake.push(there(lake, bucket), export(), hour)
        other = PLACE.format(AWS[1]).replace("T04", "T05")
        assert 6 == len(keys(bucket))
        lake.silver(rows=[0, 3])  # of the first account alone
        receipt = lake.push(there(lake, bucket), export())
        assert (True, 2) == (receipt.matches, receipt.held_rows)
        assert [PLACE.format(AWS[0]), *(PLACE.format(each).replace("T04", "T05") for each in AWS)] == sorted(
            keys(bucket), key=lambda key: ("T05" in key, key)
        )
        lake.silver(rows=0)
        empty = lake.push(there(lake, bucket), export())
        assert (True, 0) == (empty.matches, empty.held_rows)
        assert (3, True) == (len(keys(bucket)), other in keys(bucket))

    def test_an_object_changed_by_hand_is_found_wherever_it_lies(self, lake: SmallLake, bucket: str) -> None:
        lake.silver(rows=6)
        destination, client = there(lake, bucket), s3.client(os.environ["AWS_ENDPOINT_URL"])
        lake.push(destination, export())
        copy = {"Bucket": bucket, "Key": PLACE.format(AWS[0])}
        client.copy_object(Bucket=bucket, Key=PLACE.format("external_other"), CopySource=copy)
        held = destination.read_back("authentication", Partition.of(HOUR))
        assert held is not None and 8 == held.rows
        client.delete_object(Bucket=bucket, Key=PLACE.format(AWS[1]))
        client.put_object(Bucket=bucket, Key=PLACE.format(AWS[2]), Body=b"no Parquet")
        with pytest.raises(DestinationUnavailable, match=r"ext/authentication cannot be read back: .* Push the hour"):
            destination.read_back("authentication", Partition.of(HOUR))
        assert lake.push(destination, export(), again=True).matches
        assert [PLACE.format(account) for account in AWS] == keys(bucket)

    def test_tables_are_called_as_the_settings_say(self, lake: SmallLake, bucket: str) -> None:
        lake.silver(table="scheduled_job_activity")
        wanted = export("scheduled_job_activity")
        with pytest.raises(BadDeclaration, match=r"scheduled_job_activity is longer than the 20 .* `sources: \{"):
            lake.push(there(lake, bucket), wanted)
        named = there(lake, bucket, sources={"scheduled_job_activity": "hw-jobs/1.0"})
        assert lake.push(named, wanted).matches
        assert all(key.startswith("ext/hw-jobs/1.0/region=eu-central-1/accountId=") for key in keys(bucket))
        renamed = there(lake, bucket, sources={"scheduled_job_activity": "hw-jobs"})
        assert [(HOUR, MOVED)] == lake.behind(renamed, wanted)

    def test_rows_of_two_classes_and_of_none_are_refused_before_anything_is_written(
        self, lake: SmallLake, bucket: str
    ) -> None:
        lake.silver(columns=EVENT.replace("3002 as class_uid", "(3002 + n % 2)::integer as class_uid"))
        with pytest.raises(RowsRefused, match=r"rows of the classes 3002, 3003\. Export each class by itself"):
            lake.push(there(lake, bucket), export())
        lake.gold()
        with pytest.raises(RowsRefused, match="there is no class_uid"):
            lake.push(there(lake, bucket), gold_export())
        assert [] == keys(bucket)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "required field `region`"),
        ({"region": "x"}, "region: 'x' is no region"),
        ({"region": "eu-central-1", "account": "a/b"}, "account: 'a/b' cannot be part of a key"),
        ({"region": "eu-central-1", "sources": {"t": "x" * 21}}, "cannot be a custom source"),
        ({"region": "eu-central-1", "sources": {"t": "../x"}}, "cannot be a custom source"),
    ],
)
def test_what_aws_would_not_take_is_told_when_the_settings_are_read(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadDeclaration, match=f"destinations.asl: .*{told}"):
        configured("asl", {"type": "security_lake", "root": "s3://b", **given})


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault("error", "PUT", "111111111112", status=403, code="ExpiredToken", times=None),
            Fault("error", "GET", "list-type", status=403, code="AccessDenied", times=None),
        ],
    )
    def test_what_broke_off_between_two_accounts_is_settled_by_the_next_push(
        self, lake: SmallLake, s3_server: s3.S3Server, bucket: str, fault: Fault
    ) -> None:
        lake.silver(rows=6)
        lake.push(there(lake, bucket), export())
        lake.silver(rows=[0, 1, 2, 4])
        with FaultyProxy(s3_server.url) as proxy:
            spoilt = there(lake, bucket, endpoint_url=proxy.url)
            proxy.inject(fault)
            with pytest.raises(DestinationDenied, match="ext/authentication"):
                lake.push(spoilt, export())
            proxy.heal()
            receipt = lake.push(spoilt, export())
        assert (True, 4) == (receipt.matches, receipt.held_rows)

    @pytest.mark.storm
    def test_killed_before_or_after_any_request(self, lake: SmallLake, warm: WarmProcess, bucket: str) -> None:
        pushing = Warm(warm, lake, "security_lake", {"root": f"s3://{bucket}", "region": "eu-central-1"})
        lake.silver(rows=9)
        ended = pushing.push(HOUR)
        assert (0, 3) == (ended.code, ended.acts), ended.said
        for act, answered, rows in ((1, True, [0, 1]), (2, False, [0, 4, 5]), (2, True, [2, 3, 4]), (3, True, [0, 3])):
            lake.silver(rows=rows)
            killed = pushing.push(HOUR, act, answered=answered)
            assert -9 == killed.code or act > 2
            receipt = lake.push(there(lake, bucket), export())
            assert (True, len(rows)) == (receipt.matches, receipt.held_rows)
            assert MISMATCH not in [why for _, why in lake.behind(there(lake, bucket), export())]


def test_arrow_reads_the_layout_as_a_partitioned_data_set(lake: SmallLake, bucket: str) -> None:
    """As Glue's crawler does: region, accountId and eventDay are partition columns."""
    lake.silver(rows=6)
    lake.push(lake.destination("security_lake", root=str(lake.scratch / "asl"), region="eu-central-1"), export())
    folder = lake.scratch / "asl/ext/authentication"
    found = pq.read_table(str(folder), filesystem=fs.LocalFileSystem(), columns=["accountId", "eventDay", "time"])
    assert (6, {"20260302"}) == (found.num_rows, {str(each) for each in found.column("eventDay").to_pylist()})
