"""Damage: what of a lake is missing, cut, zeroed, changed or named by nobody. Receipts say what must be there.

What belongs here: looking, and a sentence for each thing found. Putting aside and mending is `lake.upkeep.repair`.
"""

import random
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lake import ledger
from lake.base.errors import HeadwaterError
from lake.ledger import LandingReceipt, build_receipts, decoded_all, live_files
from lake.ledger.build_receipts import BuildReceipt
from lake.storage import paths
from lake.storage.store import ObjectInfo, Store
from lake.upkeep.broken_receipts import (
    CHANGED,
    MISSING,
    UNKNOWN,
    UNREADABLE,
    Damage,
    journal_damage,
    ledger_damage,
)
from lake.upkeep.receipts import CompactionReceipt

_LANDED = (paths.BRONZE, paths.QUARANTINE)
_MAGIC = b"PAR1"
_ASIDE = "`headwater doctor --repair` puts it aside, and "
ICEBERG = "Iceberg file"
_ICEBERG_ADVICE = "`headwater doctor --repair` puts its table aside, and `headwater iceberg publish` makes it again"
_NAMED = 2  # objects that an advice names
_VERDICTS = "verdicts of analysts"
_ASIDE_ALONE = "`headwater doctor --repair` puts what is there aside, for the others to be read"


@dataclass(frozen=True)
class Expected:
    """A file that some receipt names, with what it says of it; `bytes` is -1, `digest` empty where it does not say."""

    key: str
    kind: str
    advice: str
    source: str = ""
    bytes: int = -1
    digest: str = ""


@dataclass
class Looked:
    """What was looked at, by kind: files that receipts name, their bytes, those read again, those without a digest."""

    files: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    not_checked: dict[str, int] = field(default_factory=dict)

    def add(self, of: dict[str, int], kind: str, number: int = 1) -> None:
        """Count."""
        of[kind] = of.get(kind, 0) + number


def examine(
    store: Store,
    sources: Collection[str] | None = None,
    share: float = 0.0,
    looked: Looked | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Iterator[Damage]:
    """Yield what is damaged: of the journal, the ledger, and the files that receipts name, or that none names.

    With a `share`, that share of the files is read again and held against its digest, or its footer where the receipt
    has none. With `sources`, only their files (silver, gold and reference tables are left out where they are not
    theirs). Files that are found are counted in `looked`.
    """
    looked = looked if looked is not None else Looked()
    yield from journal_damage(store)
    yield from ledger_damage(store, sources)
    named: set[str] = set()
    for some in _in_parts(named_files(store, sources)):
        named.update(each.key for each in some)
        infos = store.infos(each.key for each in some)
        for each in some:
            told(sum(looked.files.values()))
            deep = share >= 1 or each.bytes < 0 or (share > 0 and random.random() < share)
            if found := _checked(store, each, infos[each.key], deep, looked):
                yield found
    yield from _unnamed(store, named, sources)
    if sources is None:
        yield from _footers(store, share, looked, named)


_OF_THE_QUESTION = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
)


def may_be_damage(problem: BaseException) -> bool:
    """Whether an error may come of a damaged file: no error of ours, unless DuckDB could not read something."""
    cause = problem.__context__ if isinstance(problem, HeadwaterError) else problem
    if isinstance(cause, duckdb.Error):
        return not isinstance(cause, _OF_THE_QUESTION)
    of_iceberg = type(cause).__module__.split(".")[0] in ("sqlite3", "sqlalchemy", "pyiceberg", "pydantic_core")
    return of_iceberg or not isinstance(problem, HeadwaterError)


def damage_behind(store: Store, message: str = "", tables: Collection[str] = ()) -> list[Damage]:
    """Return the damage that may be behind an error: the files that its message names, or else what is found.

    Of some `tables` (names of sources, classes and marts) the files are read to their end; else only sizes are seen.
    """
    named = {each.key for each in named_files(store) if each.key in message or _is_of_table(each.key, tables)}
    found = [*damage_of(store, named).values()]
    if found or tables:
        return found
    return [each for each in examine(store) if each.state != UNKNOWN]


