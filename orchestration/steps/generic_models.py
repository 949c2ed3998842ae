"""Models that nobody wrote, made before something is built: what no mapping takes is a Base Event."""

from collections.abc import Iterable

from ingest.contracts import generate, load_contracts, read_contracts
from ingest.contracts.generic_models import generic_models
from orchestration.dbt.project import load_project
from orchestration.settings import PROJECT


def make_missing_models(sources: Iterable[str]) -> dict[str, str]:
    """Generate models that the dbt project lacks; return, by source, why it still lacks some, a sentence each."""
    contracts = load_contracts()
    lacking = [each for each in sources if each in contracts and _lacks(each)]
    if not lacking:
        return {}
    if problems := read_contracts()[1]:
        why = f"its models are not generated before this is corrected: {next(iter(problems.values()))}"
        return dict.fromkeys(lacking, why)
    try:
        generate.write_all(PROJECT.parent)
    except OSError as problem:
        why = f"its models cannot be generated ({problem}): run `python -m ingest.contracts.generate` where they can"
        return dict.fromkeys(lacking, why)
    known = load_project().mappings
    return {each: "dbt does not know its models" for each in lacking if not known.models_of(each)}


def _lacks(source: str) -> bool:
    needed = generic_models(PROJECT.parent, [load_contracts()[source]])
    return any(not (PROJECT.parent / path).is_file() for path in needed)
