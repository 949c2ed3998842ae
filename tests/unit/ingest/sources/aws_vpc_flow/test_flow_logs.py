"""VPC flow logs of every version and kind land with their fields, and their key layouts fit the vendor's keys."""

import csv
import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.contracts import load_contracts
from ingest.landing import land, land_files
from ingest.objects import list_objects
from lake.storage.publish import open_store
from tests.unit.ingest.landing.landed import Landed, landed, raw

CONTRACT = load_contracts()["aws_vpc_flow"]
V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
# Examples in the form of "Flow log record examples", with addresses of documentation.
ACCEPTED = "2 111122223333 eni-1235b8ca 192.0.2.139 192.0.2.21 20641 22 6 20 4249 1772427600 1772427660 ACCEPT OK"
NO_DATA = "2 111122223333 eni-1235b8ca - - - - - - - 1772427600 1772427660 - NODATA"
SKIPPED = "2 111122223333 eni-11111111 - - - - - - - 1772427600 1772427660 - SKIPDATA"
FIELDS = [each for each in CONTRACT.fields if each.name != "log_format"]


def test_the_default_format_lands(tmp_path: Path) -> None:
    found = landed(tmp_path, f"{V2}\n{ACCEPTED}\n{NO_DATA}\n{SKIPPED}\n".encode(), CONTRACT)
    columns = 'interface_id, srcaddr, dstport, protocol, bytes, "start", "end", action, _event_at::varchar, log_format'
    expected = ("eni-1235b8ca", "192.0.2.139", 22, 6, 4249, 1772427600, 1772427660, "ACCEPT", "2026-03-02 05:00:00", V2)
    assert [expected] == found.bronze(columns)
    assert [("SKIPDATA", "lost", 1), ("NODATA", "idle", 1)] == [
        (each.status, each.meaning, each.records) for each in found.receipt.coverage
    ]
    assert "account_id=111122223333 interface_id=eni-11111111" == found.receipt.coverage[0].places[0].place


def test_an_export_without_a_header_is_read_in_the_default_format(tmp_path: Path) -> None:
    found = landed(tmp_path, f"{ACCEPTED}\n{NO_DATA}\n".encode(), CONTRACT)
    assert [("eni-1235b8ca", 22, None)] == found.bronze("interface_id, dstport, log_format")
    assert 1 == found.receipt.coverage[0].records


def test_flows_of_a_transit_gateway_have_their_fields(tmp_path: Path) -> None:
    """Default format of "Transit Gateway Flow Logs": delivered among the others, version 6."""
    tgw = "resource-type tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id tgw-src-vpc-id"
    lost = "packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired tgw-src-eni"
    names = f"version {tgw} account-id srcaddr dstaddr start end log-status {lost} bytes"
    values = (
        "6 TransitGateway tgw-1 tgw-attach-1 1 2 vpc-1 1 192.0.2.1 192.0.2.2 1772427600 1772427660 OK 0 0 0 0 eni-1 9"
    )
    found = landed(tmp_path, f"{names}\n{values}\n".encode(), CONTRACT)
    assert [(6, "192.0.2.1", 9, names, values)] == found.bronze("version, srcaddr, bytes, log_format, _raw")
    assert () == found.receipt.drift
    ends = "tgw_src_vpc_account_id, tgw_src_vpc_id, tgw_src_eni, packets_lost_blackhole"
    assert [("1", "vpc-1", "eni-1", 0)] == found.bronze(ends)
    words = landed(
        tmp_path / "words", b"version srcaddr dstaddr 192.0.2.1 a b c d e f\n", CONTRACT
    )  # a number: no header
    assert [("wrong_field_count",)] == words.quarantine("reason")


@pytest.mark.parametrize("spelling", ["text", "parquet"])
def test_every_field_of_every_version_has_its_column(tmp_path: Path, spelling: str) -> None:
    names = [each.name if spelling == "parquet" else each.name.replace("_", "-") for each in FIELDS]
    values = ["1772427600" if each.name in ("start", "end") else str(at) for at, each in enumerate(FIELDS)]
    found = landed(tmp_path, f"{' '.join(names)}\n{' '.join(values)}\n".encode(), CONTRACT)
    assert () == found.receipt.drift
    ((*row,),) = found.bronze(", ".join(f'"{each.name}"::varchar' for each in FIELDS))
    assert values == row


