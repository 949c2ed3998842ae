"""GeoIP and ASN tables: what the SQL join answers is what the database says, for the time of the event."""

import ipaddress
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import maxminddb
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from ingest.reference.geoip import load
from ingest.reference.geoip.load import GeoIpDatabase, load_geoip
from ingest.reference.geoip.networks import ReadCounts, ranges_of
from ingest.reference.geoip.records import GeoIpError
from ingest.reference.geoip.versions import geoip_sql
from ingest.reference.inventory import kept_places
from lake.ocsf.context.places import hits
from lake.ocsf.keys import address_hexes, carried_number
from lake.storage.store import LocalStore

NOON = datetime(2026, 3, 1, 12, 30)
OXFORD = {
    "city": {"names": {"en": "Oxford"}},
    "continent": {"code": "EU", "names": {"en": "Europe"}},
    "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    "location": {"latitude": 51.75, "longitude": -1.25},
    "postal": {"code": "OX1"},
    "subdivisions": [{"iso_code": "ENG"}, {"iso_code": "OXF"}],
}
OXFORD_HIT = ("Oxford", "GB", "GB-ENG", "Europe", "OX1", 51.75, -1.25)
LEEDS = OXFORD | {"city": {"names": {"en": "Leeds"}}}


def write_database(
    path: Path, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str = "GeoLite2-City", built: int = 1
) -> GeoIpDatabase:
    """A small .mmdb with IPv4 below ::/96; `built`: its build time, days after the epoch."""
    writer = MMDBWriter(6, kind, ipv4_compatible=True)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    monkeypatch.setattr("mmdb_writer.time.time", lambda: built * 86_400)
    writer.to_db_file(str(path))
    return GeoIpDatabase(path)


