"""Microsoft Graph: the items of a list, from all its pages, with a token that is asked for anew when it is refused.

What belongs here: asking. What does not: which lists and fields (`formats/entra`), tokens (`graph_token`).
"""

import json
from collections.abc import Mapping
from typing import Any

from ingest.reference.apis.graph_token import GraphToken
from ingest.reference.apis.patience import pages
from ingest.transports.clock import Clock
from ingest.transports.fetch_errors import ExpiredCredentials, UnexpectedAnswer
from ingest.transports.http import HttpCursor, Paging, Patience
from ingest.transports.rate_budget import RateBudget


class Graph:
    """The API at an address, with its token. A token that is refused before its time is renewed, once for each list."""

    def __init__(self, base: str, token: GraphToken, patience: Patience, clock: Clock) -> None:
        self._base = base
        self._token = token
        self._cursor = HttpCursor(
            credentials=token,
            budget=RateBudget(1.0, clock),
            patience=patience,
            clock=clock,
            explain=_error_words,
            paging=Paging(_next_link, (b"{", b"}")),
        )

    def all_of(self, path: str, params: dict[str, str]) -> list[Any]:
        """Return every item of a list. Raises FetchError."""
        try:
            return self._listed(path, params)
        except ExpiredCredentials:
            self._token.forget()
            return self._listed(path, params)

    def _listed(self, path: str, params: dict[str, str]) -> list[Any]:
        found: list[Any] = []
        for page in pages(self._cursor, self._base + path, params):
            if not isinstance(page, dict) or not isinstance(page.get("value"), list):
                raise UnexpectedAnswer(f"{self._base}{path}: a page without `value`")
            found += page["value"]
        return found


def _next_link(headers: Mapping[str, str], body: bytes) -> str | None:
    link = json.loads(body).get("@odata.nextLink")
    return str(link) if link else None


def _error_words(body: bytes) -> str:
    """Code and message of Graph's error object."""
    try:
        error = json.loads(body)["error"]
        return f"{error['code']}: {error['message']}"[:200]
    except (ValueError, KeyError, TypeError):
        return ""
