"""What is measured: each function gives rows of (what, value, target, note).

Ratios compare with a yardstick or a counterpart of the same run, taken before and after; the better one counts, for
what else the machine does only ever slows things down.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.reference.geoip.load import GeoIpDatabase, load_geoip
from lake.storage.store import LocalStore, Store
from orchestration.demo.estate.company import found
from orchestration.demo.estate.context.reference import write_reference
from tests.bench.inputs import SOURCES, Inputs, size
from tests.bench.process import headwater, job

GIB = 1 << 30
_TINY = 30


@dataclass(frozen=True)
class Row:
    """One measured value. `better` is "more" or "less"; without a target it is told for information."""

    what: str
    value: float
    unit: str = ""
    target: float | None = None
    better: str = "more"
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "more" else self.value <= self.target


@dataclass
class Bench:
    """One run of the bench: how many events of which sources, and where its files are."""

    events: int
    folder: Path
    repeats: int
    say: Callable[[str], None]
    sources: tuple[str, ...] = SOURCES

    def __post_init__(self) -> None:
        self.inputs = Inputs(self.folder / "inputs")

    def shares(self, part: float = 1) -> list[tuple[str, int]]:
        """The sources, with as many events of each: together a part of all events."""
        return [(source, int(self.events * part / len(self.sources))) for source in self.sources]

    def lake(self, name: str, geoip: bool = True) -> Path:
        """An empty lake with GeoIP loaded."""
        path = self.folder / "lakes" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        if geoip:
            self.load_reference(LocalStore(path))
        return path

    def load_reference(self, store: Store) -> None:
        """Load GeoIP into a lake: of the estate's databases those that feed one table each (ISP is another ASN)."""
        reference = self.inputs.folder / "reference"
        if not reference.is_dir():
            write_reference(found(7), self.inputs.folder)
        load_geoip(store, [GeoIpDatabase(reference / f"geoip-{kind}.mmdb") for kind in ("city", "asn", "anonymous-ip")])


def landing(bench: Bench, hours: int, what: str, target: float) -> Iterator[Row]:
    """Landing a file per source ÷ bare COPY of the same file."""
    bare_total = own_total = 0.0
    for source, events in bench.shares():
        path = bench.inputs.lines(source, events, hours)
        bare, own = [job(bench.folder, "yardstick", source, str(path)).own_seconds], []
        for _ in range(bench.repeats):
            own.append(job(bench.lake("landing", geoip=False), "land", source, str(path)).own_seconds)
            bare.append(job(bench.folder, "yardstick", source, str(path)).own_seconds)
        megabytes = size([path]) / 1e6
        note = f"{megabytes / min(own):.0f} MB/s; bare COPY {megabytes / min(bare):.0f} MB/s"
        bench.say(f"{what}, {source}: {min(bare) / min(own):.2f} ({note})")
        yield Row(f"{what}, {source}", min(bare) / min(own), note=note)
        bare_total, own_total = bare_total + min(bare), own_total + min(own)
    yield Row(what, bare_total / own_total, target=target, note="all sources together")


def one_hour(bench: Bench) -> Iterator[Row]:
    """Landing of one arrival hour."""
    yield from landing(bench, 1, "landing one hour ÷ bare COPY", 0.7)


def history(bench: Bench) -> Iterator[Row]:
    """Landing of a file that spans 24 hours."""
    yield from landing(bench, 24, "landing a file of 24 hours ÷ bare COPY", 0.45)


def silver(bench: Bench) -> Iterator[Row]:
    """The whole way from raw to enriched OCSF, with the cost of an empty run taken off."""
    paths = [(source, bench.inputs.lines(source, events, 1)) for source, events in bench.shares()]
    bare, whole, fixed = [_bare(bench, paths)], [], []
    for _ in range(bench.repeats):
        fixed.append(_land_and_build(bench, "empty", _tiny(bench)))
        whole.append(_land_and_build(bench, "silver", paths))
        bare.append(_bare(bench, paths))
    net = min(whole) - min(fixed)
    megabytes = size([path for _, path in paths]) / 1e6
    note = f"{megabytes:.0f} MB in {min(whole):.1f} s, {min(fixed):.1f} s of it fixed; bare COPY {min(bare):.1f} s"
    yield Row("raw to enriched silver ÷ bare COPY", min(bare) / net, target=0.4, note=note)
    yield Row("… per core", megabytes / net / 2, "MB/s", note="of two cores")


