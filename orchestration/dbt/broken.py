"""Parsing a dbt project some of whose files cannot be read: each stops itself and what reads it, and the rest works.

dbt parses a whole project or nothing. So a copy is parsed in which a broken file is replaced: a model by one without
SQL that keeps its name, its place and what it reads, so that the graph stays whole and its hours stay stale; a macro
by one that does nothing; properties by none, and with them the models that they describe, whose windows and class
nobody knows then. What is broken never runs: see `Project.broken`.
"""

import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from lake.base import strict_yaml
from orchestration.dbt.invoke import invoke

Reasons = dict[str, str]  # by path in the project: why the file cannot be used

DERIVED = "its properties cannot be read:"  # how the reason begins of a model whose own file is sound
_MOST_TRIES = 40
_REF = re.compile(r"""\bref\(\s*['"](\w+)['"]""")
_SOURCE = re.compile(r"""\bsource\(\s*['"](\w+)['"]\s*,\s*['"](\w+)['"]""")
_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)")
_MATERIALIZED = re.compile(r"""\bmaterialized\s*[=:]\s*['"]?(view|ephemeral)\b""")
_FILE = re.compile(r"[\w./-]+\.(?:sql|ya?ml|csv|md|py)\b")
_HEAD = re.compile(r"\A((Compilation|Runtime|Database|Parsing|Internal) Error( in \w+ \S+ \([^)]*\))?:? )+")
_PROPERTIES = (".yml", ".yaml")
_LISTS = ("models", "sources", "seeds", "unit_tests", "data_tests", "macros", "exposures", "snapshots")
KEYS = {*_LISTS, "version", "tests", "groups", "semantic_models", "metrics", "saved_queries"}  # of a properties file


def parse_without_broken(folder: Path, place: Path, known: Mapping[str, str] | None = None) -> tuple[Any, Reasons]:
    """Parse a project that dbt has refused, as a copy in `place` without its broken files.

    Return dbt's result, and what is wrong by the path of each model, macro file or other file that is left out.
    `known` is what was found before; it saves finding it again. The result is None when no file is to blame, or when
    too many are.
    """
    copy = place / "project"
    ignored = shutil.ignore_patterns("target", "logs", ".user.yml")
    with suppress(shutil.Error):  # what cannot be read is not copied
        shutil.copytree(folder, copy, ignore=ignored, ignore_dangling_symlinks=True)
    reasons: Reasons = {}
    found = dict(known) if known else unreadable_files(folder)
    result = None
    for _ in range(_MOST_TRIES):
        for path, why in found.items():
            _replace(folder, copy, path, why, reasons)
        done = invoke("parse", copy, place)
        result = done.result if done.exception is None else None
        names = circle(result)
        if result is not None and not names:
            break
        found = _blamed(copy, str(done.exception), names, reasons)
        if not found:
            result = None
            break
    shutil.rmtree(copy)
    return result, reasons


def broken_models(
    folder: Path, manifest: Mapping[str, Any], files: Mapping[str, str], macros_of: Callable[[str], set[str]]
) -> dict[str, str]:
    """Return, by id, why models cannot run: their file or their properties are broken, or a macro that they call.

    `files`: what `parse_without_broken` found. `macros_of` gives the ids of the macros that a model calls.
    """
    whys = {path: f"{folder / path}: {why}" for path, why in files.items()}
    macros = (
        {name: whys.get(each["original_file_path"], "") for name, each in manifest["macros"].items()} if whys else {}
    )
    macros = {name: why for name, why in macros.items() if why}
    found = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] != "model":
            continue
        if why := whys.get(node["original_file_path"], ""):
            found[unique_id] = why
        elif called := sorted(macros.keys() & macros_of(unique_id)) if macros else []:
            found[unique_id] = f"calls {called[0].split('.')[-1]}: {macros[called[0]]}"
    return found


