"""Every type of MaxMind database feeds the tables that it can, and no table is fed by two types."""

from pathlib import Path
from typing import Any

import maxminddb
import pytest

from ingest.reference.geoip.load import GeoIpDatabase, databases_of, load_geoip
from ingest.reference.geoip.records import ANONYMOUS_COLUMNS, ISP_COLUMNS, TABLES, GeoIpError
from lake.ocsf.context import places
from lake.ocsf.keys import address_hexes, carried_number
from lake.storage.store import LocalStore
from tests.integration.ingest.reference.test_geoip import NOON, OXFORD, connection, ends, truth, write_database

NETWORK, ADDRESS = "81.2.69.0/24", "81.2.69.1"
ASN = {"autonomous_system_number": 7, "autonomous_system_organization": "Net"}
ISP = ASN | {"isp": "Example", "organization": "Example Ltd", "mobile_country_code": "228", "mobile_network_code": "01"}
TRAITS = ISP | {"connection_type": "Corporate", "domain": "example.com", "user_type": "business"}


def hits(lake: Path, table: str, addresses: list[str]) -> dict[str, dict[str, Any]]:
    """Address → what the table says of it, through the join that events use."""
    con = connection(lake)
    con.execute("create table asked as select unnest($1::varchar[]) as ip", [addresses])
    con.execute(f"""
        create table address as
        select ip, timestamp '{NOON}' as event_hour, {carried_number("hex")} as key
        from ({address_hexes("(select distinct *, ip as value from asked)")})""")
    found = con.execute(f"select ip, {', '.join(TABLES[table])} from ({places.hits('address', table)})")
    rows = found.fetchall()
    return {ip: {n: v for n, v in zip(TABLES[table], values, strict=True) if v is not None} for ip, *values in rows}


def fed(lake: Path, *databases: GeoIpDatabase) -> set[str]:
    return {receipt.table for receipt in load_geoip(LocalStore(lake), list(databases))}


def test_every_network_of_anonymous_ip_resolves_to_the_truth(tmp_path: Path, shared_data: Path) -> None:
    root = shared_data / "MaxMind-DB"
    assert {"geoip_anonymous"} == fed(tmp_path, GeoIpDatabase(root / "test-data/GeoIP2-Anonymous-IP-Test.mmdb"))
    expected = truth(root / "source-data/GeoIP2-Anonymous-IP-Test.json")
    assert len(expected) == 12

    found = hits(tmp_path, "geoip_anonymous", [address for network in expected for address in ends(network)])

    for network, record in expected.items():
        for address in ends(network):
            assert record == found[address], address


def test_addresses_around_them_resolve_as_in_the_vendor_s_reader(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "MaxMind-DB/test-data/GeoIP2-Anonymous-IP-Test.mmdb"
    fed(tmp_path, GeoIpDatabase(path))
    with maxminddb.open_database(path) as reader:
        around = [edge for network, _ in reader for edge in (network[0] - 1, network[-1] + 1)]
        wanted = {str(address): reader.get(address) or {} for address in around}
    found = hits(tmp_path, "geoip_anonymous", list(wanted))
    assert wanted == {address: found.get(address, {}) for address in wanted}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (OXFORD, {"geoip_city": {"city": "Oxford"}}),
        (ASN, {"geoip_asn": {"as_number": 7}}),
        (
            ISP,
            {"geoip_asn": {"as_number": 7}, "geoip_isp": {name: ISP[name] for name in ISP_COLUMNS if name in ISP}},
        ),
        (
            OXFORD | {"traits": TRAITS},
            {
                "geoip_city": {"city": "Oxford"},
                "geoip_asn": {"as_number": 7, "as_org": "Net"},
                "geoip_isp": {name: TRAITS[name] for name in ISP_COLUMNS},
            },
        ),
        ({"connection_type": "Cellular"}, {"geoip_connection": {"connection_type": "Cellular"}}),
        ({"domain": "example.com"}, {"geoip_domain": {"domain": "example.com"}}),
        (
            {
                "is_anonymous": True,
                "anonymizer_confidence": 99,
                "network_last_seen": "2026-02-01",
                "provider_name": "V",
            },
            {
                "geoip_anonymous": {
                    "is_anonymous": True,
                    "anonymizer_confidence": 99,
                    "network_last_seen": "2026-02-01",
                    "provider_name": "V",
                }
            },
        ),
        (
            {"vpn": "true", "proxy": "", "tor": "", "hosting": "true", "service": "V"},
            {"geoip_anonymous": {"is_anonymous_vpn": True, "is_hosting_provider": True, "provider_name": "V"}},
        ),
    ],
    ids=["City", "ASN", "ISP", "Enterprise", "Connection-Type", "Domain", "Anonymous-Plus", "ipinfo privacy"],
)
def test_a_database_feeds_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], expected: dict[str, dict[str, Any]]
) -> None:
    database = write_database(tmp_path / "a.mmdb", {NETWORK: record}, monkeypatch, kind="any")
    assert set(expected) == fed(tmp_path / "lake", database)
    for table, wanted in expected.items():
        assert wanted.items() <= hits(tmp_path / "lake", table, [ADDRESS])[ADDRESS].items(), table


