"""Settings: one model, from `headwater.yml` and `HEADWATER_*` variables; variables win.

What belongs here: what a user may set, with its default and its check. What does not: secrets; a setting names the
environment variable that holds one, and it is read when it is used.
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import (
    SettingsError as SettingsSourceError,
)

from ingest.sources import ApiPlace, api_of
from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.storage.open import open_store
from lake.storage.paths import checked
from lake.storage.s3_options import AwsAccess, S3Options
from lake.storage.store import Store

FILE_VARIABLE = "HEADWATER_CONFIG"
DEFAULT_FILE = "headwater.yml"
TOP = Path(__file__).resolve().parents[1]
PROJECT = TOP / "dbt_project"

_SECRETS = ("_TOKEN", "_PASSWORD", "_PASSPHRASE", "_API_KEY")  # variables that settings name; read when they are used


class SettingsError(HeadwaterError, ValueError):
    """Settings that cannot be used. One line a problem; the message names the key and where it was given."""

    exit_code = WRONG_CALL


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _from_base(path: Path) -> Path:
    path = path.expanduser()
    return path if path.is_absolute() else (base_folder() / path).resolve()


Place = Annotated[Path, AfterValidator(_from_base)]  # a relative one starts at the settings file's folder


def _folder_or_bucket(place: object) -> object:
    if not isinstance(place, str | Path) or str(place).startswith("s3://"):
        return place
    if "://" in str(place) or not str(place).strip():
        raise ValueError(f"{str(place)!r}: expected a folder or s3://bucket/prefix")
    return str(_from_base(Path(place)))


def _placed(key: str, value: Any) -> Any:
    """Return a destination's setting with its path, if it is one: `root`, and what ends in `_file`."""
    if key == "root":
        return _folder_or_bucket(value)
    return str(_from_base(Path(value))) if key.endswith("_file") and isinstance(value, str) else value


class S3Access(_Strict):
    """How S3, or a store that speaks its protocol, is reached; credentials come by AWS's standard chain."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    addressing_style: Literal["auto", "path", "virtual"] = "auto"

    def access(self) -> AwsAccess:
        """Return it as clients take it."""
        return AwsAccess(**{name: getattr(self, name) for name in S3Access.model_fields})


class S3Lake(S3Access):
    """How the lake's bucket is used."""

    encryption: Literal["AES256", "aws:kms"] | None = None  # None: as the bucket does by default
    kms_key_id: str | None = None
    conditional_writes: bool = True

    @model_validator(mode="after")
    def _key_has_a_use(self) -> "S3Lake":
        if self.kms_key_id and self.encryption != "aws:kms":
            raise ValueError("kms_key_id needs encryption: aws:kms")
        return self


class ObjectSource(_Strict):
    """Where the objects of an object source lie: a folder of this machine, or `s3://bucket/prefix`.

    `s3` is how its bucket and queue are reached; without it as the lake's. `queue` announces new objects.
    """

    root: str | None = None
    s3: S3Access | None = None
    queue: str | None = None

    @field_validator("root", mode="before")
    @classmethod
    def _a_place(cls, root: object) -> object:
        return _folder_or_bucket(root)

    @field_validator("queue")
    @classmethod
    def _an_address(cls, queue: str | None) -> str | None:
        if queue is not None and not re.match(r"https?://[^/@]+/\S+\Z", queue):
            raise ValueError("expected the queue's URL, https://sqs.<region>.amazonaws.com/<account>/<name>")
        return queue

    @model_validator(mode="after")
    def _somewhere(self) -> "ObjectSource":
        if self.root is None and self.queue is None:
            raise ValueError("expected root, queue or both")
        return self

    @property
    def address(self) -> str:
        """Return where it is read from, for people."""
        return self.root or self.queue or ""


class CloudTrailIntegrity(_Strict):
    """What CloudTrail's log files are verified with: where its digest files lie, and which public keys sign them.

    `digests`, a folder or `s3://bucket/prefix`; left out, they lie beside the log files. `public_keys` is `aws`, to ask
    CloudTrail for them, or files and folders.
    """

    digests: str | None = None
    public_keys: Literal["aws"] | list[Place] = "aws"

    @field_validator("digests", mode="before")
    @classmethod
    def _a_place(cls, digests: object) -> object:
        return _folder_or_bucket(digests)


