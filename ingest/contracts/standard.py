"""The official ODCS JSON Schema, held against a whole file: the models of the package let misspelt keys pass."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs

from ingest.contracts.errors import Place


def check_standard(document: dict[str, Any], file: Path) -> None:
    """Raises ContractError for the innermost place that the standard does not allow."""
    found = max(_validator().iter_errors(document), key=lambda error: len(error.instance_path), default=None)
    if found is not None:
        raise Place(file, _named(document, found.instance_path)).error(f"not ODCS: {_short(found.message)}")


@cache
def _validator() -> jsonschema_rs.Validator:
    schema = files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.validator_for(json.loads(schema))


def _named(document: Any, path: list[str | int]) -> str:
    """The place in words: a list entry is called by its name or property, a field by its path."""
    words: list[str] = []
    for step in path:
        document = document[step]
        name = document.get("name") or document.get("property") if isinstance(document, dict) else None
        words.append(str(name or step))
    if path[:1] == ["schema"] and len(path) > 3:
        words = [word for word, step in zip(words[3:], path[3:], strict=True) if step != "properties"]
    return ".".join(words).replace(".items", "[*]") or "contract"


def _short(message: str) -> str:
    return message if len(message) <= 200 else message[:197] + "..."
