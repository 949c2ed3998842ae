"""What a user writes, validated in one pass: settings, contracts, sources, products, models, routes, exports.

Nothing of the lake is read and no network is used: models are compiled, and their SQL is held against tables of the
right types without rows.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path

import duckdb
import msgspec

from ingest.contracts import read_contracts
from ingest.contracts.odcs import SOURCES
from ingest.reference.views import reference_views
from ingest.sources import BrokenModule, api_of, integrity_of
from lake.base.errors import HeadwaterError
from lake.base.sql import empty_select
from lake.build.staged import PIPELINE_COLUMNS
from lake.matching.matches import TABLE as MATCHES
from lake.matching.matches import select as matches
from lake.ocsf.attributes import DECLARATION, EventClass, declared_classes
from lake.ocsf.columns import columns
from lake.ocsf.event_sql import event_sql
from lake.query.views import bronze_view
from lake.storage import paths
from lake.storage.store import LocalStore, Store
from orchestration.dbt.broken import KEYS, named_file, one_line, read_properties
from orchestration.dbt.invoke import invoke
from orchestration.dbt.project import Project, load_project
from orchestration.dbt.request import Request, requested
from orchestration.settings import PROJECT, Settings, config_file, load_settings
from orchestration.steps.exports import read_exports
from orchestration.steps.products import SUFFIX, Product, read_products
from orchestration.steps.sql_paths import paths_from_data

_ADVICE = {
    "settings": "correct the file; orchestration/deploy/headwater.example.yml shows every setting",
    "contract": "correct the contract; ingest/README.md says what it holds",
    "source": "correct the module; ingest/sources/__init__.py says what it must have",
    "product": "correct the product's contract; dbt_project/README.md says what it holds",
    "classes": "correct the file; dbt_project/ocsf/README.md says what it holds",
    "model": "correct the model; its hours stay stale until then, and what is published stays",
    "route": "correct the row; it is left out until then",
    "export": "correct meta.exports of the model; nothing of it is exported until then",
}


class Problem(msgspec.Struct, frozen=True):
    """One thing that cannot be used: what it is, its file, why, and what to do."""

    kind: str
    file: str
    reason: str

    @property
    def advice(self) -> str:
        """Return what to do."""
        return _ADVICE[self.kind]

    @classmethod
    def of(cls, kind: str, sentence: object) -> "Problem":
        """Return a problem of a sentence that begins with its file."""
        file, _, reason = " ".join(str(sentence).split()).partition(": ")
        return cls(kind, file, reason)


def problems() -> Iterator[Problem]:
    """Yield all that is wrong, settings first."""
    try:
        for why in load_settings().left_out.values():
            yield Problem("settings", str(config_file() or "HEADWATER_* variables"), why)
    except HeadwaterError as problem:
        yield Problem("settings", str(config_file() or "HEADWATER_* variables"), str(problem))
    yield from _sources()
    yield from project_problems(PROJECT)


def _sources() -> Iterator[Problem]:
    contracts, wrong = read_contracts()
    yield from (Problem.of("contract", each) for each in wrong.values())
    for source in sorted({*contracts, *wrong}):
        for module_of in (api_of, integrity_of):
            try:
                module_of(source)
            except BrokenModule as problem:
                yield Problem.of("source", problem)
    known = {*contracts, *wrong}
    for folder in sorted(each for each in SOURCES.iterdir() if each.name not in known and _is_source(each)):
        yield Problem("contract", str(folder / "contract.yaml"), "is missing: the folder is no source without it")


def _is_source(folder: Path) -> bool:
    named = folder.name.isidentifier() and not folder.name.startswith("_")
    return named and folder.is_dir() and any(each.is_file() for each in folder.iterdir())


def project_problems(folder: Path) -> Iterator[Problem]:
    """Yield what is wrong with the products, models, routes and exports of a dbt project."""
    products, wrong = read_products(folder)
    yield from (Problem.of("product", each) for each in wrong.values())
    try:
        declared_classes(folder)
    except (ValueError, OSError) as problem:  # DeclarationError is one
        yield Problem("classes", str(folder / DECLARATION), " ".join(str(problem).split()))
        return
    try:
        project = load_project(folder)
    except HeadwaterError as problem:
        yield Problem("model", str(folder), one_line(str(problem)))
        return
    if not project.current:
        done = invoke("parse", folder, project.target, "--no-write-json")
        yield Problem("model", str(folder), one_line(str(done.exception)))
    yield from (Problem.of("model", each) for each in project.problems)
    yield from _describe_nothing(project)
    for seed in project.seeds.values():
        for line, why in seed.problems.items():
            yield Problem("route", f"{seed.file}:{line}", why)
    yield from (Problem("export", str(_file_of(project, str(each))), str(each)) for each in read_exports(project)[1])
    texts = (file.read_bytes() for file in sorted(folder.glob(f"products/*{SUFFIX}")) if file.is_file())
    yield from _wrong_sql(project, tuple(texts))
    for name in sorted(products.keys() - project.marts.by_name.keys() - project.marts.problems.keys()):
        yield Problem("product", str(folder / "products" / f"{name}{SUFFIX}"), "there is no model of this name in gold")


def _describe_nothing(project: Project) -> Iterator[Problem]:
    """Yield the properties that dbt passes over in silence: of a model that there is not, or under an unknown key."""
    names = {project.name(each) for each in project.models}
    for file in sorted(project.folder.glob("models/**/*.y*ml")):
        if file.relative_to(project.folder).as_posix() in project.broken_files:
            continue
        held = read_properties(file)
        for key in held.keys() - KEYS:
            meant = get_close_matches(str(key), KEYS, 1)
            yield Problem("model", str(file), f"unknown key {key!r}" + (f"; is {meant[0]} meant?" if meant else ""))
        for name in [each["name"] for each in held.get("models") or [] if each["name"] not in names]:
            yield Problem("model", str(file), f"describes {name}, and there is no such model")


def _file_of(project: Project, said: str) -> Path:
    name = said.split(":")[0].split(" ")[0]
    return next((project.file_of(each) for each in project.models if project.name(each) == name), project.folder)


@lru_cache(maxsize=2)  # it takes seconds
def _wrong_sql(project: Project, contracts: tuple[bytes, ...]) -> tuple[Problem, ...]:
    """Return what is wrong with the SQL of a project's models and products; `contracts` is the text of these."""
    return tuple(_tried(project, read_products(project.folder)[0]))


