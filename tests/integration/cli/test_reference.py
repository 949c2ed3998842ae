"""`headwater reference` as people and scripts see it: loading, what is loaded, the history of one thing, rejects."""

import gzip
import os
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from lake.storage.store import LocalStore
from orchestration.cli.commands.build import load_reference
from orchestration.settings import load_settings
from orchestration.steps.health import feeds_found
from tests.integration.lakes import headwater

SETTINGS = """
lake: lake
reference:
  feeds:
    cmdb: {table: assets, format: csv, path: "cmdb-*.csv", provider: Example CMDB, max_age_hours: 1}
    hostile: {table: indicators, format: plain, path: hostile.txt}
"""
JANUARY = "uid,hostnames,addresses,owner\n7,lap-7.corp.example,10.2.0.7,ann\n8,db-8,10.9.0.0/24,ben\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Path:
    """A folder with settings, and of each feed a snapshot."""
    (tmp_path / "headwater.yml").write_text(SETTINGS)
    (tmp_path / "cmdb-2026-01-01.csv").write_text(JANUARY)
    (tmp_path / "cmdb-2026-02-01T0930Z.csv").write_text(JANUARY.replace("ann", "eve"))
    (tmp_path / "hostile.txt").write_text("192.0.2.1\nwhat is this!\n198.51.100.0/24\n")
    return tmp_path


def test_loading_tells_what_changed_and_what_was_rejected_and_where_it_is(home: Path) -> None:
    said = headwater("reference", "load")
    assert 1 == said.code, said.err
    assert "1 row left out of the feeds" in said.out
    assert "cmdb as of 2026-01-01 00:00 (cmdb-2026-01-01.csv): 2 opened\n" in said.out
    assert "cmdb as of 2026-02-01 09:30 (cmdb-2026-02-01T0930Z.csv): 1 changed, 1 unchanged\n" in said.out
    assert "(hostile.txt): 2 opened\n  1 rejected: " in said.out
    assert "they are kept: headwater reference rejects hostile\n" in said.out
    again = headwater("reference", "load", "cmdb", "hostile")
    assert (0, "cmdb: nothing new\nhostile: nothing new\n") == (again.code, again.out)
    assert "what is this!" in headwater("reference", "rejects", "hostile").out
    assert "nothing was rejected of cmdb" in headwater("reference", "rejects", "cmdb").out
    (row,) = headwater("query", "select feed, text from reference.rejects", "--json").json
    assert {"feed": "hostile", "text": "what is this!"} == row


def test_a_feed_that_is_refused_keeps_no_other_from_being_loaded(home: Path) -> None:
    assert 0 == headwater("reference", "load", "cmdb").code
    (home / "cmdb-2026-03-01.csv").write_text(JANUARY.splitlines()[0] + "\n")
    said = headwater("reference", "load")
    assert 1 == said.code
    assert "would close 2 of 2 open rows" in said.err and "cmdb-2026-03-01.csv" in said.err
    assert "2 opened" in said.out  # of hostile
    assert (
        "cmdb as of 2026-03-01 00:00 (cmdb-2026-03-01.csv): 2 closed"
        in headwater("reference", "load", "cmdb", "--force").out
    )