def fixed(bench: Bench) -> Iterator[Row]:
    """An hourly run over a few records, from the command line, Python's start included."""
    lake = bench.lake("fixed")
    headwater(lake, "build")  # the project is parsed once after an edit, not every hour
    seconds = []
    for number in range(1 + bench.repeats):
        paths = [(source, bench.inputs.lines(source, _TINY + number, 1)) for source in bench.sources]
        seconds.append(_command_line(lake, paths))
    note = f"land {len(paths)} sources, build all their tables, each a command"
    yield Row("an almost empty hourly run", min(seconds), "s", 15, "less", note)


def memory(bench: Bench) -> Iterator[Row]:
    """Peak memory of landing and building at 1, 4 and 16 times the input; and how the time grows."""
    took = {}
    for times in (1, 4, 16):
        paths = [(s, bench.inputs.lines(s, events, 1)) for s, events in bench.shares(times / 16)]
        lake = bench.lake("memory")
        landed = [headwater(lake, "land", source, str(path)) for source, path in paths]
        built = headwater(lake, "build")
        peak = max(each.peak_bytes for each in (*landed, built)) / GIB
        took[times] = sum(each.seconds for each in (*landed, built))
        note = f"{size([p for _, p in paths]) / 1e6:.0f} MB; landing {max(e.peak_bytes for e in landed) / GIB:.2f}, "
        note += f"build {built.peak_bytes / GIB:.2f} GiB"
        bench.say(f"peak memory at {times}×: {peak:.2f} GiB ({note}; {took[times]:.0f} s)")
        yield Row(f"peak memory at {times}× input", peak, "GiB", 2.0, "less", note)
    yield Row("16× the bytes take", took[16] / took[1], "× the time", note=f"{took[1]:.0f} s and {took[16]:.0f} s")


def backfill(bench: Bench) -> Iterator[Row]:
    """168 event hours in one backfill ÷ the same bytes in one hour, from the command line."""
    seconds = {}
    for hours in (1, 168):
        paths = [(source, bench.inputs.lines(source, events, hours)) for source, events in bench.shares()]
        seconds[hours] = min(_command_line(bench.lake("backfill"), paths) for _ in range(bench.repeats))
        bench.say(f"{hours} hours: {seconds[hours]:.1f} s")
    note = f"{seconds[168]:.0f} s and {seconds[1]:.0f} s"
    yield Row("168 hours in one backfill ÷ one hour", seconds[168] / seconds[1], "", 1.5, "less", note)


def small_files(bench: Bench) -> Iterator[Row]:
    """The same events in 16 and in 256 gzipped files."""
    source, events = "aws_cloudtrail", bench.events // 16
    took = {}
    for files in (16, 256):
        path = bench.inputs.small_files(source, events, files)
        took[files] = min(
            job(bench.lake("files", geoip=False), "land", source, str(path)).own_seconds for _ in range(bench.repeats)
        )
    yield Row("16× the files take", took[256] / took[16], "× the time", note=f"{events:,} events of {source}, landing")


MEASURES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "landing": one_hour,
    "history": history,
    "silver": silver,
    "fixed": fixed,
    "memory": memory,
    "backfill": backfill,
    "files": small_files,
}


def _tiny(bench: Bench) -> list[tuple[str, Path]]:
    return [(source, bench.inputs.lines(source, _TINY, 1)) for source in bench.sources]


def _bare(bench: Bench, paths: list[tuple[str, Path]]) -> float:
    return sum(job(bench.folder, "yardstick", source, str(path)).own_seconds for source, path in paths)


def _land_and_build(bench: Bench, name: str, paths: list[tuple[str, Path]]) -> float:
    lake = bench.lake(name)
    landed = sum(job(lake, "land", source, str(path)).own_seconds for source, path in paths)
    built = job(lake, "build").own_seconds
    bench.say(f"{name}: landed in {landed:.1f} s, built in {built:.1f} s")
    return landed + built


def _command_line(lake: Path, paths: list[tuple[str, Path]]) -> float:
    landed = sum(headwater(lake, "land", source, str(path)).seconds for source, path in paths)
    return landed + headwater(lake, "build").seconds