class GeoIp(_Strict):
    """MaxMind-format databases to load as reference tables; a table is fed by the databases of its own name, if any."""

    city: list[Place] = []
    asn: list[Place] = []
    anonymous: list[Place] = []
    isp: list[Place] = []

    @property
    def databases(self) -> dict[str, list[Path]]:
        """Return the files by name."""
        return {"city": self.city, "asn": self.asn, "anonymous": self.anonymous, "isp": self.isp}


class ReferenceFeed(BaseModel):
    """A feed of a reference table. Keys that are not named here are the format's own options.

    `path`: a file, a folder or a glob of dated snapshots, also of a bucket (`s3://…`, reached as the lake's); a format
    that asks an API has none. `mode`: left out, as the format says. `refresh`: when Dagster loads it, as cron, in UTC.
    `max_age_hours`: how old its newest snapshot may be. `most_closed_share`: a full snapshot that would close a larger
    share of the open rows is refused.
    """

    model_config = ConfigDict(extra="allow")

    table: Literal["indicators", "warning_lists", "assets", "identities"]
    format: str
    provider: str = ""
    mode: Literal["full", "partial"] | None = None
    path: str | None = None
    refresh: str = "15 * * * *"
    max_age_hours: float | None = Field(default=None, gt=0)
    most_closed_share: float = Field(default=0.5, gt=0, le=1)

    @field_validator("path")
    @classmethod
    def _from_settings(cls, path: str | None) -> str | None:
        return _folder_or_bucket(path) if path else None  # type: ignore[return-value]

    @field_validator("refresh")
    @classmethod
    def _a_cron(cls, refresh: str) -> str:
        if not re.fullmatch(r"@(hourly|daily|weekly|monthly)|[\d*/,-]+( [\d*/,A-Za-z-]+){4}", refresh):
            raise ValueError(f"{refresh!r} is no cron schedule (expected five fields such as 15 * * * *, or @daily)")
        return refresh

    @model_validator(mode="after")
    def _fits_its_format(self) -> "ReferenceFeed":
        from ingest.reference.formats import checked_options, reader_of  # only those with feeds read their formats

        checked_options(self.format, self.table, self.options)
        reads = reader_of(self.format).READS
        if (self.path is None) == (reads == "file"):
            raise ValueError(f"format {self.format} " + ("needs a path" if reads == "file" else "has no path"))
        return self

    @property
    def options(self) -> dict[str, object]:
        """Return what the format is told."""
        return {key: _placed(key, value) for key, value in (self.model_extra or {}).items()}


class Reference(_Strict):
    """Feeds of the reference tables by name. Where two say something of one thing, the one that stands first counts."""

    feeds: dict[str, ReferenceFeed] = {}

    @field_validator("feeds")
    @classmethod
    def _have_names(cls, feeds: dict[str, ReferenceFeed]) -> dict[str, ReferenceFeed]:
        for name in feeds:
            checked(name)
        return feeds


class IcebergCatalogue(_Strict):
    """The catalogue of Iceberg tables. `sql` without `uri` is a SQLite file in the lake's own folder.

    `properties` are pyiceberg's. Secrets have no place here: HEADWATER_ICEBERG__CATALOG__URI may hold one.
    """

    type: Literal["sql", "glue", "rest"] = "sql"
    uri: str | None = None
    properties: dict[str, str] = {}

    @field_validator("uri")
    @classmethod
    def _file_from_base(cls, uri: str | None) -> str | None:
        file = (uri or "").removeprefix("sqlite:///")
        return f"sqlite:///{_from_base(Path(file))}" if uri and file != uri and file else uri


