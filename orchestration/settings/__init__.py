"""Settings: one model, from `headwater.yml` and `HEADWATER_*` variables; variables win."""

import hashlib
import os
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SettingsSourceError

from lake.base.errors import nearest, warn_once
from lake.storage.publish import open_store
from lake.storage.store import AwsAccess, S3Options, Store
from orchestration.settings.models import (
    FILE_VARIABLE,
    LOADING,
    PROJECT,
    TOP,
    CloudTrailIntegrity,
    GeoIp,
    Iceberg,
    Loading,
    ObjectSource,
    Place,
    Reference,
    ReferenceFeed,
    S3Access,
    S3Lake,
    SettingsError,
    config_file,
    each_alone,
    folder_or_bucket,
    from_base,
    of_environment,
    placed,
)

if TYPE_CHECKING:
    from ingest.contracts import Contract
    from ingest.lookups.provider import Lookup
    from ingest.transports.api_settings import ApiPlace
    from lake.iceberg import Place as IcebergPlace

__all__ = [
    "FILE_VARIABLE",
    "PROJECT",
    "TOP",
    "ObjectSource",
    "ReferenceFeed",
    "S3Access",
    "S3Lake",
    "Settings",
    "SettingsError",
    "access_of",
    "config_file",
    "iceberg_place",
    "in_zone",
    "load_settings",
    "lookups_of",
    "open_lake",
    "parse_bytes",
]

# A landing of one small file takes some 200 MiB before it reads a record: Python, DuckDB and Arrow.
LEAST_MEMORY, MOST_MEMORY = 256 << 20, 1 << 50
_SECRETS = (
    "_TOKEN",
    "_PASSWORD",
    "_PASSPHRASE",
    "_KEY",
    "_SECRET",
)  # variables that settings name; read when they are used