def blocked_models(manifest: Mapping[str, Any], broken: Mapping[str, str], chosen: Collection[str]) -> dict[str, str]:
    """Return, by id, why chosen models cannot be built: they are broken, or read what is, chosen or through views."""
    nodes, whys = manifest["nodes"], dict(broken)

    def why(unique_id: str) -> str:
        if unique_id not in whys:
            read = [each for each in nodes[unique_id]["depends_on"]["nodes"] if each.startswith("model.")]
            met = [each for each in read if (each in chosen or not _is_filed(nodes[each])) and why(each)]
            whys[unique_id] = f"reads {nodes[met[0]]['name']}, {whys[met[0]]}" if met else ""
        return whys[unique_id]

    return {each: found for each in sorted(chosen) if (found := why(each))}


def _is_filed(node: Mapping[str, Any]) -> bool:
    """Whether a model that a run does not build stands in by its files alone, as the macro `lake_is_filed` says."""
    return bool(node["config"]["materialized"] == "lake_partition" and "__" in node["name"])


def unreadable_files(folder: Path) -> Reasons:
    """Return what is wrong with each file of a project that can be seen without dbt: its text, YAML, Jinja, name."""
    from dbt_common.clients.jinja import get_environment  # takes seconds to import

    reasons: Reasons = {}
    environment = get_environment()
    for file in sorted(each for room in ("models", "macros", "tests", "seeds") for each in folder.glob(f"{room}/**/*")):
        if not file.is_file():
            continue
        try:
            text = file.read_bytes().decode()
            if file.suffix == ".sql":
                environment.parse(text)
            if file.suffix in _PROPERTIES:
                _check_properties(strict_yaml.load(text))
        except UnicodeDecodeError as problem:
            reasons[_name(folder, file)] = f"is not UTF-8 at byte {problem.start}: save it as UTF-8"
        except Exception as problem:  # jinja2's, yaml's, the operating system's
            reasons[_name(folder, file)] = " ".join(str(problem).split())
    for name, files in same_names(folder).items():
        for path in files:
            others = " and ".join(each for each in files if each != path)
            reasons[path] = f"there is another model named {name}: {others}; rename one of them"
    return reasons


def unreadable_properties(folder: Path) -> Reasons:
    """Return what is wrong with files of properties that dbt takes all the same: a key twice, of which it obeys one."""
    reasons: Reasons = {}
    for file in sorted(folder.glob("models/**/*.y*ml")):
        try:
            strict_yaml.load(file.read_bytes())
        except (ValueError, OSError) as problem:  # HeadwaterError of a file is one
            reasons[_name(folder, file)] = " ".join(str(problem).split())
    return reasons


def same_names(folder: Path) -> dict[str, list[str]]:
    """Return, by name, the files of models that have the same."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("models/**/*.sql")):
        found.setdefault(file.stem, []).append(_name(folder, file))
    return {name: files for name, files in found.items() if len(files) > 1}


def read_properties(file: Path) -> dict[str, Any]:
    """Return what a properties file holds."""
    return strict_yaml.load(file.read_bytes()) or {}


def _check_properties(document: object) -> None:
    """Raise ValueError where properties are of a shape that dbt takes badly, or without naming the file."""
    if document is None:
        return
    if not isinstance(document, dict):
        raise ValueError(f"expected `models:` and a list below it, found a {type(document).__name__}")
    for kind in _LISTS:
        entries = document.get(kind) or []
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise ValueError(f"{kind}: expected a list of entries such as `- name: …`")
        for each in entries:
            if not isinstance(each.get("name"), str):
                raise ValueError(f"{kind}: an entry has no name")
            config = each.get("config") or {}
            for key, value in (("config", config), ("meta", (isinstance(config, dict) and config.get("meta")) or {})):
                if not isinstance(value, dict):
                    raise ValueError(f"{kind}: {each['name']}: {key}: expected `key: value` lines, found {value!r}")


def _blamed(copy: Path, message: str, names: Collection[str], known: Reasons) -> Reasons:
    """Return the models of a circle with why, or the file that dbt's message names first and that is not known yet."""
    if names:
        files = [file for file in copy.glob("models/**/*.sql") if file.stem in names]
        return {_name(copy, file): f"the models {', '.join(names)} read each other in a circle" for file in files}
    path = named_file(copy, message, known)
    return {path: one_line(message)} if path else {}


