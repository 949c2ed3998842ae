"""What context costs: building an hour with large reference tables ÷ building it with none.

What belongs here: generating the tables, once, and measuring. What does not: whether what is found is right (tests).
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from ingest.reference.feeds import Feed
from ingest.reference.geoip.files import Stamp, write_files
from ingest.reference.geoip.networks import Range
from ingest.reference.geoip.records import Payload
from ingest.reference.geoip.versions import ReferenceReceipt, encoded
from ingest.reference.load import load_feed
from ingest.reference.tables import ASSETS, IDENTITIES, INDICATORS, Entry
from lake.storage.store import LocalStore
from orchestration.demo.estate.company import found
from tests.bench.measures import Bench, Row
from tests.bench.process import job

NETWORKS, INDICATOR_ROWS, ENTITIES = 5_000_000, 1_000_000, 10_000
_LEARNED = datetime(2026, 3, 1)
_MAPPED = 0xFFFF << 32
_PLACES = [("GB", "United Kingdom", "Europe"), ("US", "United States", "North America"), ("JP", "Japan", "Asia")]


def context(bench: Bench) -> Iterator[Row]:
    """One hour of all sources, built without reference tables, and with 5 million networks and 1 million indicators;
    then with 10,000 assets and identities as well. Measured in seconds of the processors."""
    paths = [(source, bench.inputs.lines(source, events, 1)) for source, events in bench.shares()]
    tiny = [(source, bench.inputs.lines(source, 30, 1)) for source in bench.sources]
    _build(bench, "none", tiny)  # the project is parsed once after an edit, not every hour
    took: dict[str, list[float]] = {"none": [], "large": [], "everything": []}
    fixed: dict[str, list[float]] = {name: [] for name in took}
    for _ in range(bench.repeats):
        for name in took:
            fixed[name].append(_build(bench, name, tiny))
            took[name].append(_build(bench, name, paths))
    best, least = ({name: min(each) for name, each in of.items()} for of in (took, fixed))
    networks, indicators = _sizes(bench)
    for name, target in (("large", 0.4), ("everything", None)):
        what = f"{networks:,} networks, {indicators:,} indicators" + (
            ", 10,000 machines, accounts" if name != "large" else ""
        )
        note = f"{best[name]:.1f} CPU s, without {best['none']:.1f}; fixed {least[name]:.1f} and {least['none']:.1f}"
        yield Row(f"context adds: {what}", best[name] / best["none"] - 1, "", target, "less", note)
        net = (best[name] - least[name]) / (best["none"] - least["none"]) - 1
        yield Row("… with the fixed cost of a run taken off", net, "", target, "less")


def _build(bench: Bench, name: str, paths: list[tuple[str, Path]]) -> float:
    """Processor seconds of building what was landed before into a fresh lake with some tables."""
    lake = bench.lake(f"context-{name}", geoip=False)
    if name != "none":
        sizes = _sizes(bench)
        _link(_tables(bench.inputs.folder / f"context-large-{sizes[0]}", partial(_load_large, *sizes)), lake)
    if name == "everything":
        _link(_tables(bench.inputs.folder / "context-entities", _load_entities), lake)
    _link(_landed(bench, paths), lake)
    built = job(lake, "build")
    size = sum(path.stat().st_size for _, path in paths) / 1e6
    bench.say(f"{name}: {size:.0f} MB in {built.own_seconds:.1f} s, {built.cpu_seconds:.1f} CPU s")
    return built.cpu_seconds


def _landed(bench: Bench, paths: list[tuple[str, Path]]) -> Path:
    """A lake with the bronze of some files, landed once."""
    lake = bench.inputs.folder / f"context-bronze-{paths[0][1].stem}"
    if not (lake / "done").exists():
        shutil.rmtree(lake, ignore_errors=True)
        lake.mkdir(parents=True)
        for source, path in paths:
            job(lake, "land", source, str(path))
        (lake / "done").touch()
    return lake


def _link(tables: Path, lake: Path) -> None:
    for part in ("reference", "bronze", "ledger"):
        if (tables / part).is_dir():
            shutil.copytree(tables / part, lake / part, copy_function=os.link, dirs_exist_ok=True)


def _tables(folder: Path, load: Callable[[LocalStore], None]) -> Path:
    """A lake with nothing but tables."""
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        load(LocalStore(folder))
        (folder / "done").touch()
    return folder


def _sizes(bench: Bench) -> tuple[int, int]:
    """Networks and indicators: all of them from 500,000 events on."""
    return min(NETWORKS, bench.events * 10), min(INDICATOR_ROWS, bench.events * 2)


def _load_large(networks: int, indicators: int, store: LocalStore) -> None:
    _geoip(store, "geoip_city", networks, _city)
    _geoip(store, "geoip_asn", networks // 10, lambda i: (i % 70_000, f"Carrier {i % 70_000}"))
    load_feed(store, Feed("generated", INDICATORS), _indicators(indicators), _LEARNED)


def _city(i: int) -> Payload:
    return (*_PLACES[i % 3], "GB-ENG", f"City {i % 50_000}", f"{i % 9999}", 51.5, -1.2)


def _load_entities(store: LocalStore) -> None:
    load_feed(store, Feed("cmdb", ASSETS), _assets(), _LEARNED)
    load_feed(store, Feed("directory", IDENTITIES), _identities(), _LEARNED)


def _geoip(store: LocalStore, table: str, networks: int, payload: Callable[[int], Payload]) -> None:
    root = Path(store.root)
    folder = root / "reference" / table / "version=generated"
    folder.mkdir(parents=True)
    stamp = Stamp("Generated", "generated", datetime(2026, 2, 1), _LEARNED, 1)
    files = [folder / "part.parquet", folder / "blocks.parquet"]
    write_files(table, _ranges(networks, payload), stamp, *files)
    sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in files}
    receipt = ReferenceReceipt(
        table=table, version="generated", database_type="Generated", shape="", source_file="", source_sha256="",
        built_at=stamp.built_at, learned_at=_LEARNED, networks=networks, without_payload=0, aliases=0,
        ranges={"4": networks // 5 * 4, "6": networks // 5}, files=sizes, loader=1,
    )  # fmt: skip
    path = root / receipt.key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(encoded(receipt))


def _ranges(networks: int, payload: Callable[[int], Payload]) -> Iterator[Range]:
    """Four fifths cover all of IPv4, one fifth part of IPv6."""
    ipv4 = networks // 5 * 4
    step = (1 << 32) // ipv4
    for i in range(ipv4):
        last = (1 << 32) - 1 if i == ipv4 - 1 else (i + 1) * step - 1
        yield Range(4, _MAPPED + i * step, _MAPPED + last, payload(i))
    for i in range(networks - ipv4):
        start = (0x2001 << 112) + (i << 80)
        yield Range(6, start, start + (1 << 80) - 1, payload(i))


def _indicators(rows: int) -> Iterator[Entry]:
    rng = random.Random(7)
    payload = {"category": "c2", "confidence": 80, "severity": "high", "name": "generated"}

    def entry(kind: str, value: str) -> Entry:
        return Entry(value, payload, kind, value)

    for _ in range(rows // 10 * 6):
        yield entry("ip", str(".".join(str(rng.randrange(1, 255)) for _ in range(4))))
    for i in range(rows // 10):
        yield entry("ip", f"{rng.randrange(1, 224)}.{i >> 8 & 255}.{i & 255}.0/24")
    for i in range(rows // 10):
        yield entry("domain", f"host{i}.example{rng.randrange(99)}.net")
        yield entry("hash", f"{rng.getrandbits(256):064x}")
        yield entry("url", f"http://host{i}.example.net/{rng.getrandbits(64):x}")


def _assets() -> Iterator[Entry]:
    company = found(7)
    hosts = [*company.servers, *company.workstations.values()]
    for host in hosts:
        names = {"hostnames": [host.fqdn], "addresses": [host.address], "name": host.name}
        yield Entry(host.name, names | {"uid": host.name, "type": "server", "owner": host.owner, "tags": ["pci"]})
    for i in range(ENTITIES - len(hosts)):
        names = {"hostnames": [f"ws{i}.example.net"], "addresses": [f"10.{i >> 14}.{i >> 7 & 127}.{i & 127}"]}
        yield Entry(f"ws{i}", names | {"uid": f"ws{i}", "name": f"ws{i}", "type": "laptop"})


def _identities() -> Iterator[Entry]:
    people = found(7).people
    for each in people:
        names = {"username": each.username, "emails": [each.email], "uids": [each.sid, each.okta_id], "uid": each.sid}
        more = {"full_name": each.name, "title": each.title, "department": each.department, "groups": ["Everybody"]}
        yield Entry(each.sid, names | more)
    for i in range(ENTITIES - len(people)):
        yield Entry(f"u{i}", {"uid": f"u{i}", "username": f"user{i}", "emails": [f"user{i}@example.net"]})
