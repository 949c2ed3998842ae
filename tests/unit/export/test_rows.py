"""The rows of an hour as they are exported: all are accounted for, each has an id of its own, the same every time."""

from collections import Counter
from typing import Any

import duckdb
import pytest

from lake.base.sql import at_hand
from lake.export import rows
from lake.export.errors import BadDeclaration
from lake.export.rows import Reader, checksum_over
from lake.export.selection import FATES
from tests.unit.export.lakes import (
    CLOUDTRAIL,
    EVENT,
    GOLD,
    OKTA,
    SmallLake,
    event_ids,
    export,
    gold_export,
    rows_of,
)


def counted(reader: Reader) -> dict[str, tuple[int, ...]]:
    """By source: published, then what became of them: filtered, dropped, sampled out, merged, rows."""
    assert all(each.conserved for each in reader.counted.values())
    return {
        source: (each.published, *(getattr(each, fate) for fate in FATES), each.merged, each.rows)
        for source, each in reader.counted.items()
    }


def messages(reader: Reader) -> list[str]:
    return [row["message"] for row in rows_of(reader, "message")]


class TestIds:
    def test_an_id_is_source_and_uid_and_its_checksum_is_the_readers(self, lake: SmallLake) -> None:
        lake.silver(rows=[3, 1, 2])
        lake.silver(rows=[1], source=CLOUDTRAIL)
        reader = lake.read(export())
        assert [f"{CLOUDTRAIL}:m1", f"{OKTA}:m3", f"{OKTA}:m1", f"{OKTA}:m2"] == event_ids(reader)
        assert (4, checksum_over(event_ids(reader))) == (reader.rows, reader.checksum)

    def test_events_that_share_a_uid_are_told_apart_by_their_origin_the_same_every_time(self, lake: SmallLake) -> None:
        lake.silver(rows=6, columns=EVENT.replace("'m' || n,", "'m' || n // 2 * 2 // 4,"))
        lake.silver(rows=[0], source=CLOUDTRAIL)  # its m0 collides with none of its own
        first = event_ids(lake.read(export()))
        assert 7 == len(set(first))
        assert f"{CLOUDTRAIL}:m0" == first[0]
        assert all(each.startswith((f"{OKTA}:m0#", f"{OKTA}:m1")) for each in first[1:])
        assert first == event_ids(lake.read(export()))
        lake.silver(rows=[5, 0, 4, 1, 3, 2], columns=EVENT.replace("'m' || n,", "'m' || n // 2 * 2 // 4,"))
        assert set(first) == set(event_ids(lake.read(export())))  # also in another order of rows

    @pytest.mark.parametrize("uid", ["null::varchar", "'same'", "case when n < 2 then null else 'm' || n end"])
    @pytest.mark.parametrize("origin", ["'o' as _source_object, 7::bigint", "null as _source_object, null::bigint", ""])
    def test_ids_are_unique_whatever_uid_and_origin_are(self, lake: SmallLake, uid: str, origin: str) -> None:
        columns = EVENT.replace("'m' || n,", f"{uid},")
        held = columns[: columns.index("'objects/'")] + (f"{origin} as _source_row" if origin else "'x' as _other")
        lake.silver(rows=5, columns=held)
        reader = lake.read(export())
        assert (5, 5) == (reader.rows, len(set(event_ids(reader))))
        assert event_ids(reader) == event_ids(lake.read(export()))

    def test_a_uid_that_looks_like_the_id_of_another_event_shares_it_with_none(self, lake: SmallLake) -> None:
        """Whoever sends events may choose their uid."""
        uids = "['a', 'a', 'a##1', 'a##0', 'b', 'a#', null, '#'][n + 1]"
        columns = EVENT.replace("'m' || n,", f"{uids},")
        lake.silver(rows=8, columns=f"{columns[: columns.index(chr(39) + 'objects/')]} 'x' as _other")
        reader = lake.read(export())
        assert (8, 8) == (reader.rows, len(set(event_ids(reader))))
        assert event_ids(reader) == event_ids(lake.read(export()))

    def test_the_id_of_an_event_without_uid_stays_when_another_one_comes(self, lake: SmallLake) -> None:
        columns = EVENT.replace("'m' || n,", "case when n > 1 then 'm' || n end,")
        lake.silver(rows=[1, 2], columns=columns)
        first = event_ids(lake.read(export()))
        lake.silver(rows=[1, 2, 0], columns=columns)
        assert first == event_ids(lake.read(export()))[:2]

    def test_ids_and_expressions_are_the_same_wherever_the_machine_is(
        self, lake: SmallLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DuckDB takes the machine's zone, by which instants with a zone are written and taken apart."""
        connect = duckdb.connect

        def elsewhere(**given: Any) -> duckdb.DuckDBPyConnection:
            con = connect(**given)
            con.execute("set timezone = 'Asia/Kolkata'")
            return con

        lake.gold(columns="(began + to_minutes(n * 20))::timestamptz as time_dt, n as k")
        wanted = export("logons_daily", "gold", key=["time_dt"], filter="hour(time_dt) = 4")
        here = lake.read(wanted)
        monkeypatch.setattr(rows.duckdb, "connect", elsewhere)  # type: ignore[attr-defined]
        there = lake.read(wanted)
        assert (3, here.checksum, event_ids(here)) == (there.rows, there.checksum, event_ids(there))

    @pytest.mark.parametrize("uid", ["null::integer", "n::integer", "repeat('x', 100_000) || n"])
    def test_uids_may_be_numbers_or_long(self, lake: SmallLake, uid: str) -> None:
        lake.silver(rows=3, columns=EVENT.replace("'m' || n,", f"{uid},"))
        reader = lake.read(export())
        assert (3, checksum_over(event_ids(reader))) == (len(set(event_ids(reader))), reader.checksum)

    def test_the_declared_key_makes_the_id_of_a_table_without_uid(self, lake: SmallLake) -> None:
        lake.gold()
        first = event_ids(lake.read(gold_export()))
        assert (4, first) == (len(set(first)), event_ids(lake.read(gold_export())))
        lake.gold(rows=[3, 2, 1, 0])
        assert first == event_ids(lake.read(gold_export()))[::-1]
        with pytest.raises(BadDeclaration, match=r"logons_daily: .* no metadata\.uid: name its `key`"):
            lake.read(export("logons_daily", "gold"))

    def test_values_of_a_key_are_not_run_together(self, lake: SmallLake) -> None:
        columns = "began as time_dt, ['a, b', 'a', '', null, 'NULL'][n + 1] as x, ['c', 'b, c', '', '', ''][n + 1] as y"
        lake.gold(rows=5, columns=columns)
        assert 5 == len(set(event_ids(lake.read(gold_export(key=["x", "y"])))))

    def test_a_key_that_does_not_tell_rows_apart_is_refused_by_name(self, lake: SmallLake) -> None:
        lake.gold()
        with pytest.raises(BadDeclaration, match=r"the key \(day\) does not tell rows apart: 4 rows .* share 1 keys"):
            lake.read(gold_export(key=["day"]))

    def test_gold_may_have_a_column_source_of_its_own(self, lake: SmallLake) -> None:
        lake.gold(columns=f"{GOLD}, case n when 0 then null else 's' || n % 2 end as source")
        reader = lake.read(gold_export())
        assert {"": (1, 0, 0, 0, 0, 1), "s0": (1, 0, 0, 0, 0, 1), "s1": (2, 0, 0, 0, 0, 2)} == counted(reader)


class TestWhatGoes:
    def test_what_the_filter_is_not_true_of_stays_also_where_it_is_null(self, lake: SmallLake) -> None:
        lake.silver(rows=9)  # status_id is 1, 2, NULL, …
        reader = lake.read(export(filter="status_id = 2 -- failures"))
        assert {OKTA: (9, 6, 0, 0, 0, 3)} == counted(reader)
        assert {2} == {row["status_id"] for row in rows_of(reader)}

    def test_what_a_drop_is_true_of_goes_and_where_it_is_null_stays(self, lake: SmallLake) -> None:
        lake.silver(rows=8)  # is_alert is true, false, NULL, NULL, …
        kept = lake.read(export(reduction={"drop": ["is_alert = false"]}))
        assert {OKTA: (8, 0, 2, 0, 0, 6)} == counted(kept)
        only = lake.read(export(reduction={"drop": ["is_alert is not true -- most"]}))
        assert {OKTA: (8, 0, 6, 0, 0, 2)} == counted(only)
        assert {True} == {row["is_alert"] for row in rows_of(only)}

    def test_each_row_has_one_fate_the_first_that_applies(self, lake: SmallLake) -> None:
        lake.silver(rows=12)
        lake.silver(rows=6, source=CLOUDTRAIL)
        reduction = {
            "drop": ["severity_id = 1", "severity_id <= 2"],
            "sample": {"share": 0, "where": "severity_id = 3"},
        }
        reader = lake.read(export(filter="severity_id > 0", reduction=reduction))
        assert {CLOUDTRAIL: (6, 1, 2, 1, 0, 2), OKTA: (12, 2, 4, 2, 0, 4)} == counted(reader)
        assert {4, 5} == {row["severity_id"] for row in rows_of(reader)}
        assert {CLOUDTRAIL: 2, OKTA: 4} == Counter(row["source"] for row in rows_of(reader))

    def test_a_sample_keeps_the_same_rows_every_time_and_about_its_share(self, lake: SmallLake) -> None:
        lake.silver(rows=4000)
        wanted = export(reduction={"sample": {"share": 0.25, "where": "activity_id = 1"}})
        first = event_ids(lake.read(wanted))
        assert 2000 + 400 < len(first) < 2000 + 600
        lake.silver(rows=list(range(4000))[::-1])
        assert set(first) == set(event_ids(lake.read(wanted)))
        more = event_ids(lake.read(export(reduction={"sample": {"share": 0.5, "where": "activity_id = 1"}})))
        assert set(first) < set(more)

    @pytest.mark.parametrize(("share", "kept"), [(0, 5), (1, 10)])
    def test_a_sample_of_nothing_or_of_all(self, lake: SmallLake, share: float, kept: int) -> None:
        lake.silver(rows=10)
        assert kept == lake.read(export(reduction={"sample": {"share": share, "where": "activity_id = 1"}})).rows
        assert 10 == lake.read(export(reduction={"sample": {"share": share, "where": "message is null"}})).rows

    def test_columns_are_chosen_or_left_out_and_none_of_the_lakes_own_go(self, lake: SmallLake) -> None:
        lake.silver()
        assert ["time_dt", "message", "_event_id"] == lake.read(export(columns=["message", "time_dt"])).schema.names
        names = lake.read(export()).schema.names
        assert "unmapped" in names
        assert ["_event_id"] == [name for name in names if name.startswith("_")]
        assert {*names} - {"unmapped", "source"} == {*lake.read(export(without=["unmapped", "source"])).schema.names}

    @pytest.mark.parametrize("said", [{"columns": ["usr"]}, {"without": ["usr"]}, {"columns": ["_batch", "usr"]}])
    def test_a_column_that_is_not_there_is_named(self, lake: SmallLake, said: dict[str, list[str]]) -> None:
        lake.silver()
        lake.gold()
        unknown = next(iter(said.values()))[0]
        for wanted in (export(**said), gold_export(**said)):
            with pytest.raises(BadDeclaration, match=f"names '{unknown}', which is no column of the table"):
                lake.read(wanted)

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({"filter": "usr = 'x'"}, "filter: .*usr"),
            ({"filter": "severity_id"}, "filter: it gives INTEGER, not true or false"),
            ({"filter": "message::integer = 1"}, "Could not convert string 'signed in as u0' to INT32"),
            ({"filter": "regexp_matches(message, '(')"}, "missing \\)"),
            ({"reduction": {"drop": ["true = is_alert", "actor.usr = 1"]}}, r"reduction\.drop\[1\]: .*usr"),
            ({"reduction": {"sample": {"share": 0.5, "where": "x = 1"}}}, r"reduction\.sample\.where: .*x"),
            ({"reduction": {"aggregate": {"by": ["src.ip"]}}}, "src"),
            ({"reduction": {"aggregate": {"by": ["message"], "sum": ["class_name"]}}}, "sum"),
            ({"key": ["usr"]}, "usr"),
        ],
    )
    def test_what_is_wrong_with_an_expression_is_told_in_one_line(
        self, lake: SmallLake, said: dict[str, object], told: str
    ) -> None:
        lake.silver()
        with pytest.raises(BadDeclaration, match=rf"^authentication: meta\.exports[^\n]*{told}[^\n]*$"):
            lake.read(export(**said))

    def test_names_and_sources_are_quoted(self, lake: SmallLake) -> None:
        """A name of a column, or a value of a key, is never SQL."""
        lake.gold(columns=f'{GOLD}, n as "a"" b\'; drop table held; --", n as "select", \'x\' as "Order"')
        reader = lake.read(gold_export(columns=["a\" b'; drop table held; --", "select", "Order"]))
        assert ["a\" b'; drop table held; --", "select", "Order", "_event_id"] == reader.schema.names


