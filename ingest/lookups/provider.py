"""What a lookup provider is: the settings it takes, the kinds of observables it answers, and how it is asked.

What belongs here: the shapes that providers and the mechanism share. What does not: HTTP (`client`), a provider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ingest.lookups.attributes import Attribute, attribute_of
from ingest.lookups.client import Client
from ingest.reference.observables import ObservableKey

Status = Literal["known", "unknown", "refused"]
Positive = Field(default=None, ge=1)


class LookupOptions(BaseModel):
    """What the settings of every provider may say; a provider adds its own, and its own defaults.

    Budgets count requests, or observables where the provider counts these; None: no limit but the provider's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ask_about: tuple[str, ...] = ()  # <table>.<attribute>, for instance authentication.src_endpoint.ip
    key_env: str | None = None  # the environment variable that holds the key; read when a request goes out
    base_url: str
    per_minute: int | None = Positive
    per_day: int | None = Positive
    per_month: int | None = Positive
    lifetime_hours: float = Field(default=168, gt=0)
    negative_lifetime_hours: float = Field(default=24, gt=0)  # of "not known"
    timeout_seconds: float = Field(default=30, gt=0)
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