def connection(lake: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema reference")
    for name, select in geoip_sql(LocalStore(lake)).items():
        con.execute(f"create view reference.{name} as {select}")
    for statement in kept_places(geoip_sql(LocalStore(lake))):
        con.execute(statement)
    return con


def resolve(lake: Path, addresses: list[str | None], at: datetime = NOON) -> dict[str | None, tuple[Any, ...]]:
    """Address → (city, country, region, continent, postal_code, lat, long, as_number, as_org)."""
    con = connection(lake)
    con.execute("create table asked (ip varchar, event_hour timestamp)")
    con.executemany(
        "insert into asked values (?, date_trunc('hour', ?::timestamp))", [(each, at) for each in addresses]
    )
    rows = con.execute(f"""
        with address as (
            select ip, event_hour, {carried_number("hex")} as key
            from ({address_hexes("(select distinct *, ip as value from asked)")}) where hex is not null
        )
        select ip, event_hour, city, country_code, region, continent, postal_code, latitude, longitude,
          as_number, as_org
        from ({hits("address", "geoip_city")}) as city
        full join ({hits("address", "geoip_asn")}) as asn using (ip, event_hour)
    """).fetchall()
    return {row[0]: row[2:] for row in rows}


def lake_files(lake: Path) -> dict[str, bytes]:
    files = (path for path in lake.rglob("*") if path.is_file() and not path.name.startswith(".lock-"))
    return {path.relative_to(lake).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def oxford(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GeoIpDatabase:
    networks = {"81.2.69.0/24": OXFORD, "2001:db8::/32": OXFORD}
    return write_database(tmp_path / "city.mmdb", networks, monkeypatch)


# --- the vendor's own test databases -------------------------------------------------------------------------------


def truth(source: Path) -> dict[ipaddress.IPv4Network | ipaddress.IPv6Network, dict[str, Any]]:
    """Network → record; ::/96 is the IPv4 part of a database. Of a network given twice the last one is written."""
    records = {}
    for entry in json.loads(source.read_text(encoding="utf-8")):
        for text, record in entry.items():
            network: Any = ipaddress.ip_network(text)
            if network.version == 6 and int(network.network_address) >> 32 == 0 and network.prefixlen >= 96:
                network = ipaddress.ip_network((int(network.network_address), network.prefixlen - 96))
            records[network] = record
    return records


def ends(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[str, str]:
    return str(network[0]), str(network[-1])


@pytest.mark.parametrize(
    ("name", "networks"), [("GeoLite2-City", 242), ("GeoIP2-City", 250), ("GeoLite2-Country", 244)]
)
def test_first_and_last_address_of_every_city_network_resolve_to_the_truth(
    tmp_path: Path, shared_data: Path, name: str, networks: int
) -> None:
    root = shared_data / "MaxMind-DB"
    load_geoip(LocalStore(tmp_path), [GeoIpDatabase(root / f"test-data/{name}-Test.mmdb")])
    expected = truth(root / f"source-data/{name}-Test.json")
    assert networks == len(expected)

    hits = resolve(tmp_path, [address for network in expected for address in ends(network)])

    for network, record in expected.items():
        subdivision = (record.get("subdivisions") or [{}])[0].get("iso_code")
        country = record.get("country", {}).get("iso_code")
        wanted = (
            record.get("city", {}).get("names", {}).get("en"),
            country,
            f"{country}-{subdivision}" if subdivision else None,
            record.get("continent", {}).get("names", {}).get("en"),
            record.get("postal", {}).get("code"),
            record.get("location", {}).get("latitude"),
            record.get("location", {}).get("longitude"),
        )
        for address in ends(network):
            assert wanted == hits.get(address, (None,) * 9)[:7], address


def test_first_and_last_address_of_every_asn_network_resolve_to_the_truth(tmp_path: Path, shared_data: Path) -> None:
    root = shared_data / "MaxMind-DB"
    load_geoip(LocalStore(tmp_path), [GeoIpDatabase(root / "test-data/GeoLite2-ASN-Test.mmdb")])
    expected = truth(root / "source-data/GeoLite2-ASN-Test.json")
    assert len(expected) == 720

    hits = resolve(tmp_path, [address for network in expected for address in ends(network)])

    for network, record in expected.items():
        wanted = (record["autonomous_system_number"], record.get("autonomous_system_organization"))
        for address in ends(network):
            assert wanted == hits[address][7:], address


def test_addresses_around_every_network_resolve_as_in_the_vendor_s_reader(tmp_path: Path, shared_data: Path) -> None:
    """One before and one after each range: a gap must not take its neighbour's answer."""
    path = shared_data / "MaxMind-DB/test-data/GeoLite2-ASN-Test.mmdb"
    load_geoip(LocalStore(tmp_path), [GeoIpDatabase(path)])
    with maxminddb.open_database(path) as reader:
        around = [edge for network, _ in reader for edge in (network[0] - 1, network[-1] + 1)]
        wanted = {str(address): (reader.get(address) or {}).get("autonomous_system_number") for address in around}

    hits = resolve(tmp_path, list(wanted))

    assert wanted == {address: hits.get(address, (None,) * 9)[7] for address in wanted}
    assert None in wanted.values()


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "81.2.69.1",
        "::ffff:81.2.69.1",  # IPv4-mapped
        "::FFFF:5102:4501",
        "::81.2.69.1",  # IPv4-compatible
        "2002:5102:4501::1",  # 6to4 carries its site's IPv4 address
        "64:ff9b::81.2.69.1",  # NAT64 carries the destination's
        "2001:db8::",
        "2001:DB8:0:0:0:0:0:1%eth0",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    ],
)
def test_every_way_to_write_an_address_resolves(tmp_path: Path, oxford: GeoIpDatabase, address: str) -> None:
    load_geoip(LocalStore(tmp_path), [oxford])
    assert resolve(tmp_path, [address])[address][:7] == OXFORD_HIT


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "81.2.68.255",
        "81.2.70.0",
        "2001:0:5102:4501::1",  # Teredo: the readable IPv4 address is the relay server's
        "81.2.69.01",
        "81.2.69.256",
        "81.2.69.1:443",
        "81.2.69.1%eth0",
        "2001:db8:::1",
        "2001:db8::1::2",
        "2001:db8:1",
        "2001:db8:0:0:0:0:0:0:1",
        "ec2.amazonaws.com",
        "",
        None,
    ],
)
def test_private_unlisted_and_invalid_addresses_have_no_place(
    tmp_path: Path, oxford: GeoIpDatabase, address: str | None
) -> None:
    load_geoip(LocalStore(tmp_path), [oxford])
    assert resolve(tmp_path, [address]) == {}


def test_views_have_the_same_columns_with_and_without_a_database(tmp_path: Path, oxford: GeoIpDatabase) -> None:
    views = [connection(lake).execute("describe reference.geoip_city").fetchall() for lake in (tmp_path,)]
    load_geoip(LocalStore(tmp_path), [oxford])
    assert views == [connection(tmp_path).execute("describe reference.geoip_city").fetchall()]


# --- versions ------------------------------------------------------------------------------------------------------


