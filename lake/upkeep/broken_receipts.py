"""What of the journal and of the ledger cannot be read, with what to do about each kind of receipt."""

from collections.abc import Collection, Iterator

import msgspec

from lake.ledger import BrokenReceipt, LandingReceipt, decoded, export_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.storage import paths
from lake.storage.publish import journaled
from lake.storage.store import Store
from lake.upkeep.erasure_rules import ErasureRule
from lake.upkeep.receipts import CompactionReceipt, ErasureReceipt

MISSING, UNREADABLE, CHANGED, UNKNOWN = "missing", "unreadable", "changed", "unknown"
JOURNAL_ENTRY, LANDING, CONDITION = "journal entry", "landing receipt", "erasure condition"


class Damage(msgspec.Struct, frozen=True):
    """One file of the lake that is not as it should be: its key, kind, state, what was found, and what to do."""

    key: str
    kind: str
    state: str  # missing | unreadable | changed | unknown
    found: str
    advice: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.key} {self.found}; {self.advice}"


def journal_damage(store: Store) -> Iterator[Damage]:
    """Yield the entries of the journal that can never be finished."""
    advice = "the step it is of is done again by landing or building again; `headwater doctor --repair` puts it aside"
    for entry in store.list(paths.JOURNAL):
        change, why = journaled(store, entry.key)
        if change is None:
            found = why.removeprefix(f"{entry.key} ")
            yield Damage(entry.key, JOURNAL_ENTRY, UNREADABLE, found, advice)


# What the files under a folder of the ledger must be, by the folder: kind, type, what to do, and the reason.
_MADE_AGAIN = "`headwater doctor --repair` puts it aside"
_LEDGER: tuple[tuple[str, str, msgspec.json.Decoder[object], str], ...] = (
    (
        f"{paths.LEDGER}/landing/",
        LANDING,
        msgspec.json.Decoder(LandingReceipt),
        "`headwater doctor --repair` makes it again of the batch's files",
    ),
    (
        f"{paths.LEDGER}/build/",
        "build receipt",
        msgspec.json.Decoder(dict[str, BuildReceipt]),
        f"{_MADE_AGAIN}, and `headwater build` builds its hours again",
    ),
    (
        f"{paths.LEDGER}/export/",
        "export receipt",
        msgspec.json.Decoder(dict[str, export_receipts.ExportReceipt]),
        f"{_MADE_AGAIN}, and `headwater export push` delivers its hours again",
    ),
    (
        f"{paths.LEDGER}/compaction/",
        "compaction receipt",
        msgspec.json.Decoder(CompactionReceipt),
        f"{_MADE_AGAIN}: nothing is read by it, and files that it replaced stay",
    ),
    (
        f"{paths.LEDGER}/erasure/",
        "erasure receipt",
        msgspec.json.Decoder(ErasureReceipt),
        "what was erased stays erased, but the proof of it is lost: restore it from a backup, or erase again",
    ),
    (
        f"{paths.ERASURES}/conditions/",
        CONDITION,
        msgspec.json.Decoder(ErasureRule),
        "nothing of its source lands until it is back, for erased records might come again: restore it from a backup,"
        " or erase again, and then `headwater erase SOURCE --end` it",
    ),
    (
        f"{paths.LEDGER}/iceberg/",
        "Iceberg receipt",
        msgspec.json.Decoder(dict[str, object]),
        f"{_MADE_AGAIN}, and `headwater iceberg publish` writes it again",
    ),
    (
        f"{paths.LEDGER}/reference/",
        "reference receipt",
        msgspec.json.Decoder(dict[str, object]),
        f"{_MADE_AGAIN}; then `headwater reference load` or `headwater build` loads what is missing",
    ),
    (
        f"{paths.LEDGER}/lookups/",
        "lookup receipt",
        msgspec.json.Decoder(dict[str, object]),
        "restore it from a backup; `headwater doctor --repair` puts it aside, and its provider is then asked again",
    ),
    (
        f"{paths.LEDGER}/verdicts/",
        "receipt of verdicts",
        msgspec.json.Decoder(dict[str, object]),
        f"{_MADE_AGAIN}; its verdicts stay, and are then told as not checked",
    ),
    (f"{paths.LEDGER}/", "receipt", msgspec.json.Decoder(object), f"{_MADE_AGAIN}; it is made again"),
)


def ledger_damage(store: Store, sources: Collection[str] | None = None) -> Iterator[Damage]:
    """Yield the receipts that cannot be read."""
    for root in (paths.LEDGER, f"{paths.ERASURES}/conditions"):
        for key, data in store.read_all(root):
            if not key.endswith(".json") or (sources is not None and not _is_of(key, sources)):
                continue
            _, kind, decoder, advice = next(each for each in _LEDGER if key.startswith(each[0]))
            try:
                decoded(key, data, decoder)
            except BrokenReceipt as problem:
                found = str(problem).removeprefix(f"{key} ").rsplit("; ", 1)[0]
                yield Damage(key, kind, UNREADABLE, found, advice, source_of(key))


def source_of(key: str) -> str:
    """Return the source that a file of the ledger is about, by its key; empty when it is about none, or many."""
    parts = key.split("/")
    if parts[0] == paths.ERASURES or parts[1] in ("landing", "erasure"):
        return parts[2]
    if parts[1] == "compaction":
        return parts[3]
    return parts[2].partition("__")[2] if parts[1] == "build" else ""


def _is_of(key: str, sources: Collection[str]) -> bool:
    return source_of(key) in sources
