"""dbt in this process: one invocation at a time, which leaves the working folder as it was."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

_LOCK = RLock()  # dbt keeps its flags, its adapter and its events in globals


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let no other thread of this process use dbt meanwhile."""
    with _LOCK:
        here = Path.cwd()
        try:
            yield
        finally:
            os.chdir(here)  # dbt works in the project's folder


def invoke(
    command: str,
    project: Path,
    target: Path,
    *words: str,
    manifest: Any = None,
    quiet: bool = True,
    ended: Callable[[], None] | None = None,
) -> Any:
    """Run a dbt command over a project; return dbt's `dbtRunnerResult`. `target` is for what dbt writes.

    With dbt's own `manifest` of the project dbt need not parse it, which takes more than a second. `ended` is called
    whenever a node has ended.
    """
    from dbt.cli.main import dbtRunner  # takes seconds to import

    said = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    said += ["--log-path", str(target), "--log-level-file", "none", *(("--log-level", "none") if quiet else ())]
    callbacks = [lambda event: ended() if event.info.name == "NodeFinished" else None] if ended else None
    with one_at_a_time():
        return dbtRunner(manifest, callbacks).invoke([command, *said, *words])