class Settings(BaseSettings):
    """Everything a user may set. Unknown keys, in the file or as variables, are errors."""

    model_config = SettingsConfigDict(
        env_prefix="HEADWATER_",
        env_nested_delimiter="__",
        extra="forbid",
        nested_model_default_partial_update=True,
        allow_inf_nan=False,
    )

    lake: str = Field(default=".headwater/lake", description="The lake's root: a folder or a URL.")
    sources: dict[str, Any] = Field(default={}, description="Where each source is read from.")
    environment: str = Field(default="local", description="Which of the settings file's environments holds.")
    s3: S3Lake = Field(default=S3Lake(), description="How the lake's bucket is used, when the lake is one.")
    scratch: Place = Field(
        default_factory=lambda: from_base(Path(".headwater/scratch")),
        description="Folder of this machine for what steps of a lake in a bucket prepare, and copies of receipts.",
    )
    cloudtrail_integrity: CloudTrailIntegrity = Field(
        default=CloudTrailIntegrity(), description="What CloudTrail's log files are verified with."
    )
    geoip: GeoIp = Field(
        default=GeoIp(), description="GeoIP databases: places, networks, anonymous addresses, providers."
    )
    reference: Reference = Field(default=Reference(), description="Feeds of the reference tables.")
    retro_days: float = Field(
        default=90, gt=0, le=36500, description="How many days before it was learned an indicator is searched for."
    )
    iceberg: Iceberg = Field(default=Iceberg(), description="Silver and gold as Iceberg tables.")
    destinations: dict[str, dict[str, Any]] = Field(
        default={}, description="Where curated tables are exported to, by the names that models' meta.exports use."
    )
    lookups: dict[str, dict[str, Any]] = Field(
        default={}, description="Providers that are asked about observables, by names of your own."
    )
    memory: str = Field(default="2GiB", description="Memory that one landing or build may use.")
    threads: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1, le=1024, description="Threads of one step.")
    partitions_start: str = Field(
        default="2026-01-01T00", description="First hour (UTC) of Dagster's hourly partitions, `YYYY-MM-DDTHH`."
    )
    warm_seconds: float = Field(
        default=600,
        ge=0,
        le=86_400,
        description="How long the process that previews models waits for the next call; 0: there is none.",
    )
    csv_escape_formulas: bool = Field(
        default=True, description="Put a ' before cells of CSV that a spreadsheet would take for a formula."
    )
    ocsf_validation_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of rows held against the official JSON Schema at run time."
    )
    value_check_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of rows held against all values of their records at run time."
    )

    _left_out: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def left_out(self) -> dict[str, str]:
        """Return, by place (`sources.okta_system_log`), what is wrong with entries that cannot be used."""
        return self._left_out

    def lacks(self, group: str) -> bool:
        """Whether an entry of a group (`lookups`, `reference.feeds`) cannot be used."""
        return any(place.startswith(f"{group}.") for place in self._left_out)

    def refuse(self, place: str) -> None:
        """Raise SettingsError when the entry in a place cannot be used."""
        if why := self._left_out.get(place):
            raise SettingsError(f"settings ({_given_in()}): {why}")

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
        given = of_environment(config_file())
        return init_settings, env_settings, InitSettingsSource(settings_cls, given)

    @field_validator("lake")
    @classmethod
    def _absolute(cls, lake: str) -> str:
        if not lake.strip():
            raise ValueError("expected a folder or a URL, found nothing")
        if lake.startswith("file://") and len(lake) > len("file://"):
            return lake
        return str(folder_or_bucket(lake))

    @field_validator("sources", mode="before")
    @classmethod
    def _are_places(cls, given: Any) -> Any:
        """Hold each against what its source is read from: objects, or the API that its folder has."""
        return each_alone("sources", given, _place)

    @field_validator("destinations", mode="before")
    @classmethod
    def _are_destinations(cls, given: Any) -> Any:
        """Hold each against its type; folders and files start at the settings file."""
        if not given:
            return given
        from lake.export.destination import configured  # only those with destinations read their kinds

        def made(name: str, options: dict[str, Any]) -> dict[str, Any]:
            found = {key: placed(key, value) for key, value in options.items()}
            configured(name, found)
            return found

        return each_alone("destinations", given, made)

    @field_validator("lookups", mode="before")
    @classmethod
    def _are_lookups(cls, given: Any) -> Any:
        """Hold each against its type."""
        if not given:
            return given
        from ingest.lookups.provider import configured  # only those with providers read their kinds

        def made(name: str, options: dict[str, Any]) -> dict[str, Any]:
            configured(name, options)
            return options

        return each_alone("lookups", given, made)

    @field_validator("memory")
    @classmethod
    def _an_amount(cls, memory: str) -> str:
        if not LEAST_MEMORY <= parse_bytes(memory) <= MOST_MEMORY:
            least, most = f"{LEAST_MEMORY >> 20} MiB", f"{MOST_MEMORY >> 40} TiB"
            raise ValueError(f"{memory!r} does not work: a step needs at least {least}, and no machine has {most}")
        return memory

    @field_validator("partitions_start")
    @classmethod
    def _an_hour(cls, start: str) -> str:
        try:
            if not 1970 <= datetime.strptime(start, "%Y-%m-%dT%H").year < 2200:
                raise ValueError
        except ValueError:
            raise ValueError(f"{start!r} is no hour (expected YYYY-MM-DDTHH, UTC)") from None
        return start

    def s3_options(self) -> S3Options:
        """Return how the lake's bucket is used."""
        used = self.s3
        return S3Options(used.access(), self.scratch, used.encryption, used.kms_key_id, used.conditional_writes)

    @property
    def feed_order(self) -> tuple[str, ...]:
        """Return the names of the reference feeds, the one that is believed first first."""
        return tuple(self.reference.feeds)

    @property
    def memory_bytes(self) -> int:
        """Return the memory limit in bytes."""
        return parse_bytes(self.memory)


def load_settings() -> Settings:
    """Return the settings, without a source, destination, feed or lookup that cannot be used: a warning says why.

    Raises:
        SettingsError: the file cannot be read, a key is unknown, or a value cannot be used.
    """
    file = config_file()
    if file is not None and not file.exists():
        broken = f", it is a link to {file.readlink()}, which" if file.is_symlink() else f" ({FILE_VARIABLE})"
        raise SettingsError(f"settings file {file}{broken} does not exist")
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith("HEADWATER_")
        and name != FILE_VARIABLE
        and name.removeprefix("HEADWATER_").split("__")[0].lower() not in Settings.model_fields
        and not name.endswith(_SECRETS)
    )
    if unknown:
        key = unknown[0].removeprefix("HEADWATER_").lower()
        raise SettingsError(f"unknown setting {unknown[0]}{nearest(key, Settings.model_fields)}")
    loading = Loading()
    token = LOADING.set(loading)
    try:
        settings = Settings()
    except ValidationError as problem:
        from orchestration.settings.problems import sentences  # only what is wrong needs words

        lines = sentences(problem, Settings, loading.lines, loading.environment)
        raise SettingsError(f"settings ({_given_in()}): " + "; ".join(lines)) from None
    except SettingsSourceError as problem:  # a variable that should hold JSON
        raise SettingsError(f"settings (HEADWATER_* variables): {' '.join(str(problem).split())}") from None
    finally:
        LOADING.reset(token)
    settings._left_out = left_out = loading.left_out
    for why in left_out.values():
        warn_once(f"settings ({_given_in()}): {why}; it is left out until that is corrected")
    return settings


