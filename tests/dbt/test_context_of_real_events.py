"""Real logs held against real lists, by the SQL of the product: the counts are those known of these files.

An event counts once, when either side of its connection is listed; an address counts once, however it was met.
"""

import zipfile
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from ingest.reference.feeds import Feed
from ingest.reference.formats import Source, misp_warninglist, plain
from ingest.reference.load import load_feed
from ingest.reference.tables import INDICATORS, WARNING_LISTS
from ingest.reference.views import reference_views
from lake.base.sql import literal
from lake.ocsf import observable_text
from lake.storage.store import LocalStore
from tests.integration.context.context_events import PIPELINE, whole_sql

LONG_AGO = datetime(1971, 1, 1)  # the lists are younger than the events; here they count as known before


@pytest.fixture(scope="module")
def lists(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(tmp_path_factory.mktemp("lists"))
    ipsum = Source(INDICATORS, shared_data / "ipsum" / "ipsum.txt")
    amazon = Source(WARNING_LISTS, shared_data / "misp-warninglists" / "lists" / "amazon-aws" / "list.json")
    load_feed(store, Feed("ipsum", INDICATORS), plain.read(ipsum, plain.Options()), LONG_AGO)
    load_feed(store, Feed("amazon", WARNING_LISTS), misp_warninglist.read(amazon, misp_warninglist.Options()), LONG_AGO)
    return store


def found(store: LocalStore, mapped: str, sources: str) -> dict[str, tuple[int, int]]:
    """Type of enrichment → (distinct addresses, events) of a mapping's rows."""
    con = duckdb.connect()
    observable_text.prepare(con)
    con.execute("set timezone = 'UTC'; create schema reference")
    for name, sql in reference_views(store).items():
        con.execute(f"create view reference.{name} as {sql}")
    con.execute(f"create table log as {sources}")
    entries = (
        f"select metadata.uid as uid, unnest(enrichments) as entry from ({whole_sql(con, 'network_activity', mapped)})"
    )
    counts = "entry.type, count(distinct entry.value), count(distinct uid)"
    rows = con.execute(f"select {counts} from ({entries}) group by 1").fetchall()
    return {type_: (addresses, events) for type_, addresses, events in rows}


def test_zeek_records_are_held_against_a_blocklist_and_the_ranges_of_a_cloud(
    lists: LocalStore, shared_data: Path
) -> None:
    files = literal(str(shared_data / "zed-sample-data" / "zeek-json" / "*.gz"))
    log = f"""select row_number() over () as i, coalesce(try_cast(json ->> 'ts' as timestamp), '2018-03-24') as moment,
        json ->> 'id.orig_h' as origin, json ->> 'id.resp_h' as responder from read_ndjson_objects({files})"""
    mapped = f"""select 6 as activity_id, {{'product': {{'name': 'Zeek', 'vendor_name': 'Zeek'}}}} as metadata,
        {{'ip': origin}} as src_endpoint, {{'ip': responder}} as dst_endpoint, {PIPELINE} from log"""
    assert found(lists, mapped, log) == {"threat_intelligence": (2, 14), "warning_list": (153, 730)}


def test_the_visitors_of_a_bait_bucket_are_held_against_a_blocklist(
    lists: LocalStore, shared_data: Path, tmp_path: Path
) -> None:
    archive = shared_data / "Security-Datasets/datasets/atomic/aws/discovery/aws_s3_honeybucketlogs.zip"
    with zipfile.ZipFile(archive) as packed:
        path = packed.extract(packed.namelist()[0], tmp_path)
    log = f"""select row_number() over () as i, "Event DateTime"::timestamp as moment, "Source IP" as address
        from read_csv({literal(path)}, all_varchar = true)"""
    mapped = f"""select 6 as activity_id, {{'product': {{'name': 'S3', 'vendor_name': 'AWS'}}}} as metadata,
        {{'ip': address}} as src_endpoint, {PIPELINE} from log"""
    assert found(lists, mapped, log)["threat_intelligence"] == (3, 21)
