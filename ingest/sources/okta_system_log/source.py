"""Fetches one arrival hour of an Okta org's System Log.

Facts are Okta's own (developer.okta.com/docs/reference/api/system-log): a request with `since` and `until` is bounded:
it filters on `published`, answers in the order of `published` and has a last page without a next link.
"""

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ingest.objects import RawObject
from ingest.transports.addresses import checked_address
from ingest.transports.fetch_errors import FetchError
from ingest.transports.http import Credentials, HttpPoller, Patience, Window
from ingest.transports.page_spool import SpooledPage
from ingest.transports.rate_budget import RateBudget
from lake.base.http import SYSTEM_CLOCK, Clock

_log = logging.getLogger(__name__)

_PATH = "/api/v1/logs"
_HOUR = timedelta(hours=1)

EXAMPLE = "base_url: https://<org>.okta.com"  # what a message shows of the settings
SETTLE = timedelta(minutes=5)  # how long after its end an hour is left alone, if the settings say nothing else


class WindowNotSettled(FetchError):
    """The hour is not over, or not over long enough for Okta to have persisted its events."""


@dataclass(frozen=True)
class OktaConfig:
    """Where and how to fetch; every default but the retention and the share of the limit may be changed freely.

    base_url: `https://<org>.okta.com`, nothing behind the host; plain http only to this machine.
    token_env, scheme: the environment variable with the token; `SSWS` for an API token, `Bearer` for OAuth 2.0
        (scope okta.logs.read).
    limit: events per page, 1 to 1000 (Okta's maximum).
    settle: how long after its end an hour is left alone: Okta persists events some time after they are published.
    overlap: how far before the hour the window begins, to pick up what was persisted after the last fetch. Events
        seen before come again; they are removed by `uuid` downstream.
    budget_share: our share of the endpoint's rate limit; Okta gives one token 50 % unless an admin changed it.
    retention: how long Okta keeps events; an hour older than that is fetched with a warning, since it may be empty.
    The rest is `ingest.transports.http.Patience`.
    """

    base_url: str
    token_env: str = "HEADWATER_OKTA_TOKEN"
    scheme: Literal["SSWS", "Bearer"] = "SSWS"
    limit: int = 1000
    settle: timedelta = SETTLE
    overlap: timedelta = timedelta(0)
    budget_share: float = 0.5
    retention: timedelta = timedelta(days=90)
    timeout_seconds: float = 60.0
    page_seconds: float = 300.0
    max_attempts: int = 6
    max_wait_seconds: float = 300.0
    backoff_seconds: float = 1.0

    def __post_init__(self) -> None:
        try:
            checked_address(self.base_url)
        except ValueError as problem:
            raise ValueError(f"base_url: {problem}") from None
        if self.scheme not in ("SSWS", "Bearer"):
            raise ValueError(f"scheme: expected SSWS or Bearer, found {self.scheme!r}")
        if not 1 <= self.limit <= 1000:
            raise ValueError(f"limit: expected 1 to 1000 events per page, found {self.limit}")
        if not 0 < self.budget_share <= 1:
            raise ValueError(f"budget_share: expected more than 0 and at most 1, found {self.budget_share}")
        if min(self.settle, self.overlap) < timedelta(0):
            raise ValueError("settle, overlap: expected no negative duration")

    def budget(self, clock: Clock = SYSTEM_CLOCK) -> RateBudget:
        """A rate budget to share between the hours fetched in one process."""
        return RateBudget(self.budget_share, clock)