def test_a_corrected_snapshot_of_the_same_name_is_loaded_from_when_it_was_corrected(home: Path) -> None:
    headwater("reference", "load", "cmdb")
    (home / "cmdb-2026-02-01T0930Z.csv").write_text(JANUARY.replace("ann", "zoe"))
    said = headwater("reference", "load", "cmdb")
    assert (0, True) == (said.code, "(cmdb-2026-02-01T0930Z.csv): 1 changed, 1 unchanged" in said.out)
    assert "owner: zoe" in headwater("reference", "show", "assets", "7").out
    assert "cmdb: nothing new\n" == headwater("reference", "load", "cmdb").out
    kept = (home / "cmdb-2026-02-01T0930Z.csv").stat()
    (home / "cmdb-2026-02-01T0930Z.csv").write_text(JANUARY.replace("ann", "kim"))
    os.utime(home / "cmdb-2026-02-01T0930Z.csv", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert "1 changed" in headwater("reference", "load", "cmdb").out, "whatever the time of the file says"


def test_an_earlier_snapshot_with_other_content_is_told_and_newer_ones_are_loaded(home: Path) -> None:
    headwater("reference", "load", "cmdb")
    (home / "cmdb-2026-01-01.csv").write_text(JANUARY.replace("ben", "kim"))
    (home / "cmdb-2026-01-15.csv").write_text(JANUARY)
    said = headwater("reference", "load", "cmdb")
    assert (1, True) == (said.code, "cmdb-2026-01-01.csv: other content than was loaded" in said.err)
    (home / "cmdb-2026-03-01.csv").write_text(JANUARY.replace("ann", "zoe"))
    said = headwater("reference", "load", "cmdb")
    assert (1, True) == (said.code, "cmdb-2026-03-01.csv): 1 changed" in said.out), "it stops no newer one"
    said = headwater("reference", "load", "cmdb", "--file", str(home / "cmdb-2026-01-01.csv"))
    assert (1, True) == (said.code, "--anew" in said.err)
    assert 0 == headwater("reference", "load", "cmdb", "--anew").code
    assert "cmdb: nothing new\n" == headwater("reference", "load", "cmdb").out


def test_a_snapshot_of_the_future_is_refused_aloud(home: Path) -> None:
    (home / "cmdb-2099-02-01.csv").write_text(JANUARY.replace("ann", "zoe"))
    said = headwater("reference", "load", "cmdb")
    assert (1, True) == (said.code, "days in the future; nothing was changed" in said.err)
    assert "owner: eve" in headwater("reference", "show", "assets", "7").out, "the others are loaded"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (JANUARY.encode("utf-8-sig"), "1 changed"),
        (JANUARY.encode("utf-16"), "1 changed"),
        (b"", "no header line"),
        (JANUARY.replace("owner", "uid").encode(), "the header has uid more than once"),
        (JANUARY.replace("uid", "number").replace("hostnames", "x").encode(), "would close 2 of 2 open rows"),
        (JANUARY.replace("ann", "\xe9").encode("latin-1"), "invalid UTF-8"),
        (gzip.compress(JANUARY.encode(), mtime=0)[:-9], "damaged or cut off, nothing of it is used"),
        (b"<html><body>404</body></html>", "would close 2 of 2 open rows"),
        (b"PAR1" + bytes(50), "cmdb-2026-03-01.csv"),
        (JANUARY.splitlines()[0].encode(), "would close 2 of 2 open rows"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_whole_or_no_feed(home: Path, data: bytes, said: str) -> None:
    (home / "hostile.txt").write_text("192.0.2.1\n198.51.100.0/24\n")
    headwater("reference", "load", "cmdb")
    (home / "cmdb-2026-03-01.csv").write_bytes(data.replace(b"ann", b"eva") if b"ann" in data else data)
    told = headwater("reference", "load")
    assert said in told.out + told.err, told
    assert "2 opened" in told.out, "of hostile"
    assert (said == "1 changed") == (told.code == 0), "rows that are left out are told by the exit code"


def test_a_database_that_is_none_stops_no_other_and_no_feed(home: Path) -> None:
    good = MMDBWriter(ip_version=4, database_type="GeoLite2-ASN")
    good.insert_network(IPSet(["192.0.2.0/24"]), {"autonomous_system_number": 64500})
    good.to_db_file(str(home / "good.mmdb"))
    (home / "bad.mmdb").write_text("nothing")
    (home / "headwater.yml").write_text(SETTINGS + "geoip: {city: [bad.mmdb, absent.mmdb], asn: [good.mmdb]}\n")
    said = headwater("reference", "load")
    assert (1, True, True) == (said.code, "(good.mmdb): 1 networks" in said.out, "2 opened" in said.out)
    assert "bad.mmdb: not a usable MaxMind database" in said.err and "absent.mmdb: no such file" in said.err


def test_a_build_loads_what_is_new_first_and_is_stopped_by_no_feed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "hostile.txt").write_text("what is this!\n")
    load_reference()
    said = capsys.readouterr().err
    assert "loaded cmdb as of 2026-02-01T09:30:00Z: 1 rows changed" in said
    assert "feed hostile was not loaded, and events get what it said before" in said
    assert "none of 1 pieces is an entry of indicators" in said


def test_the_list_tells_what_is_loaded_and_how_old_it_is() -> None:
    before = headwater("reference", "list").out
    assert 2 == before.count("not loaded")
    headwater("reference", "load")
    said = headwater("reference", "list").out
    assert "cmdb: older than 1 hour; run `headwater reference load cmdb`" in said
    cmdb, hostile = headwater("reference", "list", "--json").json
    assert ("assets", "Example CMDB", 2, 3, "full", True) == tuple(
        cmdb[name] for name in ("table", "provider", "rows_open", "rows", "mode", "too_old")
    )
    assert ("indicators", "hostile", 2, False) == tuple(
        hostile[name] for name in ("table", "provider", "rows_open", "too_old")
    )


@pytest.mark.parametrize("value", ["7", "LAP-7", "lap-7.corp.example", "10.2.0.7"])
def test_the_history_of_an_asset_is_found_by_any_of_its_names(value: str) -> None:
    headwater("reference", "load", "cmdb")
    first, second = headwater("reference", "show", "assets", value, "--json").json
    assert ("ann", "1970-01-01T00:00:00", "2026-02-01T09:30:00", "2026-01-01T00:00:00") == (
        first["says"]["owner"],
        first["valid_from"],
        first["valid_to"],
        first["learned_at"],
    )
    assert ("eve", "2026-02-01T09:30:00", None) == (second["says"]["owner"], second["valid_from"], second["closed_at"])
    said = headwater("reference", "show", "assets", value).out
    assert "cmdb of Example CMDB: 7" in said and "1970-01-01 00:00 to 2026-02-01 09:30" in said
    assert "learned 2026-01-01 00:00, gone or changed since 2026-02-01 09:30" in said


def test_of_an_address_the_networks_that_contain_it_are_shown() -> None:
    headwater("reference", "load")
    assert "198.51.100.0/24" in headwater("reference", "show", "indicators", "198.51.100.77").out
    assert "owner: ben" in headwater("reference", "show", "assets", "10.9.0.200").out
    nothing = headwater("reference", "show", "indicators", "203.0.113.1")
    assert (1, "error: nothing is known of '203.0.113.1' in reference.indicators\n") == (nothing.code, nothing.err)


def test_a_geoip_table_tells_what_each_version_has_of_an_address(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for built, city in ((20_000, "Oxford"), (20_100, "Leeds")):
        writer = MMDBWriter(6, "GeoLite2-City", ipv4_compatible=True)
        writer.insert_network(IPSet(["81.2.69.0/24"]), {"city": {"names": {"en": city}}, "country": {"iso_code": "GB"}})
        monkeypatch.setattr("mmdb_writer.time.time", lambda built=built: built * 86_400)
        writer.to_db_file(str(home / f"{city}.mmdb"))
    (home / "headwater.yml").write_text("lake: lake\ngeoip: {city: [Oxford.mmdb, Leeds.mmdb]}\n")
    said = headwater("reference", "load")
    assert 0 == said.code and "geoip_city of 2024-10-04 00:00 (Oxford.mmdb): 1 networks" in said.out
    assert "" == headwater("reference", "load").out
    oxford, leeds = headwater("reference", "show", "geoip_city", "81.2.69.142", "--json").json
    assert ("Oxford", "2025-01-12T00:00:00", "81.2.69.0 to 81.2.69.255") == (
        oxford["says"]["city"],
        oxford["valid_to"],
        oxford["entry"],
    )
    assert ("Leeds", "2025-01-12T00:00:00") == (leeds["says"]["city"], leeds["valid_from"])
    assert 1 == headwater("reference", "show", "geoip_city", "81.2.70.1").code
    (row,) = headwater("reference", "list", "--json").json
    assert ("GeoLite2-City", "geoip_city", 1) == (row["feed"], row["table"], row["rows"])


def test_a_file_is_loaded_without_settings(home: Path) -> None:
    words = ("reference", "load", "clouds", "--file", "hostile.txt", "--table", "warning_lists", "--format", "plain")
    said = headwater(
        *words, "--provider", "Us", "--as-of", "2026-01-02T03:04:05Z", "--option", "constants={name: Ours}"
    )
    assert 1 == said.code, "a row was left out"
    assert "clouds as of 2026-01-02 03:04:05 (hostile.txt): 2 opened" in said.out
    (each,) = headwater("reference", "show", "warning_lists", "192.0.2.1", "--json").json
    assert ("clouds", "Us", {"name": "Ours"}) == (each["feed"], each["provider"], each["says"])
    older = headwater(*words, "--as-of", "2026-01-01")
    assert 1 == older.code and "an earlier time" in older.err
    assert ["clouds"] == [each["feed"] for each in headwater("reference", "list", "--json").json if each["rows_open"]]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["load", "nope"], "no feed 'nope' in the settings (reference.feeds has: cmdb, hostile)"),
        (["load", "--table", "assets"], "describe a --file"),
        (["load", "--anew"], "--anew needs the names of feeds"),
        (["load", "--file", "x"], "--file needs the name of one feed"),
        (["load", "x", "--file", "hostile.txt"], "--table (indicators, warning_lists, assets, identities)"),
        (["load", "x", "--file", "hostile.txt", "--table", "hosts", "--format", "csv"], "no table 'hosts'"),
        (["load", "x", "--file", "hostile.txt", "--table", "assets", "--format", "xml"], "'xml' is no format of files"),
        (["load", "X", "--file", "hostile.txt", "--table", "assets", "--format", "csv"], "cannot be used as a name"),
        (["load", "cmdb", "--file", "hostile.txt", "--format", "csv"], "described by the settings"),
        (["load", "cmdb", "--file", "hostile.txt", "--as-of", "yesterday"], "is no time"),
        (["show", "hosts", "x"], "no table 'hosts'"),
    ],
)
def test_a_call_that_cannot_be_meant_so_is_told_what_was_expected(words: list[str], told: str) -> None:
    said = headwater("reference", *words)
    assert 2 == said.code
    assert told in said.err and "Traceback" not in said.err