def _tried(project: Project, products: Mapping[str, Product]) -> Iterator[Problem]:
    with tempfile.TemporaryDirectory() as place, _stand_ins(project, Path(place)) as con:
        compiled, wrong = _compiled(project, LocalStore(Path(place) / "lake"))
        yield from (Problem("model", str(project.folder / path), why) for path, why in wrong.items())
        bound = set()
        for unique_id in _in_order(project):
            read = [each for each in project.manifest["nodes"][unique_id]["depends_on"]["nodes"] if "model." in each]
            if unique_id in compiled and all(each in bound for each in read):
                file = str(project.file_of(unique_id))
                try:
                    _bind(con, project, unique_id, compiled[unique_id])
                    bound.add(unique_id)
                except (duckdb.Error, HeadwaterError) as problem:
                    yield Problem("model", file, one_line(str(problem)))
                yield from (Problem("model", file, each) for each in paths_from_data(con, compiled[unique_id]))
        for name, product in products.items():
            yield from _wrong_product(con, project, product) if f"model.{project.package}.{name}" in bound else ()


def _compiled(project: Project, store: Store) -> tuple[dict[str, str], dict[str, str]]:
    """Return the SQL of models by id, and why others cannot be compiled, by path: dbt stops at the first of them."""
    wrong: dict[str, str] = {}
    left_out = [project.name(each) for each in project.broken]
    while True:
        words = ["--select", "resource_type:model", "--no-write-json", "--no-populate-cache"]
        words += ["--exclude", *left_out] if left_out else []
        with requested(Request(Settings.model_construct(), store, project)):
            done = invoke("compile", project.folder, project.target, *words, manifest=project.dbt_manifest())
        results = getattr(done.result, "results", None) or []
        for each in results:
            if str(each.status) != "success":
                wrong[each.node.original_file_path] = one_line(each.message or "cannot be compiled")
        if done.exception is None:
            return {each.node.unique_id: each.node.compiled_code for each in results if each.node.compiled}, wrong
        path = named_file(project.folder, str(done.exception), wrong)
        wrong[path] = one_line(str(done.exception))
        if not path:
            return {}, wrong
        left_out.append(Path(path).stem)


