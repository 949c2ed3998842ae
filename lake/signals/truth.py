"""How much of the truth the signals of a product tell: precision and recall against labelled events.

Labels are JSON: `{"signals": {<product>: {"incidents": [{"incident", "events": [uid, …]}], "innocent": {<name>: [uid,
…]}}}}`. A signal is true when one of the events that it rests on belongs to an incident. An incident is found when a
signal rests on one of its events. Precision is true signals of all signals, recall is incidents found of all incidents.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.signals.verdicts import files_of
from lake.storage import duck, paths
from lake.storage.store import Store


class BadTruth(HeadwaterError, ValueError):
    """A file of labels that cannot be used."""

    exit_code = WRONG_CALL


@dataclass(frozen=True)
class Judged:
    """One signal compared with the labels: the incidents that it tells of, and innocent stories that it rests on."""

    uid: str
    message: str
    severity: str
    score: int
    incidents: tuple[str, ...]
    innocent: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """What a product found. `missed`: incidents without a signal."""

    product: str
    signals: tuple[Judged, ...]
    incidents: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def true(self) -> int:
        """Return how many signals tell of an incident."""
        return sum(bool(each.incidents) for each in self.signals)

    @property
    def precision(self) -> float | None:
        """Return the share of signals that are true; None without signals."""
        return self.true / len(self.signals) if self.signals else None

    @property
    def recall(self) -> float | None:
        """Return the share of incidents that were found; None without incidents."""
        return 1 - len(self.missed) / len(self.incidents) if self.incidents else None


def read_truth(path: Path) -> Mapping[str, Mapping[str, object]]:
    """Return the labels by product. Raises BadTruth."""
    try:
        told = json.loads(path.read_text())["signals"]
    except (OSError, ValueError) as problem:
        raise BadTruth(f"{path}: cannot be read: {problem}") from None
    except (KeyError, TypeError):
        raise BadTruth(f"{path}: has no labels (expected {{'signals': {{<product>: …}}}})") from None
    if not isinstance(told, dict):
        raise BadTruth(f"{path}: signals: expected the labels of each product")
    return told


def score(store: Store, product: str, labels: Mapping[str, object]) -> Score:
    """Compare the signals of a product with its labels. Raises BadTruth."""
    incidents, innocent = _incidents(product, labels), _innocent(product, labels)
    signals = []
    for uid, message, severity, total, events in _signals(store, product):
        told = tuple(name for name, uids in incidents.items() if uids & events)
        stories = tuple(name for name, uids in innocent.items() if uids & events)
        signals.append(Judged(uid, message, severity, total, told, stories))
    found = {name for each in signals for name in each.incidents}
    return Score(product, tuple(signals), tuple(incidents), tuple(name for name in incidents if name not in found))


def _signals(store: Store, product: str) -> Sequence[tuple[str, str, str, int, set[str]]]:
    files = files_of(store, f"{paths.GOLD}/{paths.checked(product)}")
    if not files:
        return []
    with duck.connect(store) as con:
        rows = con.execute(
            "select finding_info.uid, message, severity, risk_score,"
            f" list_transform(finding_info.related_events, lambda event: lower(event.uid)) from {files}"
            " order by risk_score desc, time_dt, finding_info.uid"
        ).fetchall()
    return [(uid, message, severity, total, set(events or ())) for uid, message, severity, total, events in rows]


def _incidents(product: str, labels: Mapping[str, object]) -> dict[str, set[str]]:
    found = labels.get("incidents")
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadTruth(f"{product}: incidents: expected a list of objects with `incident` and `events`")
    try:
        return {str(each["incident"]): {str(uid).lower() for uid in each["events"]} for each in found}
    except (KeyError, TypeError):
        raise BadTruth(f"{product}: incidents: each has `incident` and `events`") from None


def _innocent(product: str, labels: Mapping[str, object]) -> dict[str, set[str]]:
    told = labels.get("innocent") or {}
    if not isinstance(told, dict):
        raise BadTruth(f"{product}: innocent: expected names with lists of events")
    return {str(name): {str(uid).lower() for uid in uids} for name, uids in told.items()}
