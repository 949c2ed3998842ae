"""What authorizes a request to an API: tokens, OAuth 2.0, signed assertions, signatures; and where their secrets are.

Secrets are read when they are used, and stand in no message, no file and no `repr`.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from ingest.transports.fetch_errors import ExpiredCredentials, MissingCredentials, UnexpectedAnswer, Unreachable
from lake.base.http import SYSTEM_CLOCK, Answer, Clock, FailedTry, HeaderAuth, HttpClient

# A page may take a while: a token that ends within this time is not begun with.
SPARE_SECONDS = 300
# The longest that Google takes (developers.google.com/identity/protocols/oauth2/service-account).
_ASSERTION_SECONDS = 3600


@dataclass(frozen=True)
class Secret:
    """Where a secret is: in a variable, in a file, or in AWS Secrets Manager (`name`, or `name#key` of a JSON one).

    `what` says for people what it is.
    """

    name: str
    kind: Literal["env", "file", "aws"] = "env"
    what: str = "the API token"

    @property
    def setting(self) -> str:
        """What a person has to renew."""
        return {"env": self.name, "file": f"file {self.name}", "aws": f"AWS secret {self.name}"}[self.kind]

    @property
    def is_there(self) -> bool:
        """Whether this machine seems to have it; nothing is asked for."""
        if self.kind == "aws":
            return True
        return bool(os.environ.get(self.name)) if self.kind == "env" else Path(self.name).is_file()

    def read(self) -> str:
        """Return it. Raises MissingCredentials, which never shows what was found."""
        found = (self._of_aws() if self.kind == "aws" else self._here()).strip()
        if not found:
            raise MissingCredentials(f"{self.setting} is not set; set it to {self.what}")
        return found

    def hide(self, text: str) -> str:
        """Return `text` without it, should a server repeat it."""
        found = "" if self.kind == "aws" else self._here(silent=True).strip()
        return text.replace(found, "***") if found else text

    def _here(self, silent: bool = False) -> str:
        if self.kind == "env":
            return os.environ.get(self.name, "")
        try:
            return Path(self.name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            if silent:
                return ""
            why = getattr(problem, "strerror", None) or "it is no text"
            raise MissingCredentials(f"{self.setting} cannot be read: {why}; it should hold {self.what}") from None

    def _of_aws(self) -> str:
        from lake.storage import aws  # loads boto3, which most do without
        from lake.storage.store import AwsAccess

        name, _, key = self.name.partition("#")
        try:
            text = str(aws.client(AwsAccess(), "secretsmanager").get_secret_value(SecretId=name)["SecretString"])
            return str(json.loads(text)[key]) if key else text
        except Exception as problem:  # botocore's own, of any kind: a person has to look at the secret
            code = getattr(problem, "response", {}).get("Error", {}).get("Code") or type(problem).__name__
            raise MissingCredentials(
                f"{self.setting} cannot be read ({code}); allow secretsmanager:GetSecretValue, or correct its name"
            ) from None


class Authorization(Protocol):
    """What authorizes requests: `setting` is what a person has to renew when it is refused."""

    @property
    def setting(self) -> str:
        """Where the secret is, for people."""

    @property
    def auth(self) -> AuthBase:
        """What is put into each request. Raises FetchError when it is used and no secret is there."""

    def hide(self, text: str) -> str:
        """`text` without secrets."""

    def forget(self) -> bool:
        """Drop what was refused; whether another may be had without a person."""


@dataclass(frozen=True)
class Credentials:
    """A token, read when a request goes out; it goes into `field`.

    `secret` is where it is, or its variable's name; `scheme` the word before the token (none: the token alone).
    """

    secret: Secret | str
    scheme: str = ""
    field: str = "Authorization"

    @property
    def setting(self) -> str:
        """Where the token is."""
        return self._secret.setting

    @property
    def auth(self) -> AuthBase:
        """The header."""
        return HeaderAuth(self.field, self.header)

    def header(self) -> str:
        """The value of the header. Raises MissingCredentials, which never shows what was found."""
        return f"{self.scheme} {self._token()}".strip()

    def hide(self, text: str) -> str:
        """`text` with the token taken out, should a server repeat it."""
        return self._secret.hide(text)

    def forget(self) -> bool:
        """Only a person can renew it."""
        return False

    @property
    def _secret(self) -> Secret:
        return Secret(self.secret) if isinstance(self.secret, str) else self.secret

    def _token(self) -> str:
        token = self._secret.read()
        # requests would quote a value it cannot send in its own exception, so such a value never gets there.
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise MissingCredentials(
                f"{self.setting} holds characters that cannot stand in a header (a line break, a blank, a non-ASCII "
                "character); set it to the API token alone"
            )
        return token


@dataclass
class OAuthToken:
    """An access token, asked for when needed and kept until shortly before it ends (RFC 6749 section 5.1).

    `form` makes the request's fields from the secret; `basic` is a client's id whose secret goes as Basic credentials.
    """

    token_url: str
    secret: Secret
    form: Callable[[str], Mapping[str, str]]
    scheme: str = "Bearer"
    basic: str = ""
    clock: Clock = SYSTEM_CLOCK
    timeout_seconds: float = 60.0
    _token: str = field(default="", init=False, repr=False)
    _ends_at: float = field(default=0.0, init=False)

    @property
    def setting(self) -> str:
        """Where the secret is that tokens are asked for with."""
        return self.secret.setting

    @property
    def auth(self) -> AuthBase:
        """The header."""
        return HeaderAuth("Authorization", self.header)

    def header(self) -> str:
        """The value of the Authorization header. Raises FetchError when no token is given."""
        if not self._token or self.clock.now() >= self._ends_at:
            self._ask()
        return f"{self.scheme} {self._token}"

    def hide(self, text: str) -> str:
        """`text` without the token and the secret."""
        return self.secret.hide(text.replace(self._token, "***") if self._token else text)

    def forget(self) -> bool:
        """Ask for another token next time: this one was refused."""
        self._token = ""
        return True

    def _ask(self) -> None:
        answer = self._answer()
        try:
            given = json.loads(answer.body)
        except ValueError:
            given = {}
        given = given if isinstance(given, dict) else {}
        if answer.status in (400, 401, 403):
            words = self.hide(str(given.get("error_description") or given.get("error") or answer.status))
            said = (words.splitlines() or [""])[0][:200]
            raise ExpiredCredentials(f"{self.token_url}: no token: {said}; check {self.setting}")
        if answer.status >= 429:
            raise Unreachable(f"{self.token_url}: no token: status {answer.status}; run it again later")
        token, seconds = given.get("access_token"), given.get("expires_in", 3600)
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise UnexpectedAnswer(f"{self.token_url}: an answer without access_token and expires_in")
        self._token = token
        self._ends_at = self.clock.now() + max(seconds - SPARE_SECONDS, seconds / 2)

    def _answer(self) -> Answer:
        secret = self.secret.read()
        auth = HTTPBasicAuth(self.basic, secret) if self.basic else None
        with closing(HttpClient(timeout_seconds=self.timeout_seconds, clock=self.clock)) as client:
            try:
                return client.exchange("POST", self.token_url, data=dict(self.form(secret)), auth=auth)
            except FailedTry as failed:
                raise Unreachable(f"{self.token_url}: no token: {failed.reason}; run it again later") from None


def assertion(key: str, claims: Mapping[str, str], token_url: str, algorithm: str, now: float, setting: str) -> str:
    """Return a signed JWT for a token (RFC 7523 section 3). `key` is a PEM key, or the JSON of a service account's.

    Raises MissingCredentials when it is neither.
    """
    import jwt  # only service accounts sign

    try:
        account = json.loads(key) if key.lstrip().startswith("{") else {"private_key": key}
        made = {"aud": token_url, "iat": int(now), "exp": int(now) + _ASSERTION_SECONDS}
        if account.get("client_email"):
            made["iss"] = account["client_email"]
        headers = {"kid": account["private_key_id"]} if account.get("private_key_id") else None
        return jwt.encode({**made, **claims}, account["private_key"], algorithm, headers)
    except Exception as problem:  # what json, jwt and cryptography raise for a text that is no key
        raise MissingCredentials(
            f"{setting} holds no private key ({type(problem).__name__}); set it to a PEM key, or to the JSON of a"
            " service account's key file"
        ) from None


@dataclass(frozen=True)
class Signature(AuthBase):
    """Signs each request with HMAC over its parts, joined by line ends, and sends it as Basic credentials of `user`."""

    secret: Secret
    user: str
    algorithm: str
    parts: tuple[str, ...]
    clock: Clock = SYSTEM_CLOCK

    @property
    def setting(self) -> str:
        """Where the key is."""
        return self.secret.setting

    @property
    def auth(self) -> AuthBase:
        """Itself."""
        return self

    def hide(self, text: str) -> str:
        """`text` without the key."""
        return self.secret.hide(text)

    def forget(self) -> bool:
        """Only a person can renew it."""
        return False

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        url, date = urlsplit(str(request.url)), formatdate(self.clock.now(), usegmt=True).replace("GMT", "-0000")
        pairs = sorted(parse_qsl(url.query, keep_blank_values=True))
        held = {
            "date": date,
            "method": str(request.method),
            "host": (url.hostname or "") if url.port is None else f"{url.hostname}:{url.port}",
            "path": url.path,
            "params": "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs),
        }
        text = "\n".join(held[part] for part in self.parts)
        signed = hmac.new(self.secret.read().encode(), text.encode(), getattr(hashlib, self.algorithm)).hexdigest()
        request.headers["Date"] = date
        HTTPBasicAuth(self.user, signed)(request)
        return request