class TestMinutes:
    BY = ("src_endpoint.ip", "src_endpoint.location.country", "dst_endpoint.port", "message")

    def test_events_of_a_minute_become_one_row_with_their_count_sums_and_times(self, lake: SmallLake) -> None:
        lake.silver(rows=300)
        lake.silver(rows=30, source=CLOUDTRAIL)
        aggregate = {"by": list(self.BY), "sum": ["traffic.bytes", "severity_id", "src_endpoint.location.lat"]}
        reader = lake.read(export(filter="status_id = 1", reduction={"aggregate": aggregate}))
        held = f"{lake.store.url('silver/authentication')}/source=*/*/*/*.parquet"
        with at_hand() as con:
            expected = con.execute(
                "select source, date_trunc('minute', time_dt), src_endpoint.ip, message, count(*), min(time_dt),"
                " max(time_dt), sum(traffic.bytes)::bigint, sum(severity_id)::bigint, sum(src_endpoint.location.lat)"
                f" from read_parquet('{held}', hive_partitioning = true) where status_id = 1 group by all"
            ).fetchall()
            con.execute(f"create temp view made as from read_parquet('{reader.path}')")
            made = con.execute(
                "select source, time_dt, src_endpoint.ip, message, count, start_time_dt, end_time_dt, traffic.bytes,"
                " severity_id, src_endpoint.location.lat from made"
            ).fetchall()
            where = con.execute("select distinct src_endpoint.location.country, dst_endpoint.port from made").fetchall()
            right = con.execute("select bool_and(time = epoch_ms(time_dt)) from made").fetchone()
        assert Counter(expected) == Counter(made)
        assert 5 < len(expected) < 110 == sum(each[4] for each in made)
        assert ([("DE", 443)], (True,)) == (where, right)
        assert {CLOUDTRAIL: 10, OKTA: 100} == {name: each.rows + each.merged for name, each in reader.counted.items()}
        assert reader.rows == sum(each.rows for each in reader.counted.values()) == len(made)
        assert 330 == sum(sum(each[1:]) for each in counted(reader).values())

    def test_their_ids_are_unique_and_the_same_every_time_also_in_another_order(self, lake: SmallLake) -> None:
        wanted = export(reduction={"aggregate": {"by": list(self.BY)}})
        lake.silver(rows=120)
        first = lake.read(wanted)
        assert first.rows == len(set(event_ids(first)))
        lake.silver(rows=list(range(120))[::-1])
        second = lake.read(wanted)
        assert (event_ids(first), first.checksum) == (event_ids(second), second.checksum)

    def test_a_sum_over_nothing_is_null_and_null_is_a_group_of_its_own(self, lake: SmallLake) -> None:
        columns = "began as time_dt, case n when 0 then 'a' when 1 then '' end as k, case n when 0 then 5 end as v"
        lake.gold(rows=4, columns=columns)
        reader = lake.read(export("logons_daily", "gold", reduction={"aggregate": {"by": ["k"], "sum": ["v"]}}))
        found = {row["k"]: (row["count"], row["v"]) for row in rows_of(reader)}
        assert ({"a": (1, 5), "": (1, None), None: (2, None)}, 3) == (found, len(set(event_ids(reader))))

    def test_columns_may_be_named_like_words_of_sql(self, lake: SmallLake) -> None:
        columns = (
            "began as time_dt, n % 2 as \"group\", n as \"order\", {'select': n % 2, 'from': {'End': n}} as \"table\","
            ' n as _count, n as "min"'
        )
        lake.gold(rows=4, columns=columns)
        aggregate = {"by": ["group", "table.select"], "sum": ["order", "table.from.End", "min"]}
        reader = lake.read(export("logons_daily", "gold", reduction={"aggregate": aggregate}))
        assert [
            {"group": 0, "order": 2, "table": {"select": 0, "from": {"End": 2}}, "min": 2},
            {"group": 1, "order": 4, "table": {"select": 1, "from": {"End": 4}}, "min": 4},
        ] == sorted(rows_of(reader, '"group", "order", "table", "min"'), key=lambda row: row["group"])

    def test_a_sum_beyond_64_bits_is_told(self, lake: SmallLake) -> None:
        lake.silver(rows=2, columns=f"{EVENT}, 9223372036854775807::bigint as big")
        with pytest.raises(BadDeclaration, match="out of range"):
            lake.read(export(reduction={"aggregate": {"by": ["class_uid"], "sum": ["big"]}}))
