"""Access tokens of Microsoft Entra by client credentials: asked for when needed, kept until shortly before they end.

What belongs here: the token. What does not: what is asked with it (`formats/entra`).

Facts: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow: POST to
/{tenant}/oauth2/v2.0/token with client_id, client_secret, scope and grant_type; `access_token` and `expires_in`, or
`error` and `error_description`.
"""

import os
from dataclasses import dataclass, field

import requests

from ingest.transports.clock import SYSTEM_CLOCK, Clock
from ingest.transports.fetch_errors import ExpiredCredentials, MissingCredentials, UnexpectedAnswer, Unreachable

# A page may take a while: a token that ends within this time is not begun with.
SPARE_SECONDS = 300


@dataclass
class GraphToken:
    """A token for one application: `secret_env` names the variable with the client secret."""

    token_url: str
    client_id: str
    secret_env: str
    scope: str
    clock: Clock = SYSTEM_CLOCK
    timeout_seconds: float = 60.0
    _token: str = field(default="", init=False, repr=False)
    _ends_at: float = field(default=0.0, init=False)

    @property
    def setting(self) -> str:
        """What a person has to renew."""
        return self.secret_env

    def header(self) -> str:
        """The value of the Authorization header. Raises FetchError when no token is given."""
        if not self._token or self.clock.now() >= self._ends_at:
            self._ask()
        return f"Bearer {self._token}"

    def hide(self, text: str) -> str:
        """`text` without the token and the secret."""
        for secret in (self._token, os.environ.get(self.secret_env, "").strip()):
            text = text.replace(secret, "***") if secret else text
        return text

    def forget(self) -> None:
        """Ask for another token next time: this one was refused."""
        self._token = ""

    def _ask(self) -> None:
        secret = os.environ.get(self.secret_env, "").strip()
        if not secret:
            raise MissingCredentials(f"{self.secret_env} is not set; set it to the client secret of {self.client_id}")
        form = {
            "client_id": self.client_id,
            "client_secret": secret,
            "scope": self.scope,
            "grant_type": "client_credentials",
        }
        try:
            answer = requests.post(self.token_url, data=form, timeout=self.timeout_seconds, allow_redirects=False)
        except requests.RequestException as error:
            raise Unreachable(f"{self.token_url}: no token: {type(error).__name__}; run it again later") from None
        try:
            given = answer.json()
        except ValueError:
            given = {}
        if answer.status_code in (400, 401, 403):
            words = self.hide(str(given.get("error_description") or given.get("error") or answer.status_code))
            raise ExpiredCredentials(
                f"{self.token_url}: no token: {words.splitlines()[0][:200]}; check {self.secret_env}"
            )
        if answer.status_code >= 429:
            raise Unreachable(f"{self.token_url}: no token: status {answer.status_code}; run it again later")
        token, seconds = given.get("access_token"), given.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise UnexpectedAnswer(f"{self.token_url}: an answer without access_token and expires_in")
        self._token = token
        self._ends_at = self.clock.now() + max(seconds - SPARE_SECONDS, seconds / 2)
