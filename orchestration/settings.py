"""Settings: one model, from `headwater.yml` and `HEADWATER_*` variables; variables win.

What belongs here: what a user may set, with its default and its check. What does not: secrets; a setting names the
environment variable that holds one, and it is read when it is used.
"""

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SettingsSourceError,
)

FILE_VARIABLE = "HEADWATER_CONFIG"
DEFAULT_FILE = "headwater.yml"
TOP = Path(__file__).resolve().parents[1]
PROJECT = TOP / "dbt_project"
_NOT_SETTINGS = frozenset(
    (FILE_VARIABLE, "HEADWATER_PLAN", "HEADWATER_OKTA_TOKEN")  # where the file is, a run's plan, and a secret
)


class SettingsError(ValueError):
    """Settings that cannot be used. One line a problem; the message names the key and where it was given."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _from_base(path: Path) -> Path:
    path = path.expanduser()
    return path if path.is_absolute() else (base_folder() / path).resolve()


Place = Annotated[Path, AfterValidator(_from_base)]  # a relative one starts at the settings file's folder


class ObjectSource(_Strict):
    """Where the objects of an object source lie: a folder of this machine."""

    root: Place


class OktaSource(_Strict):
    """An Okta org. The token is read from the environment variable named here when it is used."""

    base_url: str
    token_env: str = "HEADWATER_OKTA_TOKEN"
    scheme: Literal["SSWS", "Bearer"] = "SSWS"
    budget_share: float = Field(default=0.5, gt=0, le=1)
    settle_seconds: int = Field(default=300, ge=0)
    retention_days: int = Field(default=90, ge=1)  # older hours are asked for with a warning


class GeoIp(_Strict):
    """MaxMind-format databases to load as reference tables."""

    city: list[Place] = []
    asn: list[Place] = []


class Settings(BaseSettings):
    """Everything a user may set. Unknown keys, in the file or as variables, are errors."""

    model_config = SettingsConfigDict(
        env_prefix="HEADWATER_", env_nested_delimiter="__", extra="forbid", nested_model_default_partial_update=True
    )

    lake: str = Field(default=".headwater/lake", description="The lake's root: a folder or a URL.")
    sources: dict[str, ObjectSource | OktaSource] = Field(default={}, description="Where each source is read from.")
    geoip: GeoIp = Field(default=GeoIp(), description="GeoIP and ASN databases.")
    memory: str = Field(default="2GiB", description="Memory that one landing or build may use.")
    threads: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1, description="Threads of one step.")
    partitions_start: str = Field(
        default="2026-01-01T00", description="First hour (UTC) of Dagster's hourly partitions, `YYYY-MM-DDTHH`."
    )
    ocsf_validation_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of rows held against the official JSON Schema at run time."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the variables before the file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=config_file())

    @field_validator("lake")
    @classmethod
    def _absolute(cls, lake: str) -> str:
        if not lake.strip():
            raise ValueError("expected a folder or a URL, found nothing")
        if "://" in lake:
            return lake
        path = Path(lake).expanduser()
        return str(path if path.is_absolute() else (base_folder() / path).resolve())

    @field_validator("memory")
    @classmethod
    def _an_amount(cls, memory: str) -> str:
        parse_bytes(memory)
        return memory

    @field_validator("partitions_start")
    @classmethod
    def _an_hour(cls, start: str) -> str:
        try:
            datetime.strptime(start, "%Y-%m-%dT%H")
        except ValueError:
            raise ValueError(f"{start!r} is no hour (expected YYYY-MM-DDTHH, UTC)") from None
        return start

    @property
    def memory_bytes(self) -> int:
        """Return the memory limit in bytes."""
        return parse_bytes(self.memory)


def load_settings() -> Settings:
    """Return the settings.

    Raises:
        SettingsError: the file cannot be read, a key is unknown, or a value cannot be used.
    """
    file = config_file()
    if file is not None and not file.is_file():
        raise SettingsError(f"settings file {file} ({FILE_VARIABLE}) does not exist")
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith("HEADWATER_")
        and name not in _NOT_SETTINGS
        and name.removeprefix("HEADWATER_").split("__")[0].lower() not in Settings.model_fields
        and not name.endswith("_TOKEN")
    )
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]} (known: {', '.join(sorted(Settings.model_fields))})")
    try:
        if file is not None:
            _read_mapping(file)
        return Settings()
    except ValidationError as problem:
        where = str(file) if file else "HEADWATER_* variables"
        lines = [f"{'.'.join(map(str, each['loc']))}: {_said(each['msg'])}" for each in problem.errors()]
        raise SettingsError(f"settings ({where}): " + "; ".join(lines)) from None
    except (yaml.YAMLError, SettingsSourceError) as problem:
        raise SettingsError(f"settings ({file}): {' '.join(str(problem).split())}") from None


def _read_mapping(file: Path) -> None:
    """Raise SettingsError unless a settings file holds keys and values; YAML errors are left to the caller."""
    try:
        held = yaml.safe_load(file.read_bytes())
    except (UnicodeDecodeError, OSError) as problem:
        raise SettingsError(f"settings ({file}): cannot be read: {problem}") from None
    if held is not None and not isinstance(held, dict):
        raise SettingsError(f"settings ({file}): expected `key: value` lines, found a {type(held).__name__}")


def _said(message: str) -> str:
    """Return a message of pydantic in the words of a user who wrote a file."""
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "unknown setting")


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


def parse_bytes(text: str) -> int:
    """Return the bytes that `2GiB`, `512MiB`, `1.5 GB` or a plain number mean. Raises ValueError."""
    units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not found or found[2].lower() not in units or float(found[1]) == 0:
        raise ValueError(f"{text!r} is not an amount of memory (expected a number and one of KiB, MiB, GiB)")
    return int(float(found[1]) * units[found[2].lower()])