def test_the_doctor_tells_of_feeds_that_are_not_loaded_or_too_old(home: Path) -> None:
    store = LocalStore(home / "lake")
    assert ["configured but not loaded yet"] * 2 == [each.found for each in feeds_found(load_settings(), store)]
    headwater("reference", "load")
    cmdb, hostile = feeds_found(load_settings(), store)
    assert ("warning", True) == (cmdb.state, "expected at most 1 hour" in cmdb.found)
    assert ("note", True) == (hostile.state, "1 pieces of the newest snapshot are rejected" in hostile.found)
    assert "headwater reference rejects hostile" in hostile.advice
    (home / "cmdb-2099-01-01.csv").write_text(JANUARY)
    headwater("reference", "load", "cmdb", "--force")
    assert "correct the name or time of the file" in next(feeds_found(load_settings(), store)).advice


def test_a_reference_file_with_other_bytes_is_found_and_loaded_anew_after_the_repair(home: Path) -> None:
    assert 1 == headwater("reference", "load", "hostile").code
    (rows,) = home.glob("**/reference/indicators/feed=hostile/*/rows.parquet")
    whole = rows.read_bytes()
    rows.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    said = headwater("verify", "lake")
    assert 1 == said.code and "holds other bytes than its receipt says" in said.out + said.err
    if rows.exists():
        headwater("doctor", "--repair")
    assert not rows.exists() and [*home.glob("**/damaged/reference/indicators/**/rows.parquet")]
    assert 1 == headwater("reference", "load", "hostile").code, "a row is left out, as before"
    assert 0 == headwater("verify", "lake").code
