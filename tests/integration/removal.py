"""Run by `test_removal`: in copies of the tree, each in a process of its own, load what a removal could break.

`python removal.py COPY…` prints, for each copy, a line of JSON: what it has, or the problem. What is dear to import and
lies outside the copies is imported once, then every copy is loaded in a fork.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import dagster_dbt  # noqa: F401
import dbt.adapters.duckdb  # noqa: F401
import pyiceberg.catalog  # noqa: F401
from dbt.cli.main import dbtRunner  # noqa: F401


def loaded(copy: str) -> dict[str, object]:
    """Return the sources, assets, commands and kinds of destinations of a copy."""
    sys.path.insert(0, copy)
    os.chdir(copy)
    from ingest.contracts import generate, load_contracts
    from lake.export.destination import kinds, module_of
    from orchestration.cli import app, load
    from orchestration.dbt.project import load_project
    from orchestration.steps.verify import verifiable

    assert str(generate.__file__).startswith(copy), generate.__file__
    generate.write_all()  # what follows from the contracts, as whoever removes a source does
    load()
    for kind in kinds():
        module_of(kind)
    project = load_project()
    assert project.current, "the project does not parse"
    for source in load_contracts():  # only what has landed, or is in the settings, has assets
        Path(copy, ".headwater/lake/ledger/landing", source).mkdir(parents=True, exist_ok=True)
    from orchestration.definitions import defs

    graph = defs.resolve_asset_graph()
    return {
        "sources": sorted(load_contracts()),
        "signed": verifiable(load_contracts()),
        "kinds": kinds(),
        "commands": len(app.registered_commands) + len(app.registered_groups),
        "models": sorted(project.name(each) for each in project.models),
        "assets": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
    }


def main(copies: list[str]) -> None:
    """Load each copy in a fork, two at a time."""
    running: list[tuple[int, int]] = []
    for copy in copies:
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(read)
            try:
                found = loaded(copy)
            except BaseException:
                found = {"problem": traceback.format_exc()[-4000:]}
            with os.fdopen(write, "w") as out:
                out.write(json.dumps(found))
            os._exit(0)
        os.close(write)
        running.append((pid, read))
        if len(running) == 2 or copy == copies[-1]:
            for pid, read in running:
                with os.fdopen(read) as said:
                    sys.stdout.write(said.read() + "\n")
                os.waitpid(pid, 0)
            running = []


if __name__ == "__main__":
    main(sys.argv[1:])
