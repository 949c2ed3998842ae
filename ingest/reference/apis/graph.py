"""Microsoft Graph: the items of a list, from all its pages, with a token by client credentials.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow: POST to
/{tenant}/oauth2/v2.0/token with client_id, client_secret, scope and grant_type; `access_token` and `expires_in`, or
`error` and `error_description`.
"""

import json
from collections.abc import Mapping
from typing import Any

from ingest.reference.apis.options import pages
from ingest.transports.authorization import OAuthToken, Secret
from ingest.transports.fetch_errors import UnexpectedAnswer
from ingest.transports.http import HttpPoller, Paging, Patience
from ingest.transports.rate_budget import RateBudget
from lake.base.http import Clock


def graph_token(
    token_url: str, client_id: str, setting: str, scope: str, clock: Clock, timeout_seconds: float
) -> OAuthToken:
    """Return the token of one application; `setting` names the variable with the client secret."""
    secret = Secret(setting, what=f"the client secret of {client_id}")

    def form(found: str) -> Mapping[str, str]:
        return {"client_id": client_id, "client_secret": found, "scope": scope, "grant_type": "client_credentials"}

    return OAuthToken(token_url, secret, form, clock=clock, timeout_seconds=timeout_seconds)


class Graph:
    """The API at an address, with its token. A token that is refused before its time is renewed, once for each page."""

    def __init__(self, base: str, token: OAuthToken, patience: Patience, clock: Clock) -> None:
        self._base = base
        self._poller = HttpPoller(
            credentials=token,
            budget=RateBudget(1.0, clock),
            patience=patience,
            clock=clock,
            explain=_error_words,
            paging=Paging(_next_link, (b"{", b"}")),
        )

    def all_of(self, path: str, params: dict[str, str]) -> list[Any]:
        """Return every item of a list. Raises FetchError."""
        found: list[Any] = []
        for page in pages(self._poller, self._base + path, params):
            if not isinstance(page, dict) or not isinstance(page.get("value"), list):
                raise UnexpectedAnswer(f"{self._base}{path}: a page without `value`")
            found += page["value"]
        return found


def _next_link(_: str, headers: Mapping[str, str], body: bytes) -> str | None:
    link = json.loads(body).get("@odata.nextLink")
    return str(link) if link else None


def _error_words(body: bytes) -> str:
    """Code and message of Graph's error object."""
    try:
        error = json.loads(body)["error"]
        return f"{error['code']}: {error['message']}"[:200]
    except (ValueError, KeyError, TypeError):
        return ""
