"""Tests start clean whatever the shell has exported, and leave everything as they found it.

`clean_environment` runs before anything of the product is imported. `State` is what a test could leave behind.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIXES = ("HEADWATER_", "AWS_", "DAGSTER_", "DBT_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "BIGQUERY_", "SNOWFLAKE_")
SUFFIXES = ("_TOKEN", "_PROXY")  # secrets that settings name; proxies that would stand before servers on loopback
# No file of the user and no metadata service is asked for credentials, by this process or by those it starts.
GIVEN = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}
SET_BY_OTHERS = {"PYTEST_CURRENT_TEST", "_RJEM_MALLOC_CONF"}  # pytest, and Polars when it is imported
PRODUCT = ("ingest.", "lake.", "orchestration.")
# Names of modules that are filled when first needed, and stay: caches.
FILLED_ONCE: frozenset[str] = frozenset()


def clean_environment() -> None:
    """Remove every variable that the product or its libraries read from this process, and give the harmless ones."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIXES) or name.upper().endswith(SUFFIXES):
            del os.environ[name]
    os.environ.update(GIVEN)


def wait_for_no_disk() -> None:
    """Files that tests write need not outlive a power cut: waiting until they would took a sixth of the time.

    What is waited for, and in what order, a test holds against calls that it notes itself."""
    os.fsync = lambda descriptor: None  # type: ignore[assignment,misc]


@dataclass(frozen=True)
class State:
    """The environment, the working directory, what Python itself keeps, and the names of the product's modules."""

    plain: dict[str, Any]
    environment: dict[str, str]
    modules: dict[str, dict[str, Any]] = field(repr=False)
    imported: int = 0  # how many modules there were

    @classmethod
    def now(cls) -> "State":
        return cls(
            plain=_plain(),
            environment=_environment(),
            modules={name: dict(vars(module)) for name, module in _modules()},
            imported=len(sys.modules),
        )

    def differences(self) -> Iterator[str]:
        """Yield what is no longer as it was, one sentence each."""
        plain, environment = _plain(), _environment()
        for what, before in self.plain.items():
            if plain[what] != before:
                yield f"{what} was {before!r} and is {plain[what]!r}"
        for name in sorted(self.environment.keys() | environment.keys()):
            before, after = self.environment.get(name), environment.get(name)
            if before != after:
                yield f"the variable {name} was {before!r} and is {after!r}"
        for module, names in self.modules.items():
            after = vars(sys.modules[module]) if module in sys.modules else names
            if after == names:  # Python looks first whether they are the same objects, and at equal ones no further
                continue
            for name, value in names.items():
                if after.get(name) is not value and not name.startswith("__") and _counts(module, name, value):
                    yield f"{module}.{name} was {value!r:.200} and is {after.get(name)!r:.200}"

    def restore(self) -> None:
        """Put back what `differences` looks at, so that one leak fails one test."""
        with suppress(OSError):
            os.chdir(self.plain["the working directory"])
        for name in set(os.environ) - set(self.environment) - SET_BY_OTHERS:
            del os.environ[name]
        os.environ.update(self.environment)
        sys.path[:] = self.plain["sys.path"]
        logging.root.setLevel(self.plain["the level of all logs"])
        for each in _handlers():
            if each not in self.plain["the handlers of all logs"]:
                logging.root.removeHandler(each)
        for name, module in _modules():
            for each, value in self.modules.get(name, {}).items():
                if vars(module).get(each) is not value and _counts(name, each, value):
                    setattr(module, each, value)


def _counts(module: str, name: str, value: Any) -> bool:
    return not isinstance(value, ModuleType) and f"{module}.{name}" not in FILLED_ONCE


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SET_BY_OTHERS}


def _modules() -> Iterator[tuple[str, ModuleType]]:
    return ((name, module) for name, module in list(sys.modules.items()) if name.startswith(PRODUCT) and module)


def _plain() -> dict[str, Any]:
    # Not the answers to signals: Dagster sets that to SIGTERM whenever it runs something in this process.
    return {
        "the working directory": _folder(),
        "sys.path": list(sys.path),
        "the level of all logs": logging.root.level,
        "the handlers of all logs": _handlers(),
    }


def _handlers() -> list[logging.Handler]:
    return [each for each in logging.root.handlers if "_pytest" not in type(each).__module__]


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "a folder that is gone"
