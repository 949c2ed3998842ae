"""What the simulated vendors share: requests and replies, pages of a world, cursors, times."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from orchestration.demo.simulators.audit_apis.world import Event, World


@dataclass(frozen=True)
class Asked:
    """A request: `url` is the server's base address, `now` its time."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    url: str
    now: float
    date: str = ""  # the header


@dataclass(frozen=True)
class Reply:
    """An answer; a body that is no bytes goes out as JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> bytes:
        """Return the body as it goes out."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, separators=(",", ":")).encode()


class Server(Protocol):
    """What vendors need of the server."""

    world: World
    started: set[str]
    expired: set[str]
    generation: int


@dataclass(frozen=True)
class Page:
    """Events of a page, and the cursor of the next one."""

    events: list[Event]
    cursor: str


class LostCursor(Exception):
    """A cursor of an earlier generation, or none at all."""


class Vendor:
    """A vendor. `quota` is (requests, seconds); `has_tokens`: access tokens of an OAuth server, not one of its own."""

    name: str
    path: str
    quota: tuple[int, float]
    scheme = "Bearer"
    has_tokens = False
    newest_first = False

    def wanted(self, asked: Asked, tokens: int) -> str:
        """Return the Authorization header that a good request has; `tokens` is the number of the valid access token."""
        return f"Bearer token-{tokens}" if self.has_tokens else f"{self.scheme} s3cr3t"

    def owns(self, path: str) -> bool:
        """Whether a path is this vendor's."""
        return re.fullmatch(self.path, path) is not None

    def answer(self, asked: Asked, server: Server, fault: str) -> Reply:
        """Answer a good request, with a fault in its pages."""
        raise NotImplementedError

    def error(self, status: int) -> Reply:
        """Return what a refusal looks like."""
        raise NotImplementedError

    def throttled(self, now: float, wait: float) -> Reply:
        """Return what too many requests are answered with; in `wait` seconds there may be others."""
        raise NotImplementedError

    def record(self, event: Event) -> dict[str, Any]:
        """Return an event as the vendor writes it."""
        raise NotImplementedError

    def records(self, page: Page) -> list[dict[str, Any]]:
        """Return the events of a page as the vendor writes them."""
        return [self.record(event) for event in page.events]

    def take(
        self, server: Server, now: float, inside: Callable[[Event], bool], limit: int, cursor: str, fault: str
    ) -> Page:
        """Return the page of a window behind a cursor. Raises LostCursor."""
        found = [event for event in server.world.visible(now) if inside(event)]
        if self.newest_first:
            found.reverse()
        after, number = _read(cursor, server.generation) if cursor else (None, 0)
        if after is not None:
            found = [each for each in found if (_place(each) < after if self.newest_first else _place(each) > after)]
        if fault == "loop" and cursor:
            return Page([], cursor)
        if fault == "empty" and found:
            return Page([], _written(after, number + 1, server.generation))
        page, more = found[:limit], len(found) > limit
        return Page(page, _written(_place(page[-1]), 0, server.generation) if more else "")


def _place(event: Event) -> tuple[int, str, int]:
    return event.at, event.uid, event.copy


def _written(place: tuple[int, str, int] | None, number: int, generation: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([generation, number, place]).encode()).decode()


def _read(cursor: str, generation: int) -> tuple[tuple[int, str, int] | None, int]:
    try:
        made, number, place = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise LostCursor from None
    if made != generation:
        raise LostCursor
    return (tuple(place) if place else None), number


def ms(text: str) -> int:
    """Return the epoch milliseconds of a time; one without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def iso(at: int) -> str:
    """Return epoch milliseconds as RFC 3339."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