def test_the_version_valid_at_the_event_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_database(tmp_path / "old.mmdb", {"81.2.69.0/24": OXFORD}, monkeypatch, built=20_000)
    new = write_database(tmp_path / "new.mmdb", {"81.2.69.0/24": LEEDS}, monkeypatch, built=20_100)
    load_geoip(LocalStore(tmp_path), [new])
    load_geoip(LocalStore(tmp_path), [old])
    switch = datetime(2025, 1, 12)  # day 20,100

    cities = [
        resolve(tmp_path, ["81.2.69.1"], at)["81.2.69.1"][0]
        for at in (datetime(1989, 1, 1), datetime(2025, 1, 11, 23, 59), switch, datetime(2300, 1, 1))
    ]

    assert cities == ["Oxford", "Oxford", "Leeds", "Leeds"]
    spans = "select distinct valid_from, valid_to from reference.geoip_city order by all"
    assert [(datetime(1970, 1, 1), switch), (switch, datetime(9999, 12, 31))] == connection(tmp_path).execute(
        spans
    ).fetchall()


def test_an_ipv6_only_database_leaves_ipv4_to_its_sibling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ipv4 = write_database(tmp_path / "4.mmdb", {"81.2.69.0/24": OXFORD}, monkeypatch, kind="v4", built=20_000)
    ipv6 = write_database(tmp_path / "6.mmdb", {"2001:db8::/32": LEEDS}, monkeypatch, kind="v6", built=20_100)
    load_geoip(LocalStore(tmp_path), [ipv4])
    load_geoip(LocalStore(tmp_path), [ipv6])
    hits = resolve(tmp_path, ["81.2.69.1", "2001:db8::1"])
    assert [hits[address][0] for address in ("81.2.69.1", "2001:db8::1")] == ["Oxford", "Leeds"]


def test_loading_twice_changes_nothing(tmp_path: Path, oxford: GeoIpDatabase) -> None:
    first = load_geoip(LocalStore(tmp_path / "lake"), [oxford], learned_at=datetime(2026, 1, 1))
    before = lake_files(tmp_path / "lake")
    assert first == load_geoip(LocalStore(tmp_path / "lake"), [oxford], learned_at=datetime(2026, 2, 2))
    assert before == lake_files(tmp_path / "lake")
    assert len(before) == 3


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_a_crash_before_the_receipt_is_unseen_and_heals(
    tmp_path: Path, oxford: GeoIpDatabase, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    lake, learned_at = tmp_path / "lake", datetime(2026, 1, 1)
    load_geoip(LocalStore(tmp_path / "whole"), [oxford], learned_at)
    calls = []

    def crashing(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == crash_at:
            raise KeyboardInterrupt
        return Path.rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crashing)
        with pytest.raises(KeyboardInterrupt):
            load_geoip(LocalStore(lake), [oxford], learned_at)
    assert resolve(lake, ["81.2.69.1"]) == {}

    load_geoip(LocalStore(lake), [oxford], learned_at)
    healed = {key: data for key, data in lake_files(lake).items() if not key.startswith("_staging/")}
    assert lake_files(tmp_path / "whole") == healed


def test_a_lost_file_is_written_again(tmp_path: Path, oxford: GeoIpDatabase) -> None:
    receipt = load_geoip(LocalStore(tmp_path), [oxford])[0]
    (tmp_path / next(iter(receipt.files))).unlink()
    load_geoip(LocalStore(tmp_path), [oxford])
    assert resolve(tmp_path, ["81.2.69.1"])["81.2.69.1"][:7] == OXFORD_HIT


def test_neighbours_of_one_payload_become_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {"81.2.68.0/24": OXFORD, "81.2.69.0/25": OXFORD | {"traits": {"x": 1}}, "81.2.70.0/24": OXFORD}
    receipt = load_geoip(LocalStore(tmp_path), [write_database(tmp_path / "c.mmdb", networks, monkeypatch)])[0]
    assert (receipt.networks, receipt.ranges) == (3, {"4": 2})


def test_blocks_split_a_table_without_changing_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.reference.geoip.files.BLOCK_ROWS", 2)
    monkeypatch.setattr("ingest.reference.geoip.files.ROW_GROUP_ROWS", 4)
    networks = {f"81.2.{i}.0/25": {"autonomous_system_number": i} for i in range(1, 12)}
    load_geoip(LocalStore(tmp_path), [write_database(tmp_path / "a.mmdb", networks, monkeypatch, kind="ASN")])
    hits = resolve(tmp_path, [f"81.2.{i}.{last}" for i in range(1, 12) for last in (0, 127, 128)])
    assert {f"81.2.{i}.{last}": i for i in range(1, 12) for last in (0, 127)} == {
        ip: hit[7] for ip, hit in hits.items()
    }
    assert connection(tmp_path).execute("select count(*) from reference.geoip_asn_blocks").fetchall() == [(6,)]


# --- shapes and errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"city": "Oxford", "country_code": "gb", "state1": "England", "latitude": 51.75, "postcode": "OX1"},
            ("Oxford", "GB", "England", None, "OX1", 51.75, None, None, None),
        ),
        (
            {"country": "GB", "country_name": "United Kingdom", "continent": "EU", "asn": "AS15169", "as_name": "G"},
            (None, "GB", None, "Europe", None, None, None, 15169, "G"),
        ),
        (
            {"country": "United Kingdom", "country_code": "GB", "continent": "Europe", "asn": "AS7", "as_name": "N"},
            (None, "GB", None, "Europe", None, None, None, 7, "N"),
        ),
        (
            {"city": "Oxford", "country": "GB", "region": "England", "lat": "51.75", "lng": "-1.25"},
            ("Oxford", "GB", "England", None, None, 51.75, -1.25, None, None),
        ),
        (
            {"autonomous_system_number": 3, "autonomous_system_organization": "ISP", "isp": "ISP"},
            (None, None, None, None, None, None, None, 3, "ISP"),
        ),
    ],
)
def test_every_declared_record_shape_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    load_geoip(
        LocalStore(tmp_path), [write_database(tmp_path / "a.mmdb", {"81.2.69.0/24": record}, monkeypatch, kind="other")]
    )
    assert expected == resolve(tmp_path, ["81.2.69.1"])["81.2.69.1"]


