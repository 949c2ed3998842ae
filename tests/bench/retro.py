"""What retro-matching takes: one new list of 100,000 addresses against ninety days of observables, and how it grows.

What belongs here: writing a lake's silver files and indexes directly, and measuring the search. What does not: whether
what is found is right (tests). As a module it runs the search in a process of its own.

A lake has 46,000 events an hour with three observables each: an internal and an external address, both heavy-tailed,
and a host name. In the worst case every event has an address of its own. Every hour's table is the same small file,
linked, but for the hours that are hit. The indexes of five days are written as a build writes them, others are copies.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from ingest.reference.tables import INDICATORS, columns_of
from lake import ledger
from lake.base.sql import literal, quoted
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt, IndexMark
from lake.matching.index import COLUMNS, OPTIONS, VERSION
from lake.matching.match import Limits, match
from lake.ocsf.attributes import declared_classes
from lake.ocsf.columns import columns, conform
from lake.storage import paths
from lake.storage.store import LocalStore
from orchestration.settings import load_settings
from tests.bench.measures import GIB, Bench, Row
from tests.bench.process import job, module

HOURS, EVENTS_AN_HOUR, LIST, NETWORKS, DISTINCT_DAYS = 2160, 46_000, 100_000, 2_000, 5
TABLE, SOURCE = "network_activity", "bench"
START = datetime(2026, 1, 1)
HIT_HOURS = 48  # spread over the whole time; each has some events with a listed address
_MAPPED = 0xFFFF << 32
_PIPELINE = (("_batch", "VARCHAR"), ("_source_object", "VARCHAR"), ("_source_row", "BIGINT"))


def retro(bench: Bench) -> Iterator[Row]:
    """A new list against a sixteenth, a quarter and all of 90 days; less of them when fewer events are asked for."""
    most = HOURS * min(bench.events, 500_000) // 500_000
    took = {}
    for times, shape in ((1, "usual"), (4, "usual"), (16, "usual"), (16, "worst")):
        hours = max(1, most * times // 16)
        lake = bench.folder / "lakes" / f"retro-{shape}-{times}"
        rows = _lake(lake, hours, shape == "worst")
        seconds, told = _searched(
            bench, lake, f"{LIST:,} addresses × {hours * EVENTS_AN_HOUR / 1e6:.0f} M events, {shape}"
        )
        took[shape, times] = seconds
        size = sum(each.stat().st_size for each in (lake / paths.INDEX).rglob("*.parquet")) / 1e9
        told[0] = replace(
            told[0], note=f"{rows / 1e6:.0f} M observables, {hours:,} indexes, {size:.2f} GB; {told[0].note}"
        )
        yield from told
        if times == 16:
            yield from _at_full_size(bench, lake, shape, seconds)
        shutil.rmtree(lake)
    small, large = took["usual", 1], took["usual", 16]
    yield Row("16× the hours take", large / small, "× the time", note=f"{small:.1f} s and {large:.1f} s")
    yield from _of_a_build(bench)


def _searched(bench: Bench, lake: Path, what: str) -> tuple[float, list[Row]]:
    """Search for the list; return the best seconds, and what is told of it."""
    runs = []
    for _ in range(bench.repeats):
        _forget(lake)
        runs.append(module(lake, "tests.bench.retro", "match", str(lake / "list.parquet")))
    told = min((json.loads(each.printed) for each in runs), key=lambda each: float(each["seconds"]))
    note = f"{told['matches']:,} matches; {told['processor']:.1f} s of the processor, load {os.getloadavg()[0]:.1f}"
    bench.say(f"{what}: {told['seconds']:.1f} s ({note})")
    peak = Row("… peak memory", max(each.peak_bytes for each in runs) / GIB, "GiB", 2.5, "less")
    return told["seconds"], [Row(what, told["seconds"], "s", 60, "less", note), peak]


def _at_full_size(bench: Bench, lake: Path, shape: str, seconds: float) -> Iterator[Row]:
    """What bare DuckDB takes for the same keys in one file, and what networks take."""
    con = duckdb.connect()
    con.execute("set preserve_insertion_order = false")
    indexes = f"read_parquet({literal(str(lake / 'index/*/*/*/*/*.parquet'))})"
    con.execute(f"copy (select kind, key_high, key_low from {indexes}) to {literal(str(lake / 'one.parquet'))}")
    con.close()
    listed = str(lake / "list.parquet")
    bare = [json.loads(module(lake, "tests.bench.retro", "bare", listed).printed) for _ in range(bench.repeats)]
    best = min(each["seconds"] for each in bare)
    note = f"{best:.1f} s; {min(each['processor'] for each in bare):.1f} s of the processor"
    yield Row(f"… ÷ bare DuckDB join over one file, {shape}", seconds / best, note=note)
    _forget(lake)
    told = json.loads(module(lake, "tests.bench.retro", "match", str(lake / "networks.parquet")).printed)
    note = f"{told['processor']:.1f} s of the processor"
    yield Row(f"{NETWORKS:,} networks of 18 lengths, {shape}", told["seconds"], "s", note=note)


def _of_a_build(bench: Bench) -> Iterator[Row]:
    """What the indexes of an hour of all sources add to its build."""
    inputs = [(source, bench.inputs.lines(source, events, 1)) for source, events in bench.shares()]
    took: dict[str, list[float]] = {"build": [], "build without indexes": []}
    for _ in range(bench.repeats):
        for name, seconds in took.items():
            lake = bench.lake("retro-build", geoip=False)
            for source, path in inputs:
                job(lake, "land", source, str(path))
            seconds.append(float(module(lake, "tests.bench.retro", name).printed))
    size = sum(each.stat().st_size for each in (bench.folder / "lakes" / "retro-build" / "silver").rglob("*.parquet"))
    whole, without = min(took["build"]), min(took["build without indexes"])
    note = f"{whole:.1f} s with, {without:.1f} s without; silver {size / 1e6:.0f} MB"
    yield Row("indexes add to a build", whole / without - 1, "", None, "less", note)


def _forget(lake: Path) -> None:
    for folder in (f"{paths.LEDGER}/build/threat_matches", f"{paths.LEDGER}/retro", paths.GOLD):
        shutil.rmtree(lake / folder, ignore_errors=True)


def _lake(lake: Path, hours: int, worst: bool) -> int:
    """Write a lake; return the rows of its indexes."""
    shutil.rmtree(lake, ignore_errors=True)
    lake.mkdir(parents=True)
    store, con = LocalStore(lake), duckdb.connect()
    con.execute("set preserve_insertion_order = false")
    hit = sorted({at * hours // HIT_HOURS for at in range(HIT_HOURS)})
    _lists(con, lake)
    for day in range(0, min(hours, DISTINCT_DAYS * 24), 24):
        _indexes(con, lake, day, min(24, hours - day), worst)
    for hour in range(DISTINCT_DAYS * 24, hours):
        _index(lake, hour).parent.mkdir(parents=True)
        shutil.copyfile(_index(lake, hour % (DISTINCT_DAYS * 24)), _index(lake, hour))
    for hour in hit:
        _add_hits(con, lake, hour)
    table = lake / "table.parquet"
    _events(con, table, 0)
    receipts = []
    rows = 0
    for hour in range(hours):
        at = START + timedelta(hours=hour)
        key = f"{paths.silver_folder(TABLE, SOURCE)}/{paths.hour_folder(at)}/part.parquet"
        (lake / key).parent.mkdir(parents=True, exist_ok=True)
        if hour in hit:
            _events(con, lake / key, hour)
        else:
            os.link(table, lake / key)
        index = lake / paths.index_file(key)
        count = con.execute("select num_rows from parquet_file_metadata(?)", [str(index)]).fetchone()
        rows += count[0] if count else 0
        receipts.append(
            BuildReceipt(
                model=f"{TABLE}__{SOURCE}", source=SOURCE, table=TABLE, hour=ledger.hour_text(at), rows=100,
                bytes=(lake / key).stat().st_size, inputs=(("bronze", str(hour)),), mapping="m", built_at="", file=key,
                index=IndexMark(count[0] if count else 0, index.stat().st_size, VERSION),
            )
        )  # fmt: skip
    for key, text in build_receipts.merged_days(store, f"{TABLE}__{SOURCE}", receipts):
        store.write(key, text.encode())
    return rows


def _address(number: str) -> str:
    return f"({_MAPPED} + ({number})::ubigint)::ubigint"


def _indexes(con: duckdb.DuckDBPyConnection, lake: Path, first: int, hours: int, worst: bool) -> None:
    """Write the indexes of some hours."""
    events = f"(select h, i, random() as r from range({first}, {first + hours}) a(h), range({EVENTS_AN_HOUR}) b(i))"
    dotted = "concat_ws('.', k >> 24 & 255, k >> 16 & 255, k >> 8 & 255, k & 255)"
    one_of = "h * 1000003 + i" if worst else "floor(4000000 * pow(r, 4))::bigint + 7"
    inside = "(167772160 + floor(5000 * pow(r, 2)) * 2)::ubigint"
    texts = f"""
