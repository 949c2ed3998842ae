"""The settings file, and the groups of settings: places, sources, feeds, Iceberg; each with its defaults and checks."""

import os
import re
import zoneinfo
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from lake.base.errors import WRONG_CALL, HeadwaterError, nearest
from lake.storage.paths import checked
from lake.storage.store import AwsAccess

FILE_VARIABLE = "HEADWATER_CONFIG"
DEFAULT_FILE = "headwater.yml"
TOP = Path(__file__).resolve().parents[2]
PROJECT = TOP / "dbt_project"
_ENVIRONMENTS = "environments"


class SettingsError(HeadwaterError, ValueError):
    """Settings that cannot be used. One line a problem; the message names the key and where it was given."""

    exit_code = WRONG_CALL


@dataclass
class Loading:
    """What is known while settings are loaded: `left_out`, why, by the entry's place; the line of every key."""

    left_out: dict[str, str] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    environment: str = ""

    def leave_out(self, where: str, problem: Exception) -> None:
        """Note why an entry cannot be used."""
        from orchestration.settings.problems import reason, with_line  # only a bad entry needs them

        why = reason(where, problem)
        self.left_out.setdefault(where, with_line(self.lines, self.environment, why.partition(": ")[0], why))


LOADING: ContextVar[Loading | None] = ContextVar("LOADING", default=None)  # while settings are loaded


def each_alone(where: str, given: Any, make: Callable[[str, Any], Any]) -> Any:
    """Return the entries of a group of settings, each made by itself.

    One that cannot be used stops itself alone: `Loading` gets why, by its place. Without that the error is raised.
    """
    if not isinstance(given, dict):
        return given  # pydantic says what it should be
    made = {}
    for name, options in given.items():
        try:
            if not isinstance(name, str):
                raise ValueError("a name is a text: write it in quotes")
            if not isinstance(options, dict | BaseModel):
                raise ValueError("expected `key: value` lines below it")
            if odd := next((key for key in options if not isinstance(key, str)), None) if options else None:
                raise ValueError(f"{odd!r} is no key: a key is a text")
            made[name] = make(name, options)
        except (ValueError, OverflowError, HeadwaterError) as problem:
            loading = LOADING.get()
            if loading is None:
                raise
            loading.leave_out(f"{where}.{name}", problem)
    return made


def config_file() -> Path | None:
    """Return the settings file in use: the one `HEADWATER_CONFIG` names, else `headwater.yml` here, else none."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    here = _working_folder() / DEFAULT_FILE
    return here if here.exists() or here.is_symlink() else None


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
    environments = given.pop(_ENVIRONMENTS, None) or {}
    if not isinstance(environments, dict) or not all(isinstance(each, dict) for each in environments.values()):
        raise SettingsError(f"settings ({file}): environments: expected names with settings under each")
    asked = os.environ.get("HEADWATER_ENVIRONMENT") or given.get("environment")
    if not environments and asked in (None, "local"):
        return given
    where = str(file) if file else "HEADWATER_* variables"
    if asked is not None and not isinstance(asked, str):
        raise SettingsError(f"settings ({where}): environment: expected a text, the name of an environment")
    if asked not in environments:
        found = f"unknown environment {asked!r}" if asked else "no environment is chosen"
        known = ", ".join(map(str, environments)) or "local"
        raise SettingsError(f"settings ({where}): {found}: set `environment` (HEADWATER_ENVIRONMENT) to one of {known}")
    if (loading := LOADING.get()) is not None:
        loading.environment = str(asked)
    return {**_merged(given, environments[asked]), "environment": asked}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of another mapping put over them, key by key; a source is replaced whole."""
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = {**merged[name], **value} if both else value
    return merged