def test_what_is_neither_yes_nor_no_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_database(tmp_path / "a.mmdb", {NETWORK: {"is_anonymous": "maybe"}}, monkeypatch)
    with pytest.raises(GeoIpError, match="is_anonymous: expected a value for is_anonymous, found 'maybe'"):
        fed(tmp_path / "lake", database)


def test_a_table_is_fed_by_the_databases_of_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enterprise, ASN, ISP and Connection-Type databases side by side, as the settings name them."""
    paths = {
        name: write_database(tmp_path / f"{name}.mmdb", {NETWORK: record}, monkeypatch, kind=name).path
        for name, record in {
            "enterprise": OXFORD | {"traits": TRAITS},
            "asn": ASN | {"autonomous_system_number": 8},
            "isp": ISP | {"isp": "Other"},
            "connection": {"connection_type": "Cable/DSL"},
        }.items()
    }
    configured = {
        "city": [paths["enterprise"]],
        "asn": [paths["asn"]],
        "anonymous": [],
        "isp": [paths["isp"], paths["connection"]],
    }
    lake = tmp_path / "lake"
    assert {"geoip_city", "geoip_asn", "geoip_isp", "geoip_connection"} == fed(lake, *databases_of(configured))
    assert 8 == hits(lake, "geoip_asn", [ADDRESS])[ADDRESS]["as_number"]
    assert "Other" == hits(lake, "geoip_isp", [ADDRESS])[ADDRESS]["isp"]

    alone = tmp_path / "alone"
    assert {"geoip_city", "geoip_asn", "geoip_isp"} == fed(alone, *databases_of({"city": [paths["enterprise"]]}))


def test_a_database_under_the_wrong_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asn = write_database(tmp_path / "a.mmdb", {NETWORK: ASN}, monkeypatch)
    city = write_database(tmp_path / "c.mmdb", {NETWORK: OXFORD}, monkeypatch)
    with pytest.raises(GeoIpError, match=r"a\.mmdb: holds geoip_asn, expected geoip_city"):
        fed(tmp_path / "lake", *databases_of({"city": [asn.path], "asn": [city.path]}))


def test_views_have_the_columns_of_every_table_without_a_database(tmp_path: Path) -> None:
    con = connection(tmp_path)
    flags = {name for name, of in ANONYMOUS_COLUMNS.items() if of == "bool"}
    types = {row[0]: row[1] for row in con.execute("describe reference.geoip_anonymous").fetchall()}
    assert {"BOOLEAN"} == {types[name] for name in flags}
    for table, columns in TABLES.items():
        described = {row[0] for row in con.execute(f"describe reference.{table}").fetchall()}
        assert set(columns) | {"valid_from", "valid_to"} <= described