select h, 'ip' as kind, {dotted} as value, 0::ubigint as key_high, {_address("k")} as key_low, count(*) as n
from (select h, hash({one_of}) % 2000000000 * 2 as k from {events} union all select h, {inside} from {events})
group by all
union all
select h, 'domain', value, md5_number_upper('domain:' || value), md5_number_lower('domain:' || value), count(*)
from (select h, 'host' || floor(20000 * pow(r, 3))::bigint || '.corp.example' as value from {events}) group by all"""
    at = f"timestamp '{START}' + to_hours(h::integer)"
    (lake / paths.index_folder(TABLE, SOURCE)).mkdir(parents=True, exist_ok=True)
    con.execute(
        f"copy (select kind, value, key_high, key_low, n::bigint as occurrences, {at} as first_at,"
        f" {at} + interval 59 minute as last_at, strftime({at}, '%Y-%m-%d') as date, strftime({at}, '%H') as hour"
        f" from ({texts}) order by kind, key_high, key_low)"
        f" to {literal(str(lake / paths.index_folder(TABLE, SOURCE)))}"
        f" ({OPTIONS}, partition_by (date, hour), filename_pattern 'part', overwrite_or_ignore)"
    )
    for each in (lake / paths.index_folder(TABLE, SOURCE)).rglob("part0.parquet"):
        each.rename(each.with_name("part.parquet"))
    assert [name for name, _ in COLUMNS][:4] == ["kind", "value", "key_high", "key_low"]


def _index(lake: Path, hour: int) -> Path:
    return lake / paths.index_folder(TABLE, SOURCE) / paths.hour_folder(START + timedelta(hours=hour)) / "part.parquet"


def _listed(number: str) -> str:
    """The number of an address on the list. It is odd; events that are not to be hit have even ones."""
    return f"(hash({number}) % 2000000000 * 2 + 1)"


def _add_hits(con: duckdb.DuckDBPyConnection, lake: Path, hour: int) -> None:
    index = _index(lake, hour)
    at = f"timestamp '{START + timedelta(hours=hour)}'"
    more = f"select 'ip', '{_dotted(hour)}', 0::ubigint, {_address(_listed(f'{hour}::bigint'))}, 1::bigint, {at}, {at}"
    rows = f"read_parquet({literal(str(index))}, hive_partitioning = false)"
    con.execute(f"create or replace temp table held as select * from {rows} union all {more}")
    con.execute(f"copy held to {literal(str(index))} ({OPTIONS})")


def _dotted(number: int) -> str:
    row = duckdb.sql(f"select {_listed(f'{number}::bigint')}").fetchone()
    whole = int(row[0]) if row else 0
    return ".".join(str(whole >> shift & 255) for shift in (24, 16, 8, 0))


def _events(con: duckdb.DuckDBPyConnection, path: Path, hour: int) -> None:
    """Write 100 events of an hour; the first has a listed address."""
    at = f"timestamp '{START + timedelta(hours=hour)}'"
    con.execute(
        "create or replace temp table given as select {'uid': 'e' || i, 'logged_time': epoch_ms("
        + at
        + ")} as metadata,"
        f" {at} as time_dt, {{'ip': case when i = 0 then '{_dotted(hour)}' else '10.0.0.' || i end}} as dst_endpoint"
        " from range(100) t(i)"
    )
    types = {row[0]: row[1] for row in con.execute("describe given").fetchall()}
    chosen = [
        *conform(columns(declared_classes()[TABLE]), types, "given"),
        *(f"null::{t} as {n}" for n, t in _PIPELINE),
    ]
    con.execute(f"copy (select {', '.join(chosen)} from given) to {literal(str(path))} ({OPTIONS})")


def _lists(con: duckdb.DuckDBPyConnection, lake: Path) -> None:
    """Write a list of addresses, of which those of the hit hours are met, and one of networks."""
    con.execute(
        f"create or replace temp table list as select {_listed('i')} as k, 128 as prefix from range({LIST}) t(i)"
    )
    con.execute(
        "create or replace temp table networks as"
        " select hash(i + 1000000) % 4000000000 >> (18 - i % 18) << (18 - i % 18) as k, 96 + 14 + i % 18 as prefix"
        f" from range({NETWORKS}) t(i)"
    )
    given = {"feed": "'bench'", "provider": "'bench'", "version": "'1'", "entry": "k || '/' || prefix", "kind": "'ip'",
             "value": "k || '/' || prefix", "prefix": "prefix", "key_high": "0", "key_low": _address("k"),
             "valid_from": f"timestamp '{START + timedelta(days=90)}'", "valid_to": "timestamp '9999-12-31'",
             "learned_at": f"timestamp '{START + timedelta(days=90)}'"}  # fmt: skip
    for name in ("list", "networks"):
        told = ", ".join(
            f"{given.get(column, 'null')}::{type_} as {quoted(column)}"
            for column, type_ in columns_of(INDICATORS).items()
        )
        con.execute(f"copy (select {told} from {name}) to {literal(str(lake / f'{name}.parquet'))} (format parquet)")


def _match(lake: str, listed: str) -> None:
    settings = load_settings()
    began, used = time.perf_counter(), time.process_time()
    limits = Limits(settings.memory_bytes, settings.threads)
    done = match(LocalStore(lake), f"select * from read_parquet({literal(listed)})", declared_classes(), limits=limits)
    assert not done.failed and not done.mended and not done.left, done
    told = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used, "matches": done.rows}
    print(json.dumps(told))


def _bare(lake: str, listed: str) -> None:
    """The yardstick: a hash join of the same keys in one file with the same list, all settings at their defaults."""
    con = duckdb.connect()
    began, used = time.perf_counter(), time.process_time()
    con.execute(
        f"select count(*) from read_parquet({literal(lake + '/one.parquet')}) join read_parquet({literal(listed)})"
        " using (kind, key_high, key_low)"
    ).fetchall()
    print(json.dumps({"seconds": time.perf_counter() - began, "processor": time.process_time() - used}))


def _build(indexes: bool) -> None:
    import orchestration.dbt.plugin as plugin
    from tests.bench.job import build_all

    if not indexes:
        plugin.staged_statements = lambda *_: []  # type: ignore[attr-defined]
    print(build_all())


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what.startswith("build"):
        _build(what == "build")
    else:
        {"match": _match, "bare": _bare}[what](os.environ["HEADWATER_LAKE"], *rest)
