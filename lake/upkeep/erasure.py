"""Deletes every record that matches a condition, everywhere in the lake, and verifies it.

1. `search` looks; nothing is changed. 2. `begin` makes the request durable; from then on landing drops what matches.
3. `erase` rewrites only the files that have matching rows, dead ones included, and removes what was built of their
hours. 4. Whoever calls builds these hours again. 5. `finish` proves and records it. Killed anywhere, the same request
goes on where it was: what matches is searched again, and begun requests are found by their condition.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import msgspec

from lake import ledger
from lake.base.errors import REPAIR, tell_omission
from lake.base.sql import literal
from lake.ledger.live_files import batch_of, live_files
from lake.query.condition import BadCondition, condition
from lake.query.quarantine import COLUMNS as QUARANTINE_COLUMNS
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store
from lake.upkeep.erasure_proof import Fingerprints, Proof, fingerprints, left_in_built, untouched
from lake.upkeep.erasure_rewrite import ROWS, Match, NotErased, collect_into, erasure, publish_part, rewrite, written
from lake.upkeep.erasure_rules import Asked, Columns, ErasureRule, erasure_rules
from lake.upkeep.merging import Resources
from lake.upkeep.orphan_files import ROOMS, remove_orphans
from lake.upkeep.receipts import ErasureReceipt

_AT_ONCE = 500  # files that one search looks into
_PART_FILES, _PART_BYTES = 200, 1 << 30  # what is published at once
_ROUNDS = 5  # a batch may land anew while its files are rewritten; then they are searched again


@dataclass(frozen=True)
class Request:
    """What is to be erased, of which hours (both included, empty: all), why, and for whom.

    `once`: the condition is not kept, so the same records may land again. `tell_condition`: it goes into the ledger.
    """

    source: str
    condition: str
    columns: Columns
    reason: str
    asked_by: str
    first: str = ""
    last: str = ""
    once: bool = False
    tell_condition: bool = False

    @property
    def asked(self) -> Asked:
        """Return the condition, checked. Raises BadCondition."""
        return Asked(condition(self.condition), self.columns)


@dataclass(frozen=True)
class Found:
    """The files that have matching rows, and what could not be looked at, in words."""

    files: Sequence[Match]
    not_looked_at: tuple[str, ...]


def search(store: Store, request: Request, resources: Resources) -> Found:
    """Return what matches now.

    Raises:
        BadCondition: the condition cannot be asked of the source's bronze.
    """
    asked = request.asked
    with Workplace(store, "search") as place, resources.connect(store, place.path) as con:
        if why := asked.fits(con, paths.BRONZE):
            raise BadCondition(f"the condition cannot be asked of bronze.{request.source}: {why}")
        unread: list[str] = []
        files = list(_matches(con, store, request, asked, paths.BRONZE, unread))
        if asked.fits(con, paths.QUARANTINE):
            return Found(files, (*unread, *_not_looked_at(store, request), *waiting(store, request.source)))
        files += _matches(con, store, request, asked, paths.QUARANTINE, unread)
        return Found(files, (*unread, *waiting(store, request.source)))


def _matches(
    con: duckdb.DuckDBPyConnection, store: Store, request: Request, asked: Asked, room: str, unread: list[str]
) -> Iterator[Match]:
    """Yield the files with matching rows; `unread` is told of those that are damaged, or have lost their receipt."""
    receipts = list(ledger.landings(store, request.source))
    held, batches = {file.key: file for file in live_files(receipts, room)}, {each.batch for each in receipts}
    keys = dict(_files(store, request, room))
    for key in [key for key in keys if key not in held and not batches & (batch_of(key) or batches)]:
        keys.pop(key)
        _leave(unread, f"{key}, which no landing receipt names")
    of_url = {store.url(key): key for key in keys}
    listed = list(of_url)
    for at in range(0, len(listed), _AT_ONCE):
        some = listed[at : at + _AT_ONCE]
        try:
            found = _counted(con, asked, room, some)
        except duckdb.Error:  # one of them is damaged
            found = []
            for url in some:
                try:
                    found += _counted(con, asked, room, [url])
                except duckdb.Error:
                    _leave(unread, f"{of_url[url]}, which cannot be read")
        by_key: dict[str, dict[str, int]] = {}
        for url, batch, count in found:
            by_key.setdefault(of_url[url], {})[str(batch)] = int(count)
        for key, counts in by_key.items():
            file = held.get(key)
            live = {batch: rows for batch, rows in counts.items() if file and batch in file.batches}
            yield Match(room, key, keys[key], file, live, sum(counts.values()) - sum(live.values()))


def _counted(
    con: duckdb.DuckDBPyConnection, asked: Asked, room: str, urls: Sequence[str]
) -> list[tuple[str, str, int]]:
    rows = asked.matching(room, urls)
    return con.execute(f"select __file, _batch, count(*) from ({rows}) group by all order by all").fetchall()


def _leave(unread: list[str], what: str) -> None:
    told = f"{what}: {REPAIR}, and then the same command again"
    tell_omission(f"not looked at: {told}")
    unread.append(told)


def _files(store: Store, request: Request, room: str) -> Iterator[tuple[str, str]]:
    """Yield key and hour of all files of a room in the request's range, whether a receipt names them or not."""
    for each in store.list(f"{room}/{paths.checked(request.source)}"):
        at = paths.hour_of(each.key)
        hour = ledger.hour_text(at) if at else ""
        if each.key.endswith(".parquet") and hour >= request.first and (not request.last or hour <= request.last):
            yield each.key, hour


