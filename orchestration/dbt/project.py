"""The dbt project: its graph, read from dbt's manifest, and what the lake needs of it as plain values.

No model is named here.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lake.base.errors import warn_once
from lake.base.sql import quoted
from lake.ledger.staleness import Mappings
from lake.marts.declaration import Marts, Node
from lake.ocsf.attributes import declared_classes
from lake.query.views import GoldView
from lake.storage.paths import GOLD
from orchestration.dbt.broken import (
    DERIVED,
    blocked_models,
    broken_models,
    circle,
    parse_without_broken,
    unreadable_properties,
)
from orchestration.dbt.fingerprints import Fingerprints, Parts, kept_parts
from orchestration.dbt.invoke import invoke, one_at_a_time
from orchestration.dbt.manifest import PARSED, Manifest, ManifestFailed, digest_of, new_folder, read_manifest, targets
from orchestration.dbt.seeds import ROUTES, Seed, bad_routes, read_seed
from orchestration.dbt.tokens import read_text
from orchestration.settings import PROJECT

_NOT_STORED = ("view", "ephemeral")
_DIGEST = "headwater_digest"  # in the manifest's metadata: of which files it was made
_PARSED_DIGEST = "headwater_parsed"  # there too: of the file that dbt wrote of it
_BROKEN = "headwater_broken"  # there too: why, by path, files were left out


@dataclass(frozen=True, eq=False)
class Project:
    """A dbt project and its manifest (as JSON).

    `current`: the manifest is of the files as they are. It is not while they cannot be parsed: `problem` says why.
    """

    folder: Path
    manifest: Manifest
    current: bool = True
    problem: str = ""

    @cached_property
    def target(self) -> Path:
        """Return the folder that dbt writes to."""
        with new_folder(self.folder) as place:
            return Path(place).parent

    @cached_property
    def mappings(self) -> Mappings:
        """Return the tables with the fingerprints of what they are made by."""
        digest = self.manifest["metadata"].get(_DIGEST)
        kept = self.current and digest and not self.broken_files
        return Mappings.of_parts(kept_parts(self.folder, digest, self._parts) if kept else self._parts())

    def _parts(self) -> Parts:
        tables = [each for each in self.models if not self.is_view(each)]
        return {self.name(each): self._fingerprints.parts_of(each) for each in tables}

    @cached_property
    def _fingerprints(self) -> Fingerprints:
        return Fingerprints(self.folder, self.manifest)

    @property
    def broken_files(self) -> dict[str, str]:
        """Return, by path in the project, why files were left out when it was parsed."""
        return dict(self.manifest["metadata"].get(_BROKEN, {}))

    @property
    def package(self) -> str:
        """Return the name of the dbt project, which is part of every id."""
        return str(self.manifest["metadata"]["project_name"])

    @property
    def problems(self) -> list[str]:
        """Return what is wrong with files of the project, a sentence each that begins with the file."""
        left_out = self.broken_files
        told = [f"{self.folder / path}: {why}" for path, why in left_out.items() if not why.startswith(DERIVED)]
        marts = [each for each in self.broken if self.name(each) in self.marts.problems]
        return told + [self.broken[each] for each in marts if self._props(each)["original_file_path"] not in left_out]

    @cached_property
    def broken(self) -> dict[str, str]:
        """Return, by id, why models cannot run: their file, their properties, or a macro that they call is broken."""
        marts = {each: self.marts.problems.get(self.name(each)) for each in self.mart_ids}
        declared = {each: f"{self.file_of(each)}: {problem}" for each, problem in marts.items() if problem}
        return declared | broken_models(self.folder, self.manifest, self.broken_files, self._macros_of)

    def _macros_of(self, unique_id: str) -> set[str]:
        return self._fingerprints.macros_of(unique_id)

    def blocked(self, names: Collection[str], also: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return why tables of a run cannot be built: they are broken, or read what is, in the run or through views.

        `also`: further broken models, by id. A table that the run does not build is read as it was published.
        """
        broken = {**self.broken, **(also or {})}
        if not broken:
            return {}
        chosen = {each for each in self.models if self.name(each) in names}
        return {self.name(each): why for each, why in blocked_models(self.manifest, broken, chosen).items()}

    @cached_property
    def marts(self) -> Marts:
        """Return the marts."""
        return Marts(map(self._node, [*self._of_type("seed"), *self.models, *self.manifest["sources"]]))

    @cached_property
    def models(self) -> list[str]:
        """Return the ids of all models."""
        return self._of_type("model")

    @property
    def mart_ids(self) -> list[str]:
        """Return the ids of the marts: the tables of gold."""
        return [each for each in self.models if self.is_mart(each)]

    @property
    def views(self) -> list[str]:
        """Return the ids of all views; an ephemeral model is none, dbt puts it into the SQL of its readers."""
        return [each for each in self.models if self._props(each)["config"]["materialized"] == "view"]

    @property
    def gold_views(self) -> list[GoldView]:
        """Return the views of gold, with their SQL where it is plain but for `ref`."""
        found = (self._props(each) for each in self.views if self.layer(each) == GOLD)
        return [GoldView(node["name"], tuple(self._reads(node)), _plain_sql(node["raw_code"])) for node in found]

    @property
    def descriptions(self) -> dict[str, str]:
        """Return what the YAML says of the tables and views of gold, by name."""
        return {self.name(each): str(self._props(each).get("description") or "") for each in self._in_gold()}

    @property
    def column_descriptions(self) -> dict[str, dict[str, str]]:
        """Return what the YAML says of the columns of gold, by table."""
        return {
            self.name(each): {name: str(of.get("description") or "") for name, of in self._columns(each).items()}
            for each in self._in_gold()
        }

    def _in_gold(self) -> Iterator[str]:
        return (each for each in [*self.models, *self.manifest["sources"]] if self.layer(each) == GOLD)

    def _columns(self, unique_id: str) -> Mapping[str, Mapping[str, Any]]:
        return self._props(unique_id).get("columns") or {}

    def kept_for(self, models: Collection[str], readers_at_least: int = 2) -> list[str]:
        """Return the names of the views that a run of these models computes once: those that several of them read."""
        readers: dict[str, set[str]] = {}
        for each in self.models:
            if self.name(each) in models:
                for parent in self.manifest["parent_map"][each]:
                    if self.is_view(parent) and self._props(parent)["config"]["meta"].get("kept"):
                        readers.setdefault(self.name(parent), set()).add(each)
        return sorted(view for view, found in readers.items() if len(found) >= readers_at_least)

    def is_read_by_mappings(self, model: str) -> bool:
        """Whether tables of the lake alone read a model."""
        readers = self.manifest["child_map"].get(f"model.{self.package}.{model}", ())
        models = [self._props(each) for each in readers if each.startswith("model.")]
        return all(each["config"]["materialized"] == "lake_partition" for each in models)

    def class_read(self, model: str) -> int | None:
        """Return the class whose events a mapping reads, of its source's events and of nothing else; None if unsure."""
        unique_id, source = f"model.{self.package}.{model}", model.partition("__")[2]
        reads = [each for each in self.manifest["parent_map"].get(unique_id, ()) if not each.startswith("seed.")]
        if reads != [f"model.{self.package}.{source}"]:
            return None
        sql = read_text(self._props(unique_id)["raw_code"]).tokens
        found = re.findall(rf"ref \( .{source}. \) }}}} where class_uid = (\d+)(?=$|\))", sql)
        return int(found[0]) if len(found) == 1 and len(re.findall(rf"\b{source}\b", sql)) == 1 else None

    def tables_of(self, source: str) -> list[str]:
        """Return the ids of the tables that read this source and no other, by their names where they are broken."""
        tables = [each for each in self.models if not self.is_view(each) and not self.is_mart(each)]
        named = {each for each in self.broken if self.name(each).endswith(f"__{source}")}
        return [each for each in tables if self.sources_read(each) == {source} or each in named]

    def is_mart(self, unique_id: str) -> bool:
        """Whether a model is a table of gold."""
        return self.layer(unique_id) == GOLD and not self.is_view(unique_id)

    def is_view(self, unique_id: str) -> bool:
        """Whether a model is a view, or ephemeral: nothing is stored for it. False for what is no model."""
        return unique_id.startswith("model.") and self._props(unique_id)["config"]["materialized"] in _NOT_STORED

    def tables_read(self, unique_id: str) -> list[str]:
        """Return the ids of the sources and tables that a model reads, directly or through views; no seeds."""
        found: set[str] = set()
        for each in self.manifest["parent_map"].get(unique_id, ()):
            if self.is_view(each):
                found.update(self.tables_read(each))
            elif each.startswith(("source.", "model.")):
                found.add(each)
        return sorted(found)

    def sources_read(self, unique_id: str) -> frozenset[str]:
        """Return the names of the bronze sources that a model reads, directly or through other models."""
        if unique_id.startswith("source."):
            return frozenset({self.name(unique_id)})
        parents = self.manifest["parent_map"].get(unique_id, ())
        return frozenset().union(*(self.sources_read(each) for each in parents))

    def name(self, unique_id: str) -> str:
        """Return the name of a model, seed or source."""
        return str(self._props(unique_id)["name"])

    @cached_property
    def seeds(self) -> dict[str, Seed]:
        """Return the seeds by name, without the rows that cannot be used."""
        return {self.name(each): self._seed(each) for each in self._of_type("seed")}

    def _seed(self, unique_id: str) -> Seed:
        seed = read_seed(self.file_of(unique_id), self._props(unique_id)["config"].get("column_types"))
        if self.name(unique_id) != ROUTES:
            return seed
        classes = {each.uid: name for name, each in declared_classes(self.folder).items()}
        sources = {self.name(each) for each in self.manifest["sources"] if self.layer(each) != GOLD}
        return bad_routes(seed, sources, classes, {self.name(each) for each in self.models})

    def file_of(self, unique_id: str) -> Path:
        """Return the file of a model, seed or source."""
        return self.folder / str(self._props(unique_id)["original_file_path"])

    def declared(self, name: str) -> Iterator[tuple[str, str, Any]]:
        """Yield (name, layer, value) of what models, and tables of gold that no model makes, say in meta by a name."""
        for each in [*self.models, *self.manifest["sources"]]:
            value = self._props(each)["config"].get("meta", {}).get(name)
            if value and (each.startswith("model.") or self.layer(each) == GOLD):
                yield self.name(each), self.layer(each), value

    def dbt_manifest(self) -> Any:
        """Return the manifest as dbt's own object, for one run; None while the project cannot be parsed."""
        if not self.current:
            return None
        held = _objects.get(self.folder)
        if held is None or held[0] != self.manifest["metadata"][_DIGEST]:
            with new_folder(self.folder) as place:
                if self.broken_files:
                    parsed, _ = parse_without_broken(self.folder, Path(place), self.broken_files)
                elif (parsed := self._kept_manifest(Path(place, PARSED))) is None:
                    parsed = invoke("parse", self.folder, Path(place), "--no-write-json").result
            if parsed is None:
                return None
            held = _objects[self.folder] = (self.manifest["metadata"][_DIGEST], parsed)
        return held[1].deepcopy()  # a run puts compiled SQL into its nodes

    def _kept_manifest(self, file: Path) -> Any:
        """Return what dbt wrote when it parsed these files; None where it is not there, or another."""
        from dbt.contracts.graph.manifest import Manifest as DbtManifest  # dbt takes seconds to import
        from dbt.parser.manifest import extended_mashumuro_decoder

        data = file.read_bytes() if file.exists() else b""
        if not data or hashlib.sha256(data).hexdigest() != self.manifest["metadata"].get(_PARSED_DIGEST):
            return None
        found = DbtManifest.from_msgpack(data, decoder=extended_mashumuro_decoder)
        found.build_flat_graph()  # type: ignore[no-untyped-call]
        return found

    def _of_type(self, kind: str) -> list[str]:
        return sorted(each for each in self.manifest["nodes"] if each.startswith(f"{kind}."))

    def _props(self, unique_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest["nodes"].get(unique_id) or self.manifest["sources"][unique_id]
        return found

    def layer(self, unique_id: str) -> str:
        """Return the folder below `models/` (staging, events, silver, gold), or the schema of a source."""
        props = self._props(unique_id)
        return str(props["source_name"] if unique_id.startswith("source.") else props["fqn"][1])

    def _node(self, unique_id: str) -> Node:
        props, kind, layer = self._props(unique_id), unique_id.split(".", 1)[0], self.layer(unique_id)
        if kind == "model":
            kind = "view" if self.is_view(unique_id) else "table"
        name = props["name"] if kind != "source" or layer == GOLD else f"{layer}.{props['name']}"
        return Node(name, kind, layer, tuple(self._reads(props)), props["config"].get("meta", {}))  # type: ignore[arg-type]

    def _reads(self, props: Mapping[str, Any]) -> Iterator[str]:
        for each in props.get("depends_on", {}).get("nodes", ()):
            layer = self.layer(each) if each.startswith("source.") else GOLD
            yield self.name(each) if layer == GOLD else f"{layer}.{self.name(each)}"


_loaded: dict[Path, tuple[str, Project]] = {}
_objects: dict[Path, tuple[str, Any]] = {}  # dbt's own manifests, with the digest of the files they were made of


def load_project(folder: Path | None = None) -> Project:
    """Return a dbt project, by default the one of this installation; it is parsed first when its files have changed.

    An unchanged project is only read (about 0.1 s); parsing needs no settings and no connection and takes about 6 s.
    A file that cannot be parsed stops what it makes alone (`Project.broken`), and a warning names it. While the project
    as a whole cannot be parsed, the last manifest serves: an edit must not stop the landing.

    Raises:
        ManifestFailed: the project as a whole cannot be parsed and never was.
    """
    folder = (folder or PROJECT).resolve()
    digest = digest_of(folder)
    held = _loaded.get(folder)
    if held is None or held[0] != digest:
        with one_at_a_time():
            held = _loaded.get(folder)
            if held is None or held[0] != digest:
                held = _loaded[folder] = (digest, _load(folder, digest))
                for problem in held[1].problems:
                    warn_once(f"{problem}; what it makes stays as it is until that is corrected")
    return held[1]


def project_of_run(folder: Path, target: Path) -> Project:
    """Return the project that a dbt run of this process has just parsed, by the manifest that it wrote."""
    return Project(folder, json.loads((target / "manifest.json").read_text()))


def _load(folder: Path, digest: str) -> Project:
    last = None
    for target in targets(folder):
        manifest = read_manifest(target / "manifest.json")
        if manifest is None:
            continue
        if manifest["metadata"].get(_DIGEST) == digest:
            return Project(folder, manifest)
        last = last or Project(folder, manifest, current=False)
    try:
        return _parse(folder, digest)
    except ManifestFailed as problem:
        if last is None:
            raise
        warn_once(f"{problem}\nThe manifest from before is used.")
        return replace(last, problem=str(problem))


def _parse(folder: Path, digest: str) -> Project:
    """Parse into a folder of its own, then put the results in place: others may be reading them."""
    with new_folder(folder) as place:
        done = invoke("parse", folder, Path(place), "--no-write-json")  # dbt writes it five times as slowly
        parsed, broken = done.result, dict[str, str]()
        known = unreadable_properties(folder) if parsed is not None else {}
        if parsed is None or circle(parsed) or known:
            parsed, broken = parse_without_broken(folder, Path(place), known)
        if parsed is None:
            raise ManifestFailed(f"dbt parse failed in {folder}:\n{str(done.exception).strip()}")
        manifest = _as_json(parsed)
        written = Path(place, PARSED)
        if written.exists() and not broken:
            manifest["metadata"][_PARSED_DIGEST] = hashlib.sha256(written.read_bytes()).hexdigest()
        manifest["metadata"] |= {_DIGEST: digest, _BROKEN: broken}
        file = Path(place, "manifest.json")
        file.write_text(json.dumps(manifest))
        for each in (Path(place, PARSED), file):
            if each.exists():
                each.replace(Path(place).parent / each.name)
    _objects[folder] = (digest, parsed)
    return Project(folder, manifest)


def _as_json(manifest: Any) -> dict[str, Any]:
    """Return dbt's manifest as the artifact `manifest.json` has it."""
    from dbt_common.utils.encoding import JSONEncoder  # dbt takes seconds to import

    artifact = manifest.writable_manifest().to_dict(omit_none=False, context={"artifact": True})
    return dict(json.loads(json.dumps(artifact, cls=JSONEncoder)))


def _plain_sql(sql: str) -> str:
    """Return a view's SQL with `ref` as a table of gold; nothing when it needs more of dbt than that."""
    import jinja2  # most commands ask no gold

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    try:
        return (
            environment.from_string(sql)
            .render(ref=lambda name: f"{GOLD}.{quoted(name)}", config=lambda **_: "")
            .strip()
        )
    except (jinja2.TemplateError, TypeError):
        return ""