def _given_in() -> str:
    return str(config_file() or "HEADWATER_* variables")


def _place(source: str, given: Any) -> "ObjectSource | ApiPlace":
    from ingest.contracts import source_names  # only those with sources look for their contracts and code
    from ingest.sources import api_of

    if source not in (known := source_names()):
        raise ValueError(f"there is no source of this name{nearest(source, known)}")
    api = None if isinstance(given, dict) and given.keys() & {"root", "queue"} else api_of(source)
    kind = api.Place if api else ObjectSource
    try:
        return kind.model_validate(given)
    except ValidationError as problem:
        from orchestration.settings.problems import sentences

        raise ValueError(sentences(problem, kind, under=f"sources.{source}.")[0]) from None


def open_lake(settings: Settings, *, hasty: bool = False) -> Store:
    """Return the store of the settings' lake; no request is made. Raises UnsupportedStore.

    A hasty one gives up at the first failure and after a few seconds: for what can do without the lake.
    """
    options = settings.s3_options()
    if hasty:
        access = replace(options.access, attempts=1, connect_timeout_seconds=2, read_timeout_seconds=5)
        options = replace(options, access=access)
    return open_store(settings.lake, options)


def iceberg_place(settings: Settings, lake: Store) -> "IcebergPlace":
    """Return where the Iceberg tables are: in the lake's own folder `iceberg/`, or in the warehouse that is set."""
    from lake.iceberg import Place as IcebergPlace  # only those who publish load the catalogue

    used = settings.iceberg
    properties = {"client.region": settings.s3.region} if settings.s3.region else {}
    return IcebergPlace(
        store=open_store(used.warehouse, settings.s3_options()) if used.warehouse else lake,
        folder="" if used.warehouse else "iceberg",
        kind=used.catalog.type,
        uri=used.catalog.uri,
        properties={**properties, **used.catalog.properties},
        namespace=used.namespace,
        keep=timedelta(days=used.keep_days),
    )


def lookups_of(settings: Settings) -> "dict[str, Lookup]":
    """Return the lookup providers by their names. Raises BadLookup."""
    from ingest.lookups.provider import configured

    return {name: configured(name, options) for name, options in settings.lookups.items()}


def access_of(settings: Settings, source: str) -> AwsAccess:
    """Return how a source's bucket and queue are reached: by its own `s3` settings, else by the lake's.

    Raises SettingsError when the source's own settings cannot be used.
    """
    settings.refuse(f"sources.{source}")
    place = settings.sources.get(source)
    own = place.s3 if isinstance(place, ObjectSource) else None
    return (own or settings.s3).access()


def in_zone(settings: Settings, contract: "Contract") -> "Contract":
    """Return the contract as the source's settings complete it: the zone of times without an offset.

    Its fingerprint is another one, so that what was landed by another zone is read again.
    """
    place = settings.sources.get(contract.source)
    if not isinstance(place, ObjectSource) or place.time_zone is None:
        return contract
    mark = hashlib.sha256(f"{contract.fingerprint} {place.time_zone}".encode()).hexdigest()
    return replace(contract, time_zone=place.time_zone, fingerprint=mark)


def parse_bytes(text: str) -> int:
    """Return the bytes that `2GiB`, `512MiB`, `1.5 GB` or a plain number mean. Raises ValueError."""
    units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    found = re.fullmatch(r"\s*([0-9]{1,18}(?:[.][0-9]{1,9})?)\s*([A-Za-z]*)\s*", text)
    if not found or found[2].lower() not in units or float(found[1]) == 0:
        raise ValueError(f"{text[:40]!r} is not an amount of memory (expected a number and one of KiB, MiB, GiB)")
    return int(float(found[1]) * units[found[2].lower()])
