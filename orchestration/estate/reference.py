"""What Larkspur Health knows about its addresses, people and machines: `reference/` of the estate.

`geoip-city.mmdb` and `geoip-asn.mmdb` have the record shape of MaxMind's City and ASN databases
(https://dev.maxmind.com/geoip/docs/databases) and cover every outside address the estate uses, IPv4 and IPv6;
`directory.csv` lists the people, `assets.csv` the machines and AWS accounts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from orchestration.estate.company import Company
from orchestration.estate.networks import PLACES, Place

_EUROPE = ("EU", "Europe")
_CONTINENTS = {"US": ("NA", "North America"), "IE": _EUROPE, "PT": _EUROPE, "MD": _EUROPE, "GE": ("AS", "Asia")}
_BUILD_EPOCH_SECONDS = 1_772_323_200  # 2026-03-01: the databases are older than the day they explain


def city_record(place: Place) -> dict[str, Any]:
    """A City record with what the estate knows; geoname ids are left out."""
    code, continent = _CONTINENTS[place.iso]
    country = {"iso_code": place.iso, "names": {"en": place.country}}
    return {
        "city": {"names": {"en": place.city}},
        "continent": {"code": code, "names": {"en": continent}},
        "country": country,
        "registered_country": country,
        "location": {"accuracy_radius": 20, "latitude": place.latitude, "longitude": place.longitude},
        "postal": {"code": place.postal},
        "subdivisions": [{"names": {"en": place.state}}],
    }


def asn_record(place: Place) -> dict[str, Any]:
    """An ASN record."""
    return {"autonomous_system_number": place.asn, "autonomous_system_organization": place.organisation}


def _write_mmdb(path: Path, kind: str, records: Iterable[tuple[str, dict[str, Any]]]) -> None:
    from mmdb_writer import MMDBWriter  # a development dependency: an estate is generated where the lock is installed
    from netaddr import IPNetwork, IPSet

    writer = MMDBWriter(6, kind, languages=["en"], description="Larkspur Health, simulated", ipv4_compatible=True)
    for network, record in records:
        writer.insert_network(IPSet([IPNetwork(network)]), record)
    writer.to_db_file(str(path))
    _set_build_epoch(path)


def _set_build_epoch(path: Path) -> None:
    """The writer puts its own clock into the metadata; the estate needs the same bytes every time."""
    head, key, tail = path.read_bytes().rpartition(b"build_epoch")
    value = 2 + (tail[0] & 0x1F)  # an extended uint64: its size in the first control byte, its type in the second
    path.write_bytes(head + key + tail[:2] + _BUILD_EPOCH_SECONDS.to_bytes(value - 2, "big") + tail[value:])


def write_reference(company: Company, out: Path) -> None:
    """Write the four files into `out`/reference."""
    folder = out / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    _write_mmdb(folder / "geoip-city.mmdb", "GeoIP2-City", ((p.network, city_record(p)) for p in PLACES.values()))
    _write_mmdb(folder / "geoip-asn.mmdb", "GeoLite2-ASN", ((p.network, asn_record(p)) for p in PLACES.values()))
    people = [
        (p.username, p.email, p.name, p.title, p.department, p.office, p.sid, p.okta_id, p.workstation)
        for p in company.people
    ]
    _write_csv(
        folder / "directory.csv",
        ("username", "email", "name", "title", "department", "office", "sid", "okta_id", "workstation"),
        people,
    )
    hosts = [(h.name, h.fqdn, h.address, h.role, h.owner) for h in (*company.servers, *company.workstations.values())]
    accounts = [(name, number, "", "aws account", "") for name, number in company.accounts.items()]
    _write_csv(folder / "assets.csv", ("name", "id", "address", "role", "owner"), hosts + accounts)


def _write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
