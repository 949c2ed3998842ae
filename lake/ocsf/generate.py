"""Writes the OCSF macros of the dbt project from the declaration, or says where they differ from it.

What belongs here: which files are generated, and the command line.
What does not: what stands in them (type_macros.py, caption_macros.py).
"""

import argparse
import sys
from functools import lru_cache
from pathlib import Path

from lake.ocsf import caption_macros, type_macros
from lake.ocsf.attributes import EventClass, resolve
from lake.ocsf.declaration import DeclarationError, declaration, load_declaration
from lake.ocsf.official import UnknownClass, official

DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
DECLARATION = Path("ocsf/attributes.yml")
GENERATED = Path("macros/generated")
_RENDER = {
    "ocsf_types.sql": type_macros.render,
    "ocsf_enums.sql": caption_macros.render,
}


def declared_classes(dbt_project: Path = DBT_PROJECT) -> dict[str, EventClass]:
    """Return the classes that the project's declaration publishes, by name. Raises DeclarationError, UnknownClass."""
    return dict(_classes((dbt_project / DECLARATION).read_text(encoding="utf-8")))


@lru_cache(maxsize=16)  # every question and every build asks, and the file hardly ever changes meanwhile
def _classes(text: str) -> dict[str, EventClass]:
    declared = declaration(text)
    return resolve(declared, official(declared.version))


def generated_files(dbt_project: Path = DBT_PROJECT) -> dict[Path, str]:
    """Return the wanted text of every generated file, by path below the dbt project."""
    version = load_declaration(dbt_project / DECLARATION).version
    classes = declared_classes(dbt_project)
    return {GENERATED / name: render(classes, version) for name, render in _RENDER.items()}


def drift(dbt_project: Path = DBT_PROJECT) -> list[Path]:
    """Return the generated files that are missing or differ from what the declaration gives."""
    return [path for path, wanted in generated_files(dbt_project).items() if _read(dbt_project / path) != wanted]


def write(dbt_project: Path = DBT_PROJECT) -> list[Path]:
    """Write the generated files that differ; return their paths below the dbt project."""
    wanted = generated_files(dbt_project)
    stale = [path for path in wanted if _read(dbt_project / path) != wanted[path]]
    for path in stale:
        (dbt_project / path).parent.mkdir(parents=True, exist_ok=True)
        (dbt_project / path).write_text(wanted[path], encoding="utf-8")
    return stale


def main(arguments: list[str] | None = None) -> int:
    """Run the command: 0 when all is well, 1 when --check found a difference, 2 when the declaration is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lake.ocsf.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a generated file differs")
    parser.add_argument("--project", type=Path, default=DBT_PROJECT, help="the dbt project (default: the one beside)")
    options = parser.parse_args(arguments)
    try:
        stale = drift(options.project) if options.check else write(options.project)
    except (DeclarationError, UnknownClass) as error:
        sys.stderr.write(f"{DECLARATION}: {error}\n")
        return 2
    verb = "differs from ocsf/attributes.yml; run `python -m lake.ocsf.generate`" if options.check else "written"
    sys.stdout.writelines(f"{path}: {verb}\n" for path in stale)
    return 1 if options.check and stale else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