def damage_of(store: Store, keys: Collection[str]) -> dict[str, Damage]:
    """Return what is wrong with some files, by key; each is read to its end and held against its receipt.

    Of a file that the store does not give, because it may not or does not answer, nothing is known.
    """
    wanted, damaged = [each for each in named_files(store) if each.key in keys], dict[str, Damage]()
    infos = store.infos(each.key for each in wanted)
    for each in wanted:
        with suppress(OSError):
            if (found := _checked(store, each, infos[each.key], True, Looked())) is not None:
                damaged[each.key] = found
    return damaged


def _is_of_table(key: str, tables: Collection[str]) -> bool:
    parts = key.split("/")
    return bool(tables) and (parts[1] in tables or (parts[0] == paths.LEDGER and paths.OUTCOMES in tables))


def named_files(store: Store, sources: Collection[str] | None = None) -> Iterator[Expected]:
    """Yield the files that receipts name, each once."""
    for source in ledger.sources(store):
        if sources is None or source in sources:
            yield from _landed(list(ledger.landings(store, source, [])), source)
    for model in build_receipts.models(store):
        if sources is None or model.partition("__")[2] in sources:
            for receipt in build_receipts.of_model(store, model, []).values():
                yield from _built(receipt)
    if sources is None:
        yield from _reference(store)
        yield from _iceberg(store)
        yield from _verdicts(store)


def _landed(receipts: Iterable[LandingReceipt], source: str) -> Iterator[Expected]:
    seen: set[str] = set()
    for receipt in receipts:
        names = [mark.name for mark in receipt.objects]
        some = " ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        advice = f"land batch {receipt.batch} again: `headwater land {source} {some}`"
        for mark in (*receipt.files, *receipt.quarantine_files):
            if mark.key not in seen:
                seen.add(mark.key)
                kind = f"{mark.key.split('/', 1)[0]} file"
                yield Expected(mark.key, kind, advice, source, mark.bytes, mark.digest)


def _built(receipt: BuildReceipt) -> Iterator[Expected]:
    if not receipt.file:
        return
    room = "event outcomes" if receipt.table == paths.OUTCOMES else f"{receipt.file.split('/', 1)[0]} file"
    again = "headwater match" if receipt.model == "threat_matches" else "headwater build"
    advice = f"{_ASIDE}`{again}` makes it again"
    yield Expected(receipt.file, room, advice, receipt.source, receipt.bytes, receipt.digest)
    if receipt.index is not None and receipt.index.rows:
        mark, key = receipt.index, paths.index_file(receipt.file)
        advice = f"{_ASIDE}`headwater match` makes it again"
        yield Expected(key, "index file", advice, receipt.source, mark.bytes, mark.digest)


def _reference(store: Store) -> Iterator[Expected]:
    """Yield the files of reference tables and answers that are current: receipts hold keys, or sizes by key."""
    newest: dict[str, bool] = {}
    for key, data in (*store.read_all(f"{paths.LEDGER}/{paths.REFERENCE}"), *store.read_all(f"{paths.LEDGER}/lookups")):
        folder, _, name = key.rpartition("/")
        if folder.count("/") == 3:
            newest[folder] = newest.get(folder, False) or name == "current.json"
        try:
            receipt = msgspec.json.decode(data, type=dict[str, object])
        except msgspec.DecodeError:
            continue  # `ledger_damage` tells
        files, digests = receipt.get("files"), receipt.get("digests")
        known = digests if isinstance(digests, dict) else {}
        feed = key.split("/")[3] if key.count("/") > 3 else ""
        again = f"headwater reference load {feed} --anew" if feed else "headwater build"
        advice = f"{_ASIDE}`{again}` loads it anew"
        if feed and not key.endswith("/current.json"):
            continue  # a load that others have followed
        if isinstance(files, dict):
            for name, size in files.items():
                held, digest = size if isinstance(size, int) else -1, str(known.get(name, ""))
                yield Expected(str(name), "reference file", advice, bytes=held, digest=digest)
        elif key.endswith("/answers.json") and isinstance(files, list):
            lost = "restore it from a backup: a provider is paid to answer"
            for each in (file for file in files if isinstance(file, dict)):
                yield Expected(str(each["key"]), "answers of a provider", lost, bytes=int(each["bytes"]))
    for folder in (each for each, is_there in newest.items() if not is_there):
        again = f"`headwater reference load {folder.split('/')[3]} --anew` loads it anew"
        yield Expected(f"{folder}/current.json", "reference receipt", again)


