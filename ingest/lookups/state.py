"""The record of a provider's budget in the lake, and its answers as rows.

What belongs here: reading and writing both while the provider's lock is held. What does not: what the record means
(`budget`), the files of answers (`lake.ledger.lookup_answers`).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa

from ingest.lookups.budget import Spent
from ingest.lookups.egress_policy import hex_of
from ingest.lookups.provider import Answer, LookupOptions
from ingest.reference.observables import ObservableKey
from lake.ledger import BrokenReceipt
from lake.ledger.lookup_answers import FIRST, SCHEMA, answers_sql
from lake.storage import paths
from lake.storage.duck import connect
from lake.storage.store import ABSENT, Store

_ADDED = ("status", "asked_at", "expires_at")


def read_spent(store: Store, provider: str) -> tuple[Spent, str]:
    """Return what a provider's budget has been spent on, and the mark that `write_spent` expects.

    Raises:
        BrokenReceipt: the record cannot be read.
    """
    key = paths.lookup_spent(provider)
    try:
        found = msgspec.json.decode(store.read(key), type=Spent)
        return found, store.fingerprint_seen(key)
    except FileNotFoundError:
        return Spent(), ABSENT
    except msgspec.DecodeError as problem:
        raise BrokenReceipt(
            f"{key} cannot be read: {problem}. Restore it from a backup; without it the budget is counted from 0 again"
        ) from problem


def write_spent(store: Store, provider: str, spent: Spent, mark: str) -> str:
    """Replace the record, durably; return its new mark. Raises Conflict when somebody else wrote it meanwhile."""
    return store.write(paths.lookup_spent(provider), msgspec.json.encode(spent), mark)


def held_answers(store: Store, provider: str) -> dict[tuple[str, str], datetime]:
    """Return until when there are answers of a provider: (kind, key) → naive UTC."""
    with connect(store) as con:
        rows = con.execute(
            f"select kind, key, max(valid_to) from ({answers_sql(store, [provider])}) group by all"
        ).fetchall()
    return {(kind, key): until for kind, key, until in rows}


def answer_rows(
    provider: str,
    answers: Mapping[ObservableKey, Answer],
    held: Mapping[tuple[str, str], datetime],
    options: LookupOptions,
    now: float,
) -> pa.Table:
    """Return answers as rows: each holds from when the one before it expired, the first from 1970."""
    asked_at = naive(now)
    return pa.Table.from_pylist(list(_rows(provider, answers, held, options, asked_at)), SCHEMA)


def _rows(
    provider: str,
    answers: Mapping[ObservableKey, Answer],
    held: Mapping[tuple[str, str], datetime],
    options: LookupOptions,
    asked_at: datetime,
) -> Iterable[dict[str, object]]:
    for key, answer in answers.items():
        hours = options.lifetime_hours if answer.status == "known" else options.negative_lifetime_hours
        digits = hex_of(key)
        yield {
            "provider": provider,
            "kind": key.kind,
            "value": key.value,
            "prefix": key.prefix,
            "key_high": key.high,
            "key_low": key.low,
            "key": digits,
            "status": answer.status,
            "data": _compact(answer.data),
            "score": answer.score,
            "score_id": answer.score_id,
            "asked_at": asked_at,
            "valid_from": held.get((key.kind, digits), FIRST),
            "valid_to": asked_at + timedelta(hours=hours),
            "learned_at": asked_at,
        }


def _compact(data: Mapping[str, object]) -> str:
    """Return useful fields as JSON, without names that an event adds of itself (`context_lookups.sql`)."""
    kept = {name: value for name, value in data.items() if name not in _ADDED}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def naive(now: float) -> datetime:
    """Return an instant (epoch seconds) as naive UTC, in whole milliseconds."""
    at = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