def _read_mapping(file: Path) -> dict[str, Any]:
    """Return what a settings file holds, without the entries in which a key stands twice. Raises SettingsError."""
    from lake.base import strict_yaml  # only those with a settings file read YAML here

    try:
        with file.open("rb") as text:
            found = strict_yaml.read(text.read(strict_yaml.MOST_BYTES + 1))
    except OSError as problem:
        why = "it is a folder, not a file" if isinstance(problem, IsADirectoryError) else str(problem.strerror)
        raise SettingsError(f"settings file {file} cannot be read: {why}") from None
    except strict_yaml.BadYaml as problem:
        raise SettingsError(f"settings ({file}): {problem}") from None
    if found.value is not None and not isinstance(found.value, dict):
        kind = "a list" if isinstance(found.value, list) else f"one value ({str(found.value)[:40]})"
        raise SettingsError(f"settings ({file}): expected `key: value` lines, found {kind}")
    held = found.value or {}
    if odd := [key for key in held if not isinstance(key, str)]:
        raise SettingsError(f"settings ({file}): {odd[0]!r} is no setting: a key is a text")
    loading = LOADING.get()
    if loading is not None:
        loading.lines.update(found.lines)
    if found.wrong:
        from orchestration.settings.problems import without_entries  # only what is wrong needs it

        if why := without_entries(held, found.wrong, loading.left_out if loading else None):
            raise SettingsError(f"settings ({file}): {why}")
    return held


class Strict(BaseModel):
    """A group of settings; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def from_base(path: Path) -> Path:
    """Return a path; a relative one starts at the settings file's folder."""
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError(f"{str(path)!r}: there is no such user") from None
    return path if path.is_absolute() else (base_folder() / path).resolve()


Place = Annotated[Path, AfterValidator(from_base)]


def folder_or_bucket(place: object) -> object:
    """Return a folder's whole path, or an `s3://` URL as it is. Raises ValueError for another URL."""
    if not isinstance(place, str | Path) or re.match("s3://[^/\\s]", str(place)):
        return place
    if "\0" in str(place):
        raise ValueError("a path holds no NUL")
    if "://" in str(place) or re.match("s3:", str(place)) or not str(place).strip():
        raise ValueError(f"{str(place)!r}: expected a folder or s3://bucket/prefix")
    return str(from_base(Path(place)))


def placed(key: str, value: Any) -> Any:
    """Return a destination's setting with its path, if it is one: `root`, and what ends in `_file`."""
    if key == "root":
        return folder_or_bucket(value)
    return str(from_base(Path(value))) if key.endswith("_file") and isinstance(value, str) else value


class S3Access(Strict):
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


class ObjectSource(Strict):
    """Where the objects of an object source lie: a folder of this machine, or `s3://bucket/prefix`.

    `s3` is how its bucket and queue are reached; without it as the lake's. `queue` announces new objects. `time_zone`
    is that of event times without an offset (`Europe/Berlin`); a source that is only landed by hand may have it alone.
    """

    root: str | None = None
    s3: S3Access | None = None
    queue: str | None = None
    time_zone: str | None = None

    @field_validator("root", mode="before")
    @classmethod
    def _a_place(cls, root: object) -> object:
        return folder_or_bucket(root)

    @field_validator("queue")
    @classmethod
    def _an_address(cls, queue: str | None) -> str | None:
        if queue is not None and not re.match(r"https?://[^/@]+/\S+\Z", queue):
            raise ValueError("expected the queue's URL, https://sqs.<region>.amazonaws.com/<account>/<name>")
        return queue

    @field_validator("time_zone")
    @classmethod
    def _a_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in zoneinfo.available_timezones():
            raise ValueError(f"{zone!r} is no time zone (expected a name such as Europe/Berlin or UTC)")
        return zone

    @model_validator(mode="after")
    def _somewhere(self) -> "ObjectSource":
        if self.root is None and self.queue is None and self.time_zone is None:
            raise ValueError("expected root, queue or both")
        return self

    @property
    def address(self) -> str:
        """Return where it is read from, for people."""
        return self.root or self.queue or ""