def _iceberg(store: Store) -> Iterator[Expected]:
    """Yield the data files of Iceberg tables, and the manifests of their current snapshots."""
    for key, data in store.read_all(f"{paths.LEDGER}/iceberg"):
        try:
            receipt = msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # `ledger_damage` tells
        manifests = receipt.get("manifests", {}) if key.endswith("/table.json") else {}
        for name, digest in manifests.items():
            yield Expected(name, ICEBERG, _ICEBERG_ADVICE, digest=digest)
        for each in () if key.endswith("/table.json") else receipt.values():
            if each.get("file") and each.get("digest"):
                yield Expected(each["file"], ICEBERG, _ICEBERG_ADVICE, each["source"], each["bytes"], each["digest"])


def _verdicts(store: Store) -> Iterator[Expected]:
    """Yield the files of analysts' verdicts."""
    for key, data in store.read_all(f"{paths.LEDGER}/verdicts"):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):  # `ledger_damage` tells
            held = msgspec.json.decode(data, type=dict[str, Any])
            advice = f"restore it from a backup; where there is none, delete its receipt {key}, and {_ASIDE_ALONE}"
            yield Expected(held["file"], _VERDICTS, advice, "", held["bytes"], held["digest"])


def _in_parts(files: Iterable[Expected], size: int = 500) -> Iterator[list[Expected]]:
    part: list[Expected] = []
    for each in files:
        part.append(each)
        if len(part) == size:
            yield part
            part = []
    yield part


def _checked(store: Store, each: Expected, info: ObjectInfo | None, deep: bool, looked: Looked) -> Damage | None:
    """Return what is wrong with a file; `deep` reads it to its end."""
    looked.add(looked.files, each.kind)

    def damage(state: str, found: str) -> Damage:
        advice = each.advice.removeprefix(_ASIDE) if state == MISSING else each.advice
        return Damage(each.key, each.kind, state, found, advice, each.source)

    if info is None:
        return damage(MISSING, "is missing")
    looked.add(looked.bytes, each.kind, info.size)
    if not info.size:
        return damage(UNREADABLE, "is empty")
    if each.bytes >= 0 and info.size != each.bytes:
        return damage(UNREADABLE, f"has {info.size:,} bytes, and its receipt says {each.bytes:,}")
    if not deep:
        return None
    looked.add(looked.read, each.kind)
    if not each.digest:
        looked.add(looked.not_checked, each.kind)
        why = unreadable(store, each.key)
        return damage(UNREADABLE, why) if why else None
    with store.open(each.key) as file:
        same = ledger.digest(file) == each.digest
    return None if same else damage(CHANGED, unreadable(store, each.key) or "holds other bytes than its receipt says")


def unreadable(store: Store, key: str) -> str:
    """Return what is wrong with the ends of a Parquet file, where its footer is; "" when it can be opened."""
    with store.open(key) as file:
        start = file.read(1 << 16)
        if not start.strip(b"\0") and not any(block.strip(b"\0") for block in iter(lambda: file.read(1 << 20), b"")):
            return "holds only zeros"
        file.seek(0)
        try:
            pq.read_metadata(file)
        except (pa.ArrowException, OSError, ValueError) as problem:
            return f"is no Parquet file: {' '.join(str(problem).split())[:120]}"
    return "" if start.startswith(_MAGIC) else "is no Parquet file: it does not begin as one"


