"""IAM policy documents, evaluated as far as these need: actions and resources with `*`, StringLike and StringEquals.

Belongs here: reading a document with its placeholders filled in, and whether documents allow a request. Not here:
expectations. Vendor: "IAM JSON policy reference" and "Policy evaluation logic", AWS IAM User Guide.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "orchestration/deploy/iam"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
VALUES = {
    "LAKE_BUCKET": "example-lake",
    "LAKE_PREFIX": "prod",
    "LAKE_KEY": "0000-lake",
    "LOGS_BUCKET": "example-lake-logs",
    "SOURCE_BUCKET": "example-trail",
    "SOURCE_PREFIX": "AWSLogs",
    "SOURCE_ACCOUNT": "444455556666",
    "SOURCE_KEY": "0000-source",
    "SOURCE_QUEUE": "example-trail-queue",
    "EXPORT_BUCKET": "example-exports",
    "EXPORT_PREFIX": "curated",
    "EXPORT_KEY": "0000-exports",
    "EXTERNAL_ID": "headwater-7f3a",
    "ACCOUNT": "111122223333",
    "REGION": "eu-central-1",
    "OIDC_PROVIDER": "oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE",
    "NAMESPACE": "headwater",
    "SERVICE_ACCOUNT": "headwater",
}


@dataclass(frozen=True)
class Request:
    """What somebody asks of AWS: action, resource and the context keys that conditions look at."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def text(name: str) -> str:
    """Return a document as it is committed."""
    return (FOLDER / f"{name}.json").read_text()


def document(name: str) -> dict[str, Any]:
    """Return a document with every placeholder filled in. Raises KeyError for one that is not known."""
    filled = re.sub(r"\$\{([A-Z_]+)\}", lambda found: VALUES[found[1]], text(name))
    return json.loads(filled)  # type: ignore[no-any-return]


def statements(*names: str) -> list[dict[str, Any]]:
    """Return the statements of documents."""
    return [each for name in names for each in document(name)["Statement"]]


def allows(names: Iterable[str], request: Request) -> bool:
    """Return whether documents together allow a request; none of them denies anything."""
    return any(_matches(each, request) for each in statements(*names))


def listed(value: str | list[str]) -> list[str]:
    """Return one or many values as a list."""
    return [value] if isinstance(value, str) else value


def _matches(statement: Mapping[str, Any], request: Request) -> bool:
    action = any(fnmatchcase(request.action, each) for each in listed(statement["Action"]))
    resource = any(fnmatchcase(request.resource, each) for each in listed(statement["Resource"]))
    conditions = statement.get("Condition", {})
    return action and resource and all(_holds(operator, keys, request) for operator, keys in conditions.items())


def _holds(operator: str, keys: Mapping[str, str | list[str]], request: Request) -> bool:
    same = {"StringLike": fnmatchcase, "StringEquals": lambda found, wanted: found == wanted}[operator]
    return all(
        name in request.context and any(same(request.context[name], each) for each in listed(wanted))
        for name, wanted in keys.items()
    )
