"""The settings file: which one is in use, what it says for the environment that is asked for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lake.base.errors import WRONG_CALL, HeadwaterError

FILE_VARIABLE = "HEADWATER_CONFIG"
DEFAULT_FILE = "headwater.yml"
TOP = Path(__file__).resolve().parents[2]
PROJECT = TOP / "dbt_project"


class SettingsError(HeadwaterError, ValueError):
    """Settings that cannot be used. One line a problem; the message names the key and where it was given."""

    exit_code = WRONG_CALL


def config_file() -> Path | None:
    """Return the settings file in use: the one `HEADWATER_CONFIG` names, else `headwater.yml` here, else none."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    here = _working_folder() / DEFAULT_FILE
    return here if here.exists() else None


def base_folder() -> Path:
    """Return the folder that relative paths in settings start from: the settings file's, else the working folder."""
    found = config_file()
    return found.resolve().parent if found else _working_folder()


def _working_folder() -> Path:
    """Return where the user is; dbt runs inside its project, which is no place for a lake or for settings."""
    return TOP if Path.cwd() == PROJECT else Path.cwd()


def of_environment(file: Path | None) -> dict[str, Any]:
    """Return what a settings file says for the environment that is asked for.

    Under `environments` stand the environments by name, each with what differs there. Nobody is put into one silently:
    where there are some, one must be named.
    """
    given = _read_mapping(file) if file is not None else {}
    environments = given.pop("environments", None) or {}
    if not isinstance(environments, dict) or not all(isinstance(each, dict) for each in environments.values()):
        raise SettingsError(f"settings ({file}): environments: expected names with settings under each")
    asked = os.environ.get("HEADWATER_ENVIRONMENT") or given.get("environment")
    if not environments and asked in (None, "local"):
        return given
    if asked not in environments:
        found = f"unknown environment {asked!r}" if asked else "no environment is chosen"
        known = ", ".join(map(str, environments)) or "local"
        where = str(file) if file else "HEADWATER_* variables"
        raise SettingsError(f"settings ({where}): {found}: set `environment` (HEADWATER_ENVIRONMENT) to one of {known}")
    return {**_merged(given, environments[asked]), "environment": asked}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of another mapping put over them, key by key; a source is replaced whole."""
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = {**merged[name], **value} if both else value
    return merged


def _read_mapping(file: Path) -> dict[str, Any]:
    """Return what a settings file holds; YAML errors are left to the caller. Raises SettingsError."""
    try:
        held = yaml.safe_load(file.read_bytes())
    except (UnicodeDecodeError, OSError) as problem:
        raise SettingsError(f"settings ({file}): cannot be read: {problem}") from None
    if held is not None and not isinstance(held, dict):
        raise SettingsError(f"settings ({file}): expected `key: value` lines, found a {type(held).__name__}")
    return held or {}