def test_the_parquet_variant_lands_as_the_text_does(tmp_path: Path) -> None:
    line = dict(zip(V2.replace("-", "_").split(" "), ACCEPTED.split(" "), strict=True))
    table = pa.table(
        {
            name: pa.array([int(value)], pa.int64() if name in ("start", "end", "packets", "bytes") else pa.int32())
            if CONTRACT.field(name).type == "integer"
            else pa.array([value])
            for name, value in line.items()
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    names = ", ".join(f'"{name}"' for name in line)
    text = landed(tmp_path / "text", f"{V2}\n{ACCEPTED}\n".encode(), CONTRACT)
    rows = landed(tmp_path / "parquet", file.getvalue(), CONTRACT)
    assert text.bronze(f"{names}, _event_at") == rows.bronze(f"{names}, _event_at")
    assert () == rows.receipt.drift


def test_equal_lines_are_as_many_flows_and_the_same_object_again_none_more(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lake")
    data = f"{V2}\n{ACCEPTED}\n{ACCEPTED}\n".encode()
    one = Landed(store, land(CONTRACT, [raw(data, "a.log.gz")], store, "b"))
    keys = {key for (key,) in one.bronze("_event_key")}
    assert 2 == len(keys)
    land(CONTRACT, [raw(data, "a.log.gz"), raw(data, "copy.log.gz")], store, "c")
    twice = Landed(store, one.receipt).bronze("_event_key")
    assert (6, 4) == (len(twice), len(set(twice)))  # batch b and c hold the same object; another object is another flow


@pytest.mark.parametrize(
    "key",
    [
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/02/"
        "111122223333_vpcflowlogs_eu-west-1_fl-1234abcd_20260302T0505Z_fe123456.log.gz",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/02/05/"
        "111122223333_vpcflowlogs_eu-west-1_fl-1234abcd_20260302T0505Z_fe123456.log.parquet",
        "team/AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=03/day=02/"
        "111122223333_vpcflowlogs_eu-west-1_fl-1234abcd_20260302T0505Z_fe123456.log.parquet",
        "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=03/day=02/"
        "hour=05/111122223333_vpcflowlogs_eu-west-1_fl-1234abcd_20260302T0505Z_fe123456.log.gz",
    ],
    ids=["daily", "hourly parquet", "hive daily parquet below a prefix", "hive hourly"],
)
def test_the_vendors_keys_fit_a_layout_and_tell_the_delivery(tmp_path: Path, key: str) -> None:
    assert any(each.fits(key) for each in CONTRACT.key_layouts)
    path = tmp_path / key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    (found,) = list_objects(CONTRACT, [tmp_path]).objects
    assert "2026-03-02T05:05:00+00:00" == found.arrived_at.isoformat()


def test_the_raw_records_of_ocsfs_examples_land(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ocsf-examples" / "mappings" / "markdown" / "AWS" / "v1.5.0" / "VPC Flowlogs" / "samples"
    with (folder / "vpcflowlog.raw").open(newline="") as file:
        names, *records = list(csv.reader(file))  # the example is written with commas
    lines = [" ".join(each) for each in (names, *records)]
    found = landed(tmp_path, ("\n".join(lines) + "\n").encode(), CONTRACT)
    assert (len(records), 0, ()) == (found.receipt.landed, found.receipt.quarantined, found.receipt.drift)
    assert [("10.0.0.1", "1.2.3.5", 8080, 1752247584, 19, 1)] == found.bronze(
        'dstaddr, pkt_dstaddr, srcport, "start", tcp_flags, traffic_path'
    )


def test_json_renditions_of_flows_do_not_stop_a_landing(shared_data: Path, tmp_path: Path) -> None:
    """Panther's samples carry no time: each of them is kept in quarantine, under its own reason."""
    store = open_store(tmp_path / "lake")
    listing = list_objects(CONTRACT, [shared_data / "panther_samples" / "AWS.VPCFlow.ndjson"])
    (only,) = land_files(CONTRACT, listing.objects, store)
    assert {"missing_field": 10} == only.receipt.quarantined_by_reason
    assert only.receipt.conserved
    rows = duckdb.sql(
        f"select count(*) from read_parquet({store.url(only.receipt.quarantine_files[0].key)!r})"
    ).fetchone()
    assert rows == (10,)