def _unnamed(store: Store, named: set[str], sources: Collection[str] | None) -> Iterator[Damage]:
    """Yield the files of bronze, quarantine and built tables that no receipt names."""
    for source in ledger.sources(store):
        if sources is not None and source not in sources:
            continue
        batches = {receipt.batch for receipt in ledger.landings(store, source, [])}
        replaced = _replaced(store, source, batches)
        for room in _LANDED:
            for each in store.list(f"{room}/{source}"):
                of = live_files.batch_of(each.key)
                if each.key in named or each.key in replaced or (of is not None and batches & of):
                    continue  # a batch that landed anew has replaced its own, and compaction removes what it replaced
                advice = "`headwater doctor --repair` makes its landing receipt again"
                yield Damage(each.key, f"{room} file", UNKNOWN, "is named by no landing receipt", advice, source)
    for root in (paths.SILVER, paths.GOLD, f"{paths.LEDGER}/{paths.OUTCOMES}"):
        kind = "event outcomes" if root.startswith(paths.LEDGER) else f"{root} file"
        for each in store.list(root):
            source = next((part[7:] for part in each.key.split("/") if part.startswith("source=")), "")
            if each.key not in named and each.key.endswith(".parquet") and (sources is None or source in sources):
                advice = "`headwater build` replaces it when its hour is built again"
                yield Damage(each.key, kind, UNKNOWN, "is named by no build receipt", advice, source)


def _replaced(store: Store, source: str, batches: set[str]) -> set[str]:
    """Return the files that compaction made or replaced, of batches that have receipts: the next one removes these."""
    found: set[str] = set()
    for room in _LANDED:
        held = store.read_all(f"{paths.LEDGER}/compaction/{room}/{paths.checked(source)}")
        for receipt in decoded_all(held, _compaction, []):
            if batches >= {member.batch for member in receipt.members}:
                found.update((receipt.file, *(member.key for member in receipt.members)))
    return found


_compaction = msgspec.json.Decoder(CompactionReceipt)


def _footers(store: Store, share: float, looked: Looked, named: Collection[str]) -> Iterator[Damage]:
    """Yield what no receipt tells the size of: analysts' verdicts, refused rows, Iceberg's files."""
    taken = f"{_ASIDE}the next push of its hour says what to do: its destination would have events twice"
    refused = "`headwater doctor --repair` puts it aside, and the next push of its hour writes it again"
    for root, kind, advice in (
        ("signals", _VERDICTS, f"restore it from a backup: {_ASIDE_ALONE}"),
        (paths.REFUSED, "refused rows", refused),
        (paths.EXPORTING, "acknowledged events", taken),
        ("iceberg", ICEBERG, _ICEBERG_ADVICE),
    ):
        for each in store.list(root):
            if root == paths.EXPORTING and not each.key.endswith(".parquet"):
                continue  # a push that has begun
            if each.key in named:
                continue
            looked.add(looked.files, kind)
            looked.add(looked.bytes, kind, each.size)
            if share >= 1 or not each.key.endswith(".parquet"):
                looked.add(looked.read, kind)
                if kind == _VERDICTS:
                    looked.add(looked.not_checked, kind)
            if why := _wrong_start(store, each, share):
                yield Damage(each.key, kind, UNREADABLE, why, advice)


def _broken_database(data: bytes) -> str:
    """Return what is wrong with a database of SQLite, such as the catalogue of Iceberg."""
    with closing(sqlite3.connect(":memory:")) as con:
        try:
            con.deserialize(data)
            (found,) = con.execute("pragma quick_check(1)").fetchone()
        except sqlite3.Error as problem:
            found = str(problem)
    return "" if found == "ok" else f"is no whole database: {found}"


_STARTS = {".avro": b"Obj\x01", ".json": b"{"}


def _wrong_start(store: Store, each: ObjectInfo, share: float) -> str:
    """Return what is wrong with the beginning of a file; Parquet files are opened by a share."""
    if not each.size:
        return "is empty"
    if each.key.endswith(".parquet"):
        return unreadable(store, each.key) if random.random() < share else ""
    ending = each.key[each.key.rfind(".") :]
    if ending == ".db":
        return _broken_database(store.read(each.key))
    begins = _STARTS.get(ending, b"")
    with store.open(each.key) as file:
        if not file.read(len(begins)).startswith(begins):
            return f"cannot be read: it does not begin as a {ending} file does"
    if ending == ".json":
        try:
            msgspec.json.decode(store.read(each.key))
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            return f"cannot be read: {problem}"
    return ""