def waiting(store: Store, source: str) -> tuple[str, ...]:
    """Return what else may hold records of a source on this machine and cannot be looked into: a sentence each."""
    spool = store.prepared(f"{paths.SPOOL}/{paths.checked(source)}")
    if spool.is_dir() and any(spool.rglob("*")):
        return (f"pages in {spool} that were fetched and have not landed: they are held against the erasure then",)
    return ()


def _not_looked_at(store: Store, request: Request) -> Iterator[str]:
    """Yield what to say of quarantine when the condition does not fit it; it goes on record, so it tells no value."""
    rows = sum(file.rows for file in live_files(ledger.landings(store, request.source), paths.QUARANTINE))
    asked, has = request.asked.condition.columns, {name for name, _ in QUARANTINE_COLUMNS}
    missing = ", ".join(name for name in asked if name not in has) or "its columns as other types"
    if rows:
        yield (
            f"{rows} quarantined records of {request.source}, for the condition asks for {missing}, which those do not"
            " have: erase them by their text (--where \"_raw like '%…%'\")"
        )


def begin(store: Store, request: Request, found: Found) -> ErasureReceipt:
    """Make a request durable and return its receipt: that of a request which was begun before and broke off, if any."""
    for each in erasure_rules(store, request.source):
        same = (each.condition, each.first, each.last) == (request.asked.condition.text, request.first, request.last)
        old = erasure(store, request.source, each.erasure) if same else None
        if old is not None and (old.status == "begun" or not found.files):
            return old
    now, secret = datetime.now(UTC), secrets.token_hex(16)
    text = request.asked.condition.text
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    kept = ErasureRule(
        erasure=name, source=request.source, condition=text, secret=secret, first=request.first, last=request.last
    )
    receipt = ErasureReceipt(
        source=request.source,
        erasure=name,
        status="begun",
        reason=request.reason,
        asked_by=request.asked_by,
        asked_at=now.isoformat(timespec="seconds"),
        condition_hash=hashlib.sha256(f"{secret}{text}".encode()).hexdigest(),
        condition=text if request.tell_condition else "",
        first=request.first,
        last=request.last,
        standing=not request.once,
    )
    key = paths.erasure_condition(request.source, name)
    publish(store, lambda: Change(receipts=((key, msgspec.json.encode(kept).decode()), written(receipt))))
    return receipt


def erase(
    store: Store,
    request: Request,
    receipt: ErasureReceipt,
    resources: Resources,
    told: Callable[[Match], None] = lambda _: None,
) -> ErasureReceipt:
    """Erase what matches and return the receipt with the files that were rewritten.

    Raises:
        NotErased: landings have brought back matching rows again and again, or a rewritten file is not as it must be.
    """
    remove_orphans(store, request.source)
    for _ in range(_ROUNDS):
        found = search(store, request, resources).files
        if not found:
            return erasure(store, receipt.source, receipt.erasure) or receipt
        for part in _parts(found):
            with Workplace(store, "erase") as place, resources.connect(store, place.path) as con:
                collect_into(con)
                made = []
                for number, match in enumerate(part):
                    told(match)
                    made.append(rewrite(con, store, request.asked, match, place.path / f"{number}.parquet"))
                con.execute(f"copy {ROWS} to {literal(str(place.path / 'erased.parquet'))} (format parquet)")
                publish_part(store, place, receipt, made)
    raise NotErased(
        f"{request.source}: after {_ROUNDS} rounds there still are matching rows, for their batches land anew all the"
        " time; stop landing for a while, and run the same command again"
    )


def _parts(found: Sequence[Match]) -> Iterator[list[Match]]:
    part: list[Match] = []
    for match in found:
        part.append(match)
        if len(part) >= _PART_FILES or sum(each.held.bytes for each in part if each.held) > _PART_BYTES:
            yield part
            part = []
    if part:
        yield part


def finish(
    store: Store, request: Request, receipt: ErasureReceipt, before: Fingerprints, resources: Resources
) -> Proof:
    """Prove an erasure whose hours are built again, and record it as done if nothing is left; return the proof.

    `before` are the `fingerprints` of the source's files from before the first file was rewritten.
    """
    found = search(store, request, resources)
    rows = {room: sum(each.erased + each.dead for each in found.files if each.room == room) for room in ROOMS}
    with Workplace(store, "prove") as place, resources.connect(store, place.path) as con:
        built = left_in_built(con, store, receipt)
    same, changed = untouched(before, fingerprints(store, request.source), receipt)
    counts = {f"left_in_{room}": count for room, count in rows.items()} | built | {"untouched_files": same}
    proof = Proof(counts, changed)
    if proof.holds:
        done = msgspec.structs.replace(
            receipt,
            status="done",
            proof=counts,
            not_looked_at=found.not_looked_at,
            done_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        lists = [each.key for each in store.list(paths.erased_rows(receipt.source, receipt.erasure))]
        ended = [] if receipt.standing else [paths.erasure_condition(receipt.source, receipt.erasure)]
        publish(store, lambda: Change(deletes=(*lists, *ended), receipts=(written(done),)))
    return proof


def end(store: Store, source: str, name: str) -> ErasureReceipt:
    """Let a standing erasure stand no longer: its condition goes, and its records may land again.

    Raises:
        LookupError: there is no such erasure.
    """
    receipt = erasure(store, source, name)
    if receipt is None:
        known = ", ".join(each.erasure for each in erasure_rules(store, source)) or "none"
        raise LookupError(f"{source} has no erasure {name!r}; standing: {known}")
    ended = msgspec.structs.replace(receipt, standing=False)
    gone = (paths.erasure_condition(source, name),)
    publish(store, lambda: Change(deletes=gone, receipts=(written(ended),)))
    return ended
