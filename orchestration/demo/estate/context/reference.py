"""What Larkspur Health knows, and since when: `reference/` of the estate.

- `geoip-{city,asn,isp,anonymous-ip}.mmdb` have the record shapes of MaxMind's databases
  (https://dev.maxmind.com/geoip/docs/databases) and cover every outside address the estate uses, IPv4 and IPv6
- `assets/`, `identities/`, `intel/`, `warning/`: feeds, a file a snapshot, named `<feed>-20260302T072954Z.csv` (or
  `.txt`) after the moment at which the company obtained it
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestration.demo.estate.company import Company
from orchestration.demo.estate.context import cmdb, directory, intel
from orchestration.demo.estate.networks import PLACES, Place
from orchestration.demo.estate.timeline import Timeline, stamp

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


def isp_record(place: Place) -> dict[str, Any]:
    """An ISP record."""
    return asn_record(place) | {"isp": place.organisation, "organization": place.organisation}


# What hides people, as an Anonymous-IP database says it: flags that are false are left out.
_ANONYMOUS: Mapping[str, tuple[str, ...]] = {
    "hostile": ("is_anonymous", "is_anonymous_vpn", "is_hosting_provider"),
    "scanner": ("is_anonymous", "is_hosting_provider"),
    "cloud": ("is_hosting_provider",),
}


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


def write_reference(_company: Company, out: Path) -> None:
    """Write the GeoIP databases into `out`/reference."""
    folder = out / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    places = PLACES.values()
    _write_mmdb(folder / "geoip-city.mmdb", "GeoIP2-City", ((p.network, city_record(p)) for p in places))
    _write_mmdb(folder / "geoip-asn.mmdb", "GeoLite2-ASN", ((p.network, asn_record(p)) for p in places))
    _write_mmdb(folder / "geoip-isp.mmdb", "GeoIP2-ISP", ((p.network, isp_record(p)) for p in places))
    hidden = ((PLACES[name].network, dict.fromkeys(flags, True)) for name, flags in _ANONYMOUS.items())
    _write_mmdb(folder / "geoip-anonymous-ip.mmdb", "GeoIP2-Anonymous-IP", hidden)


def write_feeds(company: Company, timeline: Timeline, out: Path) -> None:
    """Write every snapshot of every feed into `out`/reference."""
    folder = out / "reference"
    _write_feed(folder / "assets", "assets", cmdb.COLUMNS, cmdb.snapshots(company, timeline))
    _write_feed(folder / "identities", "identities", directory.COLUMNS, directory.snapshots(company, timeline))
    for name, snapshots in intel.threat_lists(timeline).items():
        _write_feed(folder / "intel", name, intel.COLUMNS, snapshots)
    for name, networks in intel.warning_lists().items():
        path = folder / "warning" / f"{name}-{stamp(timeline.warning_lists)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{network}\n" for network in networks), encoding="utf-8")


def _write_feed(
    folder: Path, name: str, header: tuple[str, ...], snapshots: Mapping[float, Sequence[tuple[str, ...]]]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for at, rows in snapshots.items():
        _write_csv(folder / f"{name}-{stamp(at)}.csv", header, rows)


def _write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