class Iceberg(_Strict):
    """Silver and gold as Iceberg tables. `publish` lets Dagster do it; the command does it in any case."""

    publish: bool = False
    catalog: IcebergCatalogue = IcebergCatalogue()
    namespace: str = "{layer}"
    warehouse: str | None = None  # None: the lake's own folder iceberg/
    keep_days: float = Field(default=5, ge=0)

    @field_validator("namespace")
    @classmethod
    def _a_name(cls, namespace: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", namespace.replace("{layer}", "silver")):
            raise ValueError(f"{namespace!r}: expected lower-case letters, digits and _, and {{layer}} where it goes")
        return namespace

    @field_validator("warehouse", mode="before")
    @classmethod
    def _a_place(cls, warehouse: object) -> object:
        return _folder_or_bucket(warehouse)


class Settings(BaseSettings):
    """Everything a user may set. Unknown keys, in the file or as variables, are errors."""

    model_config = SettingsConfigDict(
        env_prefix="HEADWATER_", env_nested_delimiter="__", extra="forbid", nested_model_default_partial_update=True
    )

    lake: str = Field(default=".headwater/lake", description="The lake's root: a folder or a URL.")
    sources: dict[str, Any] = Field(default={}, description="Where each source is read from.")
    environment: str = Field(default="local", description="Which of the settings file's environments holds.")
    s3: S3Lake = Field(default=S3Lake(), description="How the lake's bucket is used, when the lake is one.")
    scratch: Place = Field(
        default_factory=lambda: _from_base(Path(".headwater/scratch")),
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
        given = _of_environment(config_file())
        return init_settings, env_settings, InitSettingsSource(settings_cls, given)

    @field_validator("lake")
    @classmethod
    def _absolute(cls, lake: str) -> str:
        if not lake.strip():
            raise ValueError("expected a folder or a URL, found nothing")
        if "://" in lake:
            return lake
        path = Path(lake).expanduser()
        return str(path if path.is_absolute() else (base_folder() / path).resolve())

    @field_validator("sources")
    @classmethod
    def _are_places(cls, given: dict[str, Any]) -> dict[str, ObjectSource | ApiPlace]:
        """Hold each against what its source is read from: objects, or the API that its folder has."""
        return {name: _place(name, options) for name, options in given.items()}

    @field_validator("destinations")
    @classmethod
    def _are_destinations(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Hold each against its type; folders and files start at the settings file."""
        if not given:
            return given
        from lake.export.destination import configured  # only those with destinations read their kinds

        placed = {name: {key: _placed(key, value) for key, value in options.items()} for name, options in given.items()}
        for name, options in placed.items():
            configured(name, options)
        return placed

    @field_validator("lookups")
    @classmethod
    def _are_lookups(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Hold each against its type."""
        if given:
            from ingest.lookups.provider import configured  # only those with providers read their kinds

            for name, options in given.items():
                configured(name, options)
        return given

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
        and name != FILE_VARIABLE
        and name.removeprefix("HEADWATER_").split("__")[0].lower() not in Settings.model_fields
        and not name.endswith(_SECRETS)
    )
    if unknown:
        raise SettingsError(f"unknown setting {unknown[0]} (known: {', '.join(sorted(Settings.model_fields))})")
    try:
        return Settings()
    except ValidationError as problem:
        where = str(file) if file else "HEADWATER_* variables"
        lines = [_line(".".join(map(str, each["loc"])), _said(each["msg"])) for each in problem.errors()]
        raise SettingsError(f"settings ({where}): " + "; ".join(lines)) from None
    except (yaml.YAMLError, SettingsSourceError) as problem:
        raise SettingsError(f"settings ({file}): {' '.join(str(problem).split())}") from None


def _place(source: str, given: Any) -> ObjectSource | ApiPlace:
    api = api_of(source)
    try:
        return (api.Place if api else ObjectSource).model_validate(given)
    except ValidationError as problem:
        wrong = problem.errors()[0]
        where = ".".join(map(str, ("sources", source, *wrong["loc"])))
        raise ValueError(f"{where}: {_said(wrong['msg'])}") from None


def open_lake(settings: Settings) -> Store:
    """Return the store of the settings' lake; no request is made. Raises UnsupportedStore."""
    return open_store(settings.lake, settings.s3_options())


def access_of(settings: Settings, source: str) -> AwsAccess:
    """Return how a source's bucket and queue are reached: by its own `s3` settings, else by the lake's."""
    place = settings.sources.get(source)
    own = place.s3 if isinstance(place, ObjectSource) else None
    return (own or settings.s3).access()


def _of_environment(file: Path | None) -> dict[str, Any]:
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


def _line(where: str, said: str) -> str:
    return said if said.startswith(f"{where}.") else f"{where}: {said}"


def _said(message: str) -> str:
    """Return a message of pydantic in the words of a user who wrote a file."""
    said = message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "unknown setting")
    return said.replace("Input should be a valid dictionary", "expected `key: value` lines below it")


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
