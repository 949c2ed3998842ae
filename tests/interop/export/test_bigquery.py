"""What is special to BigQuery, read back with Google's client; the rest is the contract's."""

import json
import math
from decimal import Decimal

import pytest
from google.cloud import bigquery

from lake.export.destination import Held, Partition
from lake.export.errors import ExportError, RowsRefused, SchemaConflict
from tests.interop.export.bigquery_there import BigQueryThere
from tests.unit.export.lakes import HOUR, KINDS, KINDS_ROWS, SmallLake, export, rows_of

pytestmark = pytest.mark.interop

PLAIN = "began as time_dt, {'uid': 'm' || n} as metadata"


def test_an_empty_text_object_and_json_are_not_null_but_lists_that_are_null_are_empty_there(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    lake.silver(rows=KINDS_ROWS, columns=KINDS, table="kinds")

    receipt = lake.push(bigquery_there.open(lake), export("kinds"))

    null, empty = bigquery_there.rows("kinds")[1:3]
    assert (None, "") == (null["message"], empty["message"])
    assert (None, b"") == (null["raw_data"], empty["raw_data"])
    assert (None, "{}") == (null["unmapped"], empty["unmapped"])
    assert (None, {"name": None, "uid": None, "group": None, "created_time_dt": None}) == (null["user"], empty["user"])
    assert ([], []) == (null["labels"], empty["labels"])
    assert ([], []) == (null["observables"], empty["observables"])
    assert ([], []) == (null["tags"], empty["tags"])
    assert ("5 NULL elements of lists were left out: BigQuery's arrays hold none",) == receipt.notes


def test_the_types_are_the_documented_ones(lake: SmallLake, bigquery_there: BigQueryThere) -> None:
    lake.silver(rows=KINDS_ROWS, columns=KINDS, table="kinds")

    lake.push(bigquery_there.open(lake), export("kinds"))

    assert bigquery_there.types("kinds") == {
        "_event_hour": "TIMESTAMP",
        "time": "INTEGER",
        "time_dt": "TIMESTAMP",
        "is_alert": "BOOLEAN",
        "severity_id": "INTEGER",
        "long_id": "INTEGER",
        "score": "FLOAT",
        "message": "STRING",
        "day": "DATE",
        "raw_data": "BYTES",
        "unmapped": "STRING",
        "user": "RECORD",
        "user.name": "STRING",
        "user.uid": "STRING",
        "user.group": "RECORD",
        "user.group.name": "STRING",
        "user.group.count": "INTEGER",
        "user.created_time_dt": "TIMESTAMP",
        "labels": "STRING[]",
        "observables": "RECORD[]",
        "observables.name": "STRING",
        "observables.first_seen_dt": "TIMESTAMP",
        "tags": "RECORD[]",
        "tags.key": "STRING",
        "tags.value": "STRING",
        "order": "INTEGER",
        "Select": "INTEGER",
        "group": "STRING",
        "camelCase": "INTEGER",
        "metadata": "RECORD",
        "metadata.uid": "STRING",
        "metadata.desc": "STRING",
        "source": "STRING",
        "_event_id": "STRING",
    }


def test_numbers_beyond_64_bits_and_lists_of_lists_keep_every_digit_and_element(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    columns = (
        f"{PLAIN}, 18446744073709551615::ubigint as unsigned, '99999999999999999999999999999999999999'::decimal(38, 0)"
        " as wide, 1.123456789::decimal(38, 9) as exact, 12.5::decimal(4, 1) as small,"
        " [[1, 2], [], null, [null, 3]]::bigint[][] as grid,"
        " ['nan'::double, 'inf'::double, '-inf'::double, -0.0::double] as odd,"
        " {'deep': [{'inner': ['x', null]}, null]} as nested"
    )
    lake.silver(rows=1, columns=columns)

    receipt = lake.push(bigquery_there.open(lake), export())

    (row,) = bigquery_there.rows()
    assert (Decimal(18446744073709551615), Decimal("1.123456789"), Decimal("12.5")) == (
        row["unsigned"],
        row["exact"],
        row["small"],
    )
    assert Decimal("99999999999999999999999999999999999999") == row["wide"]
    assert [{"element": [1, 2]}, {"element": []}, {"element": [3]}] == row["grid"]
    assert [math.inf, -math.inf, 0.0] == row["odd"][1:] and math.isnan(row["odd"][0])
    assert {"deep": [{"inner": ["x"]}]} == row["nested"]
    assert ("NUMERIC", "BIGNUMERIC", "NUMERIC", "NUMERIC") == tuple(
        bigquery_there.types()[name] for name in ("unsigned", "wide", "exact", "small")
    )
    assert ("4 NULL elements of lists were left out: BigQuery's arrays hold none",) == receipt.notes


def test_values_of_16_megabytes_go_and_come_back(lake: SmallLake, bigquery_there: BigQueryThere) -> None:
    # Random, so that the file is larger than one request of Google's client takes (10 MB).
    blob = "(select string_agg(base64(unhex(md5((i + n)::varchar))), '') from range(699051) t(i))"
    lake.silver(rows=1, columns=f"{PLAIN}, {blob} as message, to_json({{'a': repeat('é', 8388608)}}) as unmapped")
    (went,) = rows_of(lake.read(export()), "message, unmapped")

    receipt = lake.push(bigquery_there.open(lake), export())

    assert receipt.matches and receipt.bytes_pushed > 10_000_000
    (came,) = bigquery_there.rows()
    assert 16_777_224 == len(came["message"])
    assert (went["message"], json.loads(went["unmapped"])) == (came["message"], json.loads(came["unmapped"]))


def test_the_table_is_partitioned_by_hour_clustered_and_asks_for_a_filter(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    lake.silver()

    receipt = lake.push(bigquery_there.open(lake, labels={"team": "soc"}), export())

    table = bigquery_there.table()
    assert ("HOUR", "_event_hour") == (table.time_partitioning.type_, table.time_partitioning.field)
    assert ["source", "class_uid", "type_uid", "severity_id"] == table.clustering_fields
    assert table.require_partition_filter
    assert {"team": "soc"} == table.labels
    (load,) = bigquery_there.loads()
    assert "soc" == load.labels["team"] and receipt.remote["load"] == load.job_id
    assert ("authentication$2026030204", "WRITE_TRUNCATE") == (load.destination.table_id, load.write_disposition)


def test_rows_that_came_back_are_loaded_again_though_their_job_once_ran(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    there = bigquery_there.open(lake)
    for message in ("first", "second", "first"):  # the same events and ids, otherwise mapped
        lake.silver(rows=2, columns=f"{PLAIN}, '{message}' as message")
        assert lake.push(there, export()).matches
        assert {message} == {row["message"] for row in bigquery_there.rows()}

    first, _, third = bigquery_there.loads()
    assert third.job_id.startswith(first.job_id) and third.job_id != first.job_id


def test_an_hour_without_rows_makes_no_table_and_a_table_that_is_not_there_holds_nothing(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    lake.silver(rows=0)
    there = bigquery_there.open(lake)

    delivery = there.push("authentication", Partition.of(HOUR), lake.read(export()))

    assert Held(rows=0, checksum=0) == delivery.held == there.read_back("authentication", Partition.of(HOUR))
    assert [] == list(bigquery_there.server.client().list_tables(bigquery_there.dataset))


def test_new_columns_are_added_also_inside_of_objects_and_lists_and_older_rows_stay(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    there, later = bigquery_there.open(lake), "2026-03-02T05"
    lake.silver(rows=1, columns=f"{PLAIN}, {{'name': 'a'}} as user, [{{'k': 1}}] as tags")
    lake.push(there, export())
    more = "{'risk': 7, 'name': 'b'} as user, [{'k': 1, 'v': 'x'}] as tags, 'new' as message, [1] as list"
    lake.silver(later, rows=1, columns=f"{PLAIN}, {more}")
    lake.push(there, export(), later)

    (old,), (new,) = bigquery_there.rows(), bigquery_there.rows(hour=later)
    assert ({"name": "a", "risk": None}, [{"k": 1, "v": None}]) == (old["user"], old["tags"])
    assert ({"name": "b", "risk": 7}, "new", [1]) == (new["user"], new["message"], new["list"])
    assert [{"k": 1, "v": "x"}] == new["tags"]
    # A table with more columns than the rows takes them as well.
    assert lake.push(there, export(), again=True).matches
    assert {"name": "a", "risk": None} == bigquery_there.rows()[0]["user"]


def test_a_type_is_widened_also_inside_of_an_object_and_stays_wide(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    there, later = bigquery_there.open(lake), "2026-03-02T05"
    lake.silver(rows=1, columns=f"{PLAIN}, {{'n': 1::bigint, 'l': [1], 's': ''}} as o, 9223372036854775807 as big")
    lake.push(there, export())
    wide = "{'n': 18446744073709551615::ubigint, 'l': [1], 's': ''} as o, 0.5::decimal(18, 3) as big"
    lake.silver(later, rows=1, columns=f"{PLAIN}, {wide}")
    lake.push(there, export(), later)

    assert ("NUMERIC", "NUMERIC") == (bigquery_there.types()["big"], bigquery_there.types()["o.n"])
    assert Decimal(9223372036854775807) == bigquery_there.rows()[0]["big"]
    assert Decimal(18446744073709551615) == bigquery_there.rows(hour=later)[0]["o"]["n"]
    assert lake.push(there, export(), again=True).matches
    assert "NUMERIC" == bigquery_there.types()["big"]


def test_a_table_of_others_is_left_alone(lake: SmallLake, bigquery_there: BigQueryThere) -> None:
    client = bigquery_there.server.client()
    client.create_dataset(bigquery_there.dataset)
    client.create_table(
        bigquery.Table(bigquery_there.name(), schema=[bigquery.SchemaField("_event_hour", "TIMESTAMP")])
    )
    lake.silver(rows=1)

    with pytest.raises(SchemaConflict, match="is not partitioned by the hour of _event_hour"):
        lake.push(bigquery_there.open(lake), export())

    assert {"_event_hour": "TIMESTAMP"} == bigquery_there.types()


def test_an_hour_larger_than_said_is_not_sent(lake: SmallLake, bigquery_there: BigQueryThere) -> None:
    lake.silver()

    with pytest.raises(RowsRefused, match="max_load_bytes is 1,000; nothing was sent"):
        lake.push(bigquery_there.open(lake, max_load_bytes=1000), export())

    assert [] == bigquery_there.loads()


def test_a_dataset_is_made_where_it_is_said_unless_told_otherwise(
    lake: SmallLake, bigquery_there: BigQueryThere
) -> None:
    lake.silver(rows=1)
    with pytest.raises(ExportError, match=r"BigQuery has no dataset .* make it, or set create_dataset"):
        lake.push(bigquery_there.open(lake, create_dataset=False), export())

    lake.push(bigquery_there.open(lake, location="EU", labels={"team": "soc"}), export())

    dataset = bigquery_there.server.client().get_dataset(bigquery_there.dataset)
    assert ("EU", {"team": "soc"}) == (dataset.location, dataset.labels)
    with pytest.raises(ExportError, match="is in EU, the settings say asia-east1"):
        lake.push(bigquery_there.open(lake, location="asia-east1"), export(), again=True)
