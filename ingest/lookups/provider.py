"""Lookup providers: the settings they take, how they are asked, and finding the files of `providers/`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

import ingest.lookups.providers
from ingest.lookups.attributes import Attribute, attribute_of
from ingest.lookups.client import Client
from ingest.lookups.egress_policy import NeverSent, never_sent
from ingest.reference.observables import ObservableKey
from lake.base import plugins
from lake.base.errors import WRONG_CALL, HeadwaterError, nearest
from lake.storage.paths import BadName, checked

Status = Literal["known", "unknown", "refused"]
Positive = Field(default=None, ge=1, le=2**53)


class LookupOptions(BaseModel):
    """What the settings of every provider may say; a provider adds its own, and its own defaults.

    Budgets count requests, or observables where the provider counts these; None: no limit but the provider's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ask_about: tuple[str, ...] = ()  # <table>.<attribute>, for instance authentication.src_endpoint.ip
    key_env: str | None = None  # the environment variable that holds the key; read when a request goes out
    base_url: str
    per_minute: int | None = Positive
    per_day: int | None = Positive
    per_month: int | None = Positive
    lifetime_hours: float = Field(default=168, gt=0, le=876_000)
    negative_lifetime_hours: float = Field(default=24, gt=0, le=876_000)  # of "not known"
    timeout_seconds: float = Field(default=30, gt=0, le=3600)
    never_send: tuple[str, ...] = ()  # networks and domains of your own, besides those that are never sent anyway

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")) or "@" in url or "?" in url:
            raise ValueError(f"{url!r}: expected https://host/path, without a key in it")
        return url.rstrip("/")

    @field_validator("ask_about")
    @classmethod
    def _are_attributes(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for each in given:
            attribute_of(each)
        return given

    @property
    def attributes(self) -> list[Attribute]:
        """What is asked about."""
        return [attribute_of(each) for each in self.ask_about]


@dataclass(frozen=True)
class Answer:
    """What a provider said of one observable. `data`: the useful fields, as JSON holds them.

    `score` is as the provider counts, `score_id` OCSF's reputation (0-10, see the provider's file for the scale); both
    None where the answer is no judgement.
    """

    status: Status
    data: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None
    score_id: int | None = None


class Provider(Protocol):
    """An open provider.

    `kinds`: what it answers. `batch`: the most observables of one request. `counts`: what its limits count.
    """

    kinds: frozenset[str]
    batch: int
    counts: Literal["requests", "observables"]

    def takes(self, key: ObservableKey) -> bool:
        """Whether it answers this one (of its kinds)."""
        ...

    def place(self, key: ObservableKey) -> str:
        """Return who answers it, where there are several (RDAP: the registry); who is down does not stop the others.

        Raises LookupFailed when that cannot be found out now.
        """
        ...

    def ask(self, keys: Sequence[ObservableKey]) -> dict[ObservableKey, Answer]:
        """Ask about up to `batch` observables of one place. What is missing in the result is asked again later.

        Raises:
            LookupFailed, Throttled, KeyRefused, MissingCredentials: no answer; nothing of it is counted as one.
        """
        ...


class Kind(Protocol):
    """What the file of a provider has."""

    Options: type[LookupOptions]
    KINDS: frozenset[str]
    KEY_HEADER: str | None  # the header that takes the key; None: no key is needed

    def open_provider(self, options: Any, client: Client) -> Provider:
        """Return the provider, ready to be asked."""
        ...


STATUS = "status"  # what the command line calls the state of all, so no provider


class BadLookup(HeadwaterError, ValueError):
    """Settings of a provider that cannot be used."""

    exit_code = WRONG_CALL


@dataclass(frozen=True)
class Lookup:
    """A provider as the settings name it, and that kind's own options."""

    name: str
    kind: str
    options: LookupOptions

    @property
    def module(self) -> Kind:
        """The file of its kind."""
        return _module_of(self.kind)

    @property
    def guard(self) -> NeverSent:
        """What it is never asked about."""
        return never_sent(self.options.never_send)

    @property
    def lacking(self) -> str:
        """Return what the settings name and this machine lacks; else ""."""
        if not self.module.KEY_HEADER:
            return ""
        if not self.options.key_env:
            return f"lookups.{self.name}.key_env is not set: name the environment variable that holds the key"
        if not os.environ.get(self.options.key_env, "").strip():
            return f"{self.options.key_env} is not set (lookups.{self.name}.key_env names it); set it to the key"
        return ""

    def open(self, client: Client) -> Provider:
        """Return the provider, ready to be asked."""
        return self.module.open_provider(self.options, client)


def kinds() -> list[str]:
    """Return the names of all kinds of providers."""
    return plugins.names(ingest.lookups.providers)


def configured(name: str, given: Mapping[str, Any]) -> Lookup:
    """Return a provider of the settings.

    Raises:
        BadLookup: the type is unknown; a setting is unknown, missing, or cannot be used.
    """
    kind = given.get("type")
    if kind not in kinds():
        found = f"{kind!r} is no type" if kind else "no `type` is given"
        raise BadLookup(f"lookups.{name}: {found} (known: {', '.join(kinds())})")
    rest = {key: value for key, value in given.items() if key != "type"}
    module = _module_of(str(kind))
    try:
        if checked(name) == STATUS:
            raise BadName(f"{STATUS!r} is no name for a provider: `headwater lookup {STATUS}` shows the status of all")
        options = module.Options.model_validate(rest)
        never_sent(options.never_send)
    except ValidationError as problem:
        wrong = problem.errors()[0]
        where = ".".join(map(str, (name, *wrong["loc"])))
        said = wrong["msg"].removeprefix("Value error, ")
        if wrong["type"] == "extra_forbidden":
            said = f"unknown setting{nearest(str(wrong['loc'][-1]), module.Options.model_fields)}"
        raise BadLookup(f"lookups.{where}: {said}") from None
    except (BadName, ValueError) as problem:
        raise BadLookup(f"lookups.{name}: {problem}") from None
    for each in options.attributes:
        if each.kind not in module.KINDS:
            found = f"{each.table}.{each.path} holds {each.kind}, and {kind} answers {', '.join(sorted(module.KINDS))}"
            raise BadLookup(f"lookups.{name}.ask_about: {found}")
    return Lookup(name, str(kind), options)


def asked_paths(lookups: Iterable[Lookup], table: str) -> tuple[tuple[str, str], ...]:
    """Return (provider, attribute path without `[]`) of a table, in the order of the settings."""
    return tuple(
        (lookup.name, each.path.replace("[]", ""))
        for lookup in lookups
        for each in lookup.options.attributes
        if each.table == table
    )


def sendable_sql(lookups: Iterable[Lookup]) -> dict[str, dict[str, str]]:
    """Return, by provider and kind, the test in SQL of what it may be asked about: over `value`, `key`, `written`."""
    return {
        lookup.name: {kind: lookup.guard.sql(kind, "value", "key", "written") for kind in sorted(lookup.module.KINDS)}
        for lookup in lookups
    }


def _module_of(kind: str) -> Kind:
    required = ("Options", "KINDS", "KEY_HEADER", "open_provider")
    return cast(Kind, plugins.load(ingest.lookups.providers, kind, required))