def test_an_unknown_shape_names_the_keys_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_database(tmp_path / "a.mmdb", {"81.2.69.0/24": {"is_vpn": 1, "who": {"x": "y"}}}, monkeypatch)
    with pytest.raises(GeoIpError, match=r"a\.mmdb: unknown record shape; keys found: is_vpn, who\.x"):
        load_geoip(LocalStore(tmp_path), [database])


def test_a_value_of_the_wrong_type_names_its_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_database(tmp_path / "a.mmdb", {"81.2.69.0/24": {"asn": "Google"}}, monkeypatch)
    with pytest.raises(GeoIpError, match=r"a\.mmdb: asn: expected a value for as_number, found 'Google'"):
        load_geoip(LocalStore(tmp_path / "lake"), [database])
    assert lake_files(tmp_path / "lake") == {}


def test_a_missing_and_a_garbage_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "garbage.mmdb").write_bytes(b"\x00no database" * 100)
    (tmp_path / "empty.mmdb").touch()
    with pytest.raises(GeoIpError, match=r"absent\.mmdb: no such file"):
        load_geoip(LocalStore(tmp_path), [GeoIpDatabase(tmp_path / "absent.mmdb")])
    for name in ("garbage.mmdb", "empty.mmdb"):
        with pytest.raises(GeoIpError, match=rf"{name}: not a usable MaxMind database"):
            load_geoip(LocalStore(tmp_path), [GeoIpDatabase(tmp_path / name)])


def test_two_kinds_of_database_for_one_table_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city = write_database(tmp_path / "a.mmdb", {"81.2.69.0/24": OXFORD}, monkeypatch, kind="City")
    country = write_database(tmp_path / "b.mmdb", {"81.2.69.0/24": LEEDS}, monkeypatch, kind="Country")
    with pytest.raises(GeoIpError, match=r"Country and City .* both feed geoip_city for IPv4"):
        load_geoip(LocalStore(tmp_path), [city, country])


def test_networks_held_below_the_mapped_prefix_are_ipv4(tmp_path: Path) -> None:
    """A database that writes IPv4 as ::ffff:a.b.c.d and has nothing below ::/96; with both, the copy is left out."""
    mapped, plain = ipaddress.ip_network("::ffff:5102:4500/120"), ipaddress.ip_network("81.2.69.0/24")
    for networks, aliases in (([mapped], 0), ([plain, mapped], 1)):
        counts = ReadCounts()
        found = list(ranges_of(((network, 1) for network in networks), lambda record: (record,), counts))
        assert [tuple(item) for item in found] == [(4, 0xFFFF51024500, 0xFFFF510245FF, (1,))]
        assert aliases == counts.aliases


def test_a_new_loader_writes_every_version_anew(
    tmp_path: Path, oxford: GeoIpDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_geoip(LocalStore(tmp_path), [oxford], datetime(2026, 1, 1))
    monkeypatch.setattr(load, "LOADER", load.LOADER + 1)
    assert datetime(2026, 2, 2) == load_geoip(LocalStore(tmp_path), [oxford], datetime(2026, 2, 2))[0].learned_at
