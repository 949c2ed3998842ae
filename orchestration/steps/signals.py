"""Signals of the data products, for commands and Dagster: dispositions, their quality, and what readers see of them.

What belongs here: which products there are, joined with what `lake.signals` does. What does not: printing, Dagster.
"""

from collections.abc import Iterable
from pathlib import Path

from lake.query.gold_views import gold_views
from lake.signals.quality import quality_sql
from lake.signals.verdicts import Added, Disposition, add_dispositions, dispositions_sql
from lake.storage import paths
from lake.storage.store import Store
from orchestration.settings import PROJECT
from orchestration.steps.products import SUFFIX


def product_names(project: Path = PROJECT) -> list[str]:
    """Return the names of the data products, without reading their contracts."""
    return sorted(path.name.removesuffix(SUFFIX) for path in project.glob(f"products/*{SUFFIX}"))


def dispose(store: Store, given: Iterable[Disposition], origin: str) -> Added:
    """Add dispositions of findings of any product."""
    return add_dispositions(store, given, product_names(), origin)


def signal_views(store: Store, question: str = "", project: Path = PROJECT) -> dict[str, str]:
    """Return what stands in gold beside the marts: dispositions, signal_quality, and the analysts' views over marts.

    What a question does not name is left out: the quality of a product reads the receipts of all its hours.
    """
    views = {"dispositions": dispositions_sql(store)}
    if "gold." not in question.lower() or "signal_quality" in question.lower():
        views["signal_quality"] = quality_sql(store, product_names(project))
    return views | gold_views(project, store.folders(paths.GOLD))
