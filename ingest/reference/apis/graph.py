"""Microsoft Graph: the items of a list, from all its pages, with a token by client credentials.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow: POST to
/{tenant}/oauth2/v2.0/token with client_id, client_secret, scope and grant_type; `access_token` and `expires_in`, or
`error` and `error_description`.
"""

import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from ingest.reference.apis.options import pages
from ingest.transports.fetch_errors import ExpiredCredentials, MissingCredentials, UnexpectedAnswer, Unreachable
from ingest.transports.http import HttpPoller, Paging, Patience
from ingest.transports.rate_budget import RateBudget
from lake.base.http import SYSTEM_CLOCK, Answer, Clock, FailedTry, HttpClient

# A page may take a while: a token that ends within this time is not begun with.
SPARE_SECONDS = 300


@dataclass
class GraphToken:
    """A token for one application, asked for when needed and kept until shortly before it ends.

    `setting` names the variable with the client secret.
    """

    token_url: str
    client_id: str
    setting: str
    scope: str
    clock: Clock = SYSTEM_CLOCK
    timeout_seconds: float = 60.0
    _token: str = field(default="", init=False, repr=False)
    _ends_at: float = field(default=0.0, init=False)

    def header(self) -> str:
        """The value of the Authorization header. Raises FetchError when no token is given."""
        if not self._token or self.clock.now() >= self._ends_at:
            self._ask()
        return f"Bearer {self._token}"

    def hide(self, text: str) -> str:
        """`text` without the token and the secret."""
        for secret in (self._token, os.environ.get(self.setting, "").strip()):
            text = text.replace(secret, "***") if secret else text
        return text

    def forget(self) -> None:
        """Ask for another token next time: this one was refused."""
        self._token = ""

    def _ask(self) -> None:
        answer = self._answer()
        try:
            given = json.loads(answer.body)
        except ValueError:
            given = {}
        given = given if isinstance(given, dict) else {}
        if answer.status in (400, 401, 403):
            words = self.hide(str(given.get("error_description") or given.get("error") or answer.status))
            raise ExpiredCredentials(f"{self.token_url}: no token: {words.splitlines()[0][:200]}; check {self.setting}")
        if answer.status >= 429:
            raise Unreachable(f"{self.token_url}: no token: status {answer.status}; run it again later")
        token, seconds = given.get("access_token"), given.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise UnexpectedAnswer(f"{self.token_url}: an answer without access_token and expires_in")
        self._token = token
        self._ends_at = self.clock.now() + max(seconds - SPARE_SECONDS, seconds / 2)

    def _answer(self) -> Answer:
        secret = os.environ.get(self.setting, "").strip()
        if not secret:
            raise MissingCredentials(f"{self.setting} is not set; set it to the client secret of {self.client_id}")
        form = {
            "client_id": self.client_id,
            "client_secret": secret,
            "scope": self.scope,
            "grant_type": "client_credentials",
        }
        with closing(HttpClient(timeout_seconds=self.timeout_seconds, clock=self.clock)) as client:
            try:
                return client.exchange("POST", self.token_url, data=form)
            except FailedTry as failed:
                raise Unreachable(f"{self.token_url}: no token: {failed.reason}; run it again later") from None


class Graph:
    """The API at an address, with its token. A token that is refused before its time is renewed, once for each list."""

    def __init__(self, base: str, token: GraphToken, patience: Patience, clock: Clock) -> None:
        self._base, self._token = base, token
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
        try:
            return self._listed(path, params)
        except ExpiredCredentials:
            self._token.forget()
            return self._listed(path, params)

    def _listed(self, path: str, params: dict[str, str]) -> list[Any]:
        found: list[Any] = []
        for page in pages(self._poller, self._base + path, params):
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
