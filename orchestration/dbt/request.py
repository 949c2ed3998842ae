"""What a dbt run in this process is asked for: settings, lake, project and plan.

dbt hands a plugin nothing, and its threads inherit no context variables: so the runner leaves the request here, and
the plugin takes it. A `dbt run` that nobody asked for so makes its own.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lake import ledger
from lake.build.run import Plan, Trial
from lake.build.search import Isolated
from lake.build.unprocessable import Part, Record, Unprocessable
from lake.storage.store import Store
from orchestration.dbt.invoke import one_at_a_time
from orchestration.dbt.project import Project, project_of_run
from orchestration.settings import Settings, load_settings, open_lake

_given: "Request | None" = None


@dataclass
class Search:
    """A search for the records of one hour of a source that a model fails over: all that there are, and what is found.

    `part`: the run is to read these alone. `suspected`: an earlier build held them back. `tries` were made.
    `is_broken`: DuckDB itself broke, so that each try needs a new one. `problem`: why they cannot be told apart.
    """

    source: str
    part: Part | None = None
    suspected: frozenset[Record] = frozenset()
    tries: int = 0
    records: list[Record] = field(default_factory=list)
    found: Isolated = field(default_factory=Isolated)
    is_broken: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Repaired:
    """Rows of a model that broke rules of OCSF and were made valid: how many, which rules, `metadata.uid` of one."""

    rows: int
    rules: tuple[str, ...]
    uid: str


@dataclass(frozen=True)
class Request:
    """One run; without a plan it builds what is stale. With a trial nothing is published, and no lock is taken.

    With a search, the models of the run are not built: the records that they fail over are looked for.
    `one_at_a_time`: no two models side by side, and as little memory as can be (`lake.build.memory`).
    `standing_in` is the id of the model that is being stood in for, last: where a run ends before its first model.
    `too_deep` gets the records, by source, that nest too deep to be read; the run does without them.
    `told` gets the name of each model that was built; `repaired` what was made valid, by model.
    """

    settings: Settings
    store: Store
    project: Project
    plan: Plan | None = None
    trial: Trial | None = None
    search: "Search | None" = None
    one_at_a_time: bool = False
    standing_in: list[str] = field(default_factory=list, compare=False)
    too_deep: dict[str, tuple[Unprocessable, ...]] = field(default_factory=dict, compare=False)
    told: Callable[[str], None] = field(default=lambda _: None, compare=False)
    repaired: "dict[str, Repaired]" = field(default_factory=dict, compare=False)

    def note_repaired(self, model: str, counts: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Note what was made valid of a model: `counts` by hour, `found` are hour → rule → [rows, uid of one]."""
        if rows := sum(each.get("repaired", 0) for each in counts.values()):
            rules = {rule: uid for broken in found.values() for rule, (_, uid) in broken.items()}
            self.repaired[model] = Repaired(rows, tuple(rules), str(next(iter(rules.values()), "")))


@contextmanager
def requested(request: Request) -> Iterator[None]:
    """Let the dbt run in the block be the one of a request."""
    global _given
    with one_at_a_time():
        _given = request
        try:
            yield
        finally:
            _given = None


def current_request() -> Request | None:
    """Return the request of the run that goes on; None when nobody asked for it."""
    return _given


def own_request(workplaces: ExitStack, publishes: bool) -> Request:
    """Return the request of a dbt that was started alone, by the target of its profile.

    `lake` builds and publishes what is stale, as `make dbt` does. `dev` tries the newest event hour of every source
    and mart, in a folder that goes with `workplaces`.
    """
    from dbt.flags import get_flags  # who asks for a run needs no dbt for it yet

    flags, settings = get_flags(), load_settings()  # type: ignore[no-untyped-call]
    folder = Path(flags.PROJECT_DIR).resolve()
    project = project_of_run(folder, folder / (flags.TARGET_PATH or "target"))
    store = open_lake(settings)
    if publishes:
        return Request(settings, store, project)
    scratch = workplaces.enter_context(tempfile.TemporaryDirectory(prefix="headwater-dev-"))
    return Request(settings, store, project, Plan.of_newest(store, ledger.sources(store)), Trial(Path(scratch)))