def _in_order(project: Project) -> list[str]:
    graph = {each: project.manifest["nodes"][each]["depends_on"]["nodes"] for each in project.models}
    return [each for each in TopologicalSorter(graph).static_order() if each in graph]


@contextmanager
def _stand_ins(project: Project, place: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB that has all that models read but other models, without rows."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        for schema in {"bronze", "reference", "gold", *(node["schema"] for node in project.manifest["nodes"].values())}:
            con.execute(f'create schema if not exists "{schema}"')
        store = LocalStore(place / "lake")
        for source in project.manifest["sources"].values():
            if source["source_name"] == "bronze":
                typed = [(each["name"], each["data_type"]) for each in source["columns"].values()]
                con.execute(bronze_view(source["name"], typed, []))
        for name, sql in reference_views(store).items():
            con.execute(f"create view reference.{name} as {sql}")
        con.execute(f"create view gold.{MATCHES} as {matches(store)}")
        (place / "seeds").mkdir()
        for node in project.manifest["nodes"].values():
            if node["resource_type"] == "seed":
                rows = project.seeds[node["name"]].select(place / "seeds")
                con.execute(f"create table {node['relation_name']} as {rows}")
        yield con


def _bind(con: duckdb.DuckDBPyConnection, project: Project, unique_id: str, sql: str) -> None:
    """Make a table of a model's types without rows. Raises duckdb.Error, ConformError."""
    node = project.manifest["nodes"][unique_id]
    table, _, source = node["name"].partition("__")
    meta = node["config"].get("meta", {})
    plain = project.is_view(unique_id) or table == paths.OUTCOMES
    ocsf_class = "" if plain else table if source else meta.get("ocsf_class", "")
    given = dict(row[:2] for row in con.execute(f"describe {sql}").fetchall()) if not plain else {}
    if ocsf_class:
        event_class = _class(project, ocsf_class)
        event_sql(event_class, given)
        sql = empty_select([*columns(event_class), *(PIPELINE_COLUMNS if source else ())])
    elif not plain and "_event_at" not in given:
        raise _Lacks("lacks the column _event_at, which decides the hour of a row")
    if node["config"]["materialized"] == "ephemeral":  # dbt puts it into the SQL of its readers
        con.execute(f"describe {sql}")
    else:
        con.execute(f"create table {node['relation_name']} as (from ({sql}\n)) with no data")


class _Lacks(HeadwaterError):
    pass


def _class(project: Project, name: str) -> EventClass:
    found = declared_classes(project.folder).get(name)
    if found is None:
        raise _Lacks(f"{name} is no class of ocsf/attributes.yml")
    return found


def _wrong_product(con: duckdb.DuckDBPyConnection, project: Project, product: Product) -> Iterator[Problem]:
    file = str(project.folder / "products" / f"{product.name}{SUFFIX}")
    table = project.manifest["nodes"][f"model.{project.package}.{product.name}"]["relation_name"]
    queries = {f"field {path}": f"select {path} from {table}" for path in product.fields}
    queries |= {f"rule {rule.name}": rule.query.replace("${object}", table) for rule in product.rules}
    for what, query in queries.items():
        if wrong := _error(con, query):
            yield Problem("product", file, f"{what}: {wrong}")


def _error(con: duckdb.DuckDBPyConnection, query: str) -> str:
    try:
        con.execute(f"describe {query}")
    except duckdb.Error as problem:
        return one_line(str(problem))
    return ""