class CloudTrailIntegrity(Strict):
    """What CloudTrail's log files are verified with: where its digest files lie, and which public keys sign them.

    `digests`, a folder or `s3://bucket/prefix`; left out, they lie beside the log files. `public_keys` is `aws`, to ask
    CloudTrail for them, or files and folders.
    """

    digests: str | None = None
    public_keys: Literal["aws"] | list[Place] = "aws"

    @field_validator("digests", mode="before")
    @classmethod
    def _a_place(cls, digests: object) -> object:
        return folder_or_bucket(digests)


class GeoIp(Strict):
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

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    table: Literal["indicators", "warning_lists", "assets", "identities"]
    format: str
    provider: str = ""
    mode: Literal["full", "partial"] | None = None
    path: str | None = None
    refresh: str = "15 * * * *"
    max_age_hours: float | None = Field(default=None, gt=0, le=876_000)
    most_closed_share: float = Field(default=0.5, gt=0, le=1)

    @field_validator("path")
    @classmethod
    def _from_settings(cls, path: str | None) -> str | None:
        return folder_or_bucket(path) if path else None  # type: ignore[return-value]

    @field_validator("refresh")
    @classmethod
    def _a_cron(cls, refresh: str) -> str:
        from orchestration.settings.cron import check_cron  # only those with feeds

        return check_cron(refresh)

    @model_validator(mode="after")
    def _fits_its_format(self) -> "ReferenceFeed":
        from ingest.reference.formats import checked_options, reader_of  # only those with feeds read their formats

        reader = reader_of(self.format)
        known = {*ReferenceFeed.model_fields, *reader.Options.model_fields}
        if unknown := next((key for key in self.model_extra or {} if key not in known), None):
            raise ValueError(f"{unknown}: unknown setting{nearest(unknown, known)}")
        checked_options(self.format, self.table, self.options)
        reads = reader.READS
        if (self.path is None) == (reads == "file"):
            raise ValueError(f"format {self.format} " + ("needs a path" if reads == "file" else "has no path"))
        return self

    @property
    def options(self) -> dict[str, object]:
        """Return what the format is told."""
        return {key: placed(key, value) for key, value in (self.model_extra or {}).items()}


class Reference(Strict):
    """Feeds of the reference tables by name. Where two say something of one thing, the one that stands first counts."""

    feeds: dict[str, ReferenceFeed] = {}

    @field_validator("feeds", mode="before")
    @classmethod
    def _each_alone(cls, feeds: object) -> object:
        return each_alone("reference.feeds", feeds, _feed)


def _feed(name: str, given: Any) -> ReferenceFeed:
    checked(name)
    return ReferenceFeed.model_validate(given)


class IcebergCatalogue(Strict):
    """The catalogue of Iceberg tables. `sql` without `uri` is a SQLite file in the lake's own folder.

    `properties` are pyiceberg's. Secrets have no place here: HEADWATER_ICEBERG__CATALOG__URI may hold one.
    """

    type: Literal["sql", "glue", "rest"] = "sql"
    uri: str | None = None
    properties: dict[str, str] = {}

    @field_validator("uri")
    @classmethod
    def _filefrom_base(cls, uri: str | None) -> str | None:
        file = (uri or "").removeprefix("sqlite:///")
        return f"sqlite:///{from_base(Path(file))}" if uri and file != uri and file else uri


class Iceberg(Strict):
    """Silver and gold as Iceberg tables. `publish` lets Dagster do it; the command does it in any case."""

    publish: bool = False
    catalog: IcebergCatalogue = IcebergCatalogue()
    namespace: str = "{layer}"
    warehouse: str | None = None  # None: the lake's own folder iceberg/
    keep_days: float = Field(default=5, ge=0, le=36_500)

    @field_validator("namespace")
    @classmethod
    def _a_name(cls, namespace: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", namespace.replace("{layer}", "silver")):
            raise ValueError(f"{namespace!r}: expected lower-case letters, digits and _, and {{layer}} where it goes")
        return namespace

    @field_validator("warehouse", mode="before")
    @classmethod
    def _a_place(cls, warehouse: object) -> object:
        return folder_or_bucket(warehouse)
