"""dbt projects for tests, parsed once: what a test makes of the project is often what another has parsed before.

What belongs here: copying parts of the project, and taking over what dbt made of an equal copy. What does not: logs.
"""

import csv
import fcntl
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from lake.ocsf.attributes import declared_classes
from orchestration.dbt.manifest import digest_of
from orchestration.dbt.project import load_project
from orchestration.dbt.seeds import ROUTES
from orchestration.settings import PROJECT

_UNNEEDED = ("target", "logs", ".user.yml")


def copied(folder: Path, models: Iterable[Path] | None = None) -> Path:
    """Copy the dbt project, with some models only when they are given; without their properties and tests then.

    Routes to models that are left out go with them: a build ends with 1 over a route that leads nowhere.
    """
    left_out = _UNNEEDED if models is None else (*_UNNEEDED, "models", "tests")
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(*left_out))
    for path in models or ():
        copy = folder / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    if models is not None:
        _without_routes(folder / f"seeds/{ROUTES}.csv", {path.stem for path in folder.rglob("models/**/*.sql")})
    return folder


def _without_routes(file: Path, models: Collection[str]) -> None:
    names = {str(each.uid): name for name, each in declared_classes(PROJECT).items()}
    with file.open(newline="") as given:
        header, *rows = csv.reader(given)
    with file.open("w", newline="") as out:
        kept = [row for row in rows if f"{names.get(row[2])}__{row[0]}" in models]
        csv.writer(out, lineterminator="\n").writerows([header, *kept])


def parsed(folder: Path) -> Path:
    """Let a project be parsed; an equal one that a test of this checkout has parsed before saves the seconds."""
    kept = PROJECT / "target" / "tests" / digest_of(folder)[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            load_project(folder)
            shutil.copytree(folder / "target", kept)
        else:
            shutil.copytree(kept, folder / "target", dirs_exist_ok=True)
    return folder