def fetch_hour(
    config: OktaConfig,
    arrival_hour: datetime,
    spool: Path,
    *,
    budget: RateBudget | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> list[RawObject]:
    """The pages of the events published in `arrival_hour` (aware, a full hour), one object per page, in order.

    `spool` is a directory for this hour alone; pages already in it from an interrupted fetch of the same window are
    used, not fetched again. Delete it once the batch's receipt is durable; deleting it is also how an hour is fetched
    anew. An hour without events gives one page with an empty array.

    Raises WindowNotSettled before the hour is over and settled, ExpiredCredentials and the other errors of
    `ingest.transports.fetch_errors` otherwise.
    """
    since, until = _window(config, arrival_hour, clock)
    window = Window(
        url=config.base_url.rstrip("/") + _PATH,
        params={"since": _text(since), "until": _text(until), "limit": str(config.limit), "sortOrder": "ASCENDING"},
    )
    cursor = HttpPoller(
        credentials=Credentials(config.token_env, config.scheme),
        budget=budget or config.budget(clock),
        patience=_patience(config),
        clock=clock,
        explain=_error_words,
        always_links=True,
    )
    place = f"okta://{urlsplit(config.base_url).hostname}{_PATH}?{_query(since, until)}"
    return [_raw_object(place, until, path, page) for path, page in cursor.fetch(window, spool)]


def _window(config: OktaConfig, arrival_hour: datetime, clock: Clock) -> tuple[datetime, datetime]:
    """`since` (inclusive) and `until` (exclusive): neighbouring hours share a boundary and no instant."""
    if arrival_hour.tzinfo is None:
        raise ValueError(f"arrival_hour: expected a time with its zone, found {arrival_hour.isoformat()}")
    start = arrival_hour.astimezone(UTC)
    if (start.minute, start.second, start.microsecond) != (0, 0, 0):
        raise ValueError(f"arrival_hour: expected a full hour, found {start.isoformat()}")
    until = start + _HOUR
    now = datetime.fromtimestamp(clock.now(), UTC)
    if now < until + config.settle:
        raise WindowNotSettled(
            f"{_text(start)}: this hour may be fetched from {_text(until + config.settle)} on (its end + settle "
            f"{config.settle}), now it is {_text(now)}"
        )
    if start < now - config.retention:
        _log.warning("%s: older than Okta keeps events (%s); an empty answer proves nothing", start, config.retention)
    return start - config.overlap, until


def _raw_object(place: str, until: datetime, path: Path, page: SpooledPage) -> RawObject:
    return RawObject(
        name=f"{place}#{path.stem}",
        open=partial(_open, path),
        size=page.size,
        arrived_at=until,
        fingerprint=page.sha256,
    )


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _patience(config: OktaConfig) -> Patience:
    return Patience(
        timeout_seconds=config.timeout_seconds,
        page_seconds=config.page_seconds,
        max_attempts=config.max_attempts,
        max_wait_seconds=config.max_wait_seconds,
        backoff_seconds=config.backoff_seconds,
    )


def _error_words(body: bytes) -> str:
    """Code and summary of Okta's error object (developer.okta.com/docs/reference/error-codes)."""
    try:
        error = json.loads(body)
        code, summary = error["errorCode"], error["errorSummary"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"{code}: {summary}"[:200]


def _query(since: datetime, until: datetime) -> str:
    return urlencode({"since": _text(since), "until": _text(until)}, safe=":")


def _text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, the precision of `published`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Place(BaseModel):
    """The settings under `sources.okta_system_log`. The token is read from the variable named here when it is used."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    base_url: str
    token_env: str = "HEADWATER_OKTA_TOKEN"
    scheme: Literal["SSWS", "Bearer"] = "SSWS"
    budget_share: float = Field(default=0.5, gt=0, le=1)
    settle_seconds: int = Field(default=int(SETTLE.total_seconds()), ge=0, le=86_400)
    retention_days: int = Field(default=90, ge=1, le=36_500)  # older hours are asked for with a warning

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        checked_address(url)
        return url

    @property
    def address(self) -> str:
        """Return where it is read from."""
        return self.base_url

    @property
    def lacking(self) -> str:
        """Return what to do when the token is not there, else ""."""
        return "" if os.environ.get(self.token_env) else f"put the API token into {self.token_env}"

    @property
    def settle(self) -> timedelta:
        """Return how long after its end an arrival hour is left alone."""
        return timedelta(seconds=self.settle_seconds)


def fetch(place: Place, hour: datetime, spool: Path) -> list[RawObject]:
    """Fetch one arrival hour (naive UTC) from the place that the settings name: see `fetch_hour`."""
    config = OktaConfig(
        base_url=place.base_url,
        token_env=place.token_env,
        scheme=place.scheme,
        budget_share=place.budget_share,
        settle=place.settle,
        retention=timedelta(days=place.retention_days),
    )
    return fetch_hour(config, hour.replace(tzinfo=UTC), spool)