def named_file(folder: Path, message: str, known: Collection[str] = ()) -> str:
    """Return the path of the file of a project that a message of dbt names first, of those not known; or ""."""
    for found in _FILE.findall(message):
        for path in (found, f"models/{found}", f"macros/{found}"):
            if (folder / path).is_file() and path not in known and path.split("/")[0] in ("models", "macros", "tests"):
                return path
    return ""


def _replace(folder: Path, copy: Path, path: str, why: str, reasons: Reasons) -> None:
    """Put something that can be parsed in the place of a broken file; note why, of models also for whom it counts."""
    file = copy / path
    reasons[path] = why
    if path.startswith("models/") and file.suffix == ".sql":
        twin = any(each != file for each in copy.glob(f"models/**/{file.name}"))
        file.unlink(missing_ok=True)
        if not twin:
            file.write_text(_model_without_sql(folder, path, in_circle="in a circle" in why))
    elif path.startswith("models/") and file.suffix in _PROPERTIES:
        file.unlink(missing_ok=True)
        for model in _described_by(folder, path):
            if model not in reasons:
                _replace(folder, copy, model, f"{DERIVED} {path}: {why}", reasons)
    elif path.startswith("macros/") and file.suffix == ".sql":
        names = dict.fromkeys(_MACRO.findall(_text(folder / path)))
        ignore = "{%- set ignored = [varargs, kwargs] -%}"
        file.write_text("".join(f"{{% macro {name}() %}}{ignore}{{% endmacro %}}\n" for name in names))
    elif path.startswith("seeds/"):
        file.write_text(_text(folder / path))
    else:
        file.unlink(missing_ok=True)


def _model_without_sql(folder: Path, path: str, in_circle: bool = False) -> str:
    """Return a model that is never run. It reads what its text names, as far as that exists."""
    text = _text(folder / path)
    known = {each.stem for each in folder.glob("models/**/*.sql")} | {each.stem for each in folder.glob("seeds/*.csv")}
    reads = [f'ref("{name}")' for name in dict.fromkeys(_REF.findall(text)) if name in known - {Path(path).stem}]
    declared = "".join(_text(each) for each in folder.glob("models/**/*.y*ml"))
    sources = [pair for pair in dict.fromkeys(_SOURCE.findall(text)) if all(f"name: {x}\n" in declared for x in pair)]
    reads += [f'source("{schema}", "{name}")' for schema, name in sources]
    made = _MATERIALIZED.search(text)
    config = f'{{{{ config(materialized="{made[1]}") }}}}\n' if made else ""
    return f"{config}{{% set reads = [{', '.join(() if in_circle else reads)}] %}}\nselect 1\n"


def _described_by(folder: Path, path: str) -> Iterator[str]:
    """Yield the models that a properties file describes, as far as its text still says so."""
    text = _text(folder / path)
    names = {Path(path).stem, *re.findall(r"""\bname:\s*['"]?(\w+)""", text)}
    yield from (_name(folder, file) for file in sorted(folder.glob("models/**/*.sql")) if file.stem in names)


def circle(parsed: Any) -> list[str]:
    """Return the names of models that read each other in a circle, by dbt's own manifest; without one there is none."""
    try:
        nodes = parsed.nodes.items() if parsed is not None else ()
        TopologicalSorter({name: node.depends_on_nodes for name, node in nodes}).prepare()
    except CycleError as problem:
        return sorted({each.split(".")[-1] for each in problem.args[1] if each.startswith("model.")})
    return []


def one_line(message: str) -> str:
    """Return what dbt or DuckDB says on one line, without the kind of error and the macros that it came through."""
    lines = [line.strip() for line in message.splitlines() if line.strip(" -^") and not line.lstrip().startswith("> ")]
    return _HEAD.sub("", " ".join(lines))[:500]


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()
