"""A session with Snowflake by its own client, which is imported when it is used: login, statements, errors."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from lake.export.destination import LOOPBACK, secret_of
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused

_LOGIN_SECONDS, _CONNECT_SECONDS, _ATTEMPT_SECONDS, _LOGOUT_SECONDS = 120, 30, 300, 10

# Snowflake's codes, by what to do about them. 390xxx are of logging in, except of sessions that ended.
_NOT_THERE = 2003
_ENDED = {390111: "the session ended", 390112: "the session ended", 390104: "the session ended"}
_DENIED = {
    606: "name a `warehouse` in the settings that the role may use",
    _NOT_THERE: "make it, or grant the role what is missing on it",
    2043: "make it, or grant the role what is missing on it",
    3001: "grant the role what is missing",
    3540: "grant the role what is missing",
    90105: "the `database` of the settings does not exist, or the role may not use it",
    90106: "the `schema` of the settings does not exist, or the role may not use it",
}
_UNAVAILABLE = {
    603: "Snowflake failed by itself; push again",
    604: "the statement was cancelled; push again",
    625: "another transaction holds the table; push again when it has ended",
    630: "give it more time (`timeout_seconds`), or a larger warehouse",
    666: "the account's warehouses are suspended; its administrator can tell",
    90073: "the warehouse's quota is used up; its administrator can raise it",
}
_DATA = range(100_000, 101_000)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Snowflake is and who asks. Exactly one of `private_key_file`, `password_env`, `token_env` is given.

    `host` is for PrivateLink (`<account>.privatelink.snowflakecomputing.com`) and counterparts. A statement may take
    `timeout_seconds`, its retries included, and a request is made `attempts` times at most.
    """

    account: str
    user: str
    database: str
    schema: str
    warehouse: str | None = None
    role: str | None = None
    private_key_file: str | None = None
    private_key_passphrase_env: str | None = None
    password_env: str | None = None
    token_env: str | None = None
    token_type: Literal["oauth", "programmatic_access_token"] = "oauth"
    host: str | None = None
    port: int | None = None
    protocol: Literal["https", "http"] = "https"
    timeout_seconds: int = 1800
    attempts: int = 6

    def __post_init__(self) -> None:
        """Refuse what cannot work, or would send a secret in the clear."""
        given = [each for each in (self.private_key_file, self.password_env, self.token_env) if each]
        if len(given) != 1:
            raise ValueError("expected exactly one of private_key_file, password_env, token_env")
        if self.protocol == "http" and self.host not in LOOPBACK:
            raise ValueError("http is for counterparts on this machine; expected https")
        if self.timeout_seconds < 1 or self.attempts < 1:
            raise ValueError("timeout_seconds and attempts are at least 1")


class Session:
    """An open session; `queries` are Snowflake's ids of what was sent, by its first word."""

    def __init__(self, connection: Any, name: str) -> None:
        self._connection, self._name = connection, name
        self.queries: dict[str, str] = {}

    def run(self, statement: str, doing: str) -> list[tuple[Any, ...]]:
        """Send a statement and return its rows. Raises ExportError, which says what was being done."""
        try:
            return self._run(statement)
        except _client().Error as problem:
            raise error_of(problem, self._name, doing) from None

    def run_unless_missing(self, statement: str, doing: str) -> list[tuple[Any, ...]] | None:
        """Send a statement and return its rows; None if what it names is not there, or not for the role to see."""
        try:
            return self._run(statement)
        except _client().Error as problem:
            if problem.errno == _NOT_THERE:
                return None
            raise error_of(problem, self._name, doing) from None

    def _run(self, statement: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            if cursor.sfqid:
                self.queries[statement.split(maxsplit=1)[0].lower()] = str(cursor.sfqid)
            return list(cursor.fetchall())


@contextmanager
def session(name: str, options: Options, parameters: Mapping[str, Any]) -> Iterator[Session]:
    """Log in, and out at the end: what was not committed is rolled back, temporary tables are gone.

    Raises:
        ExportError: the client is not installed.
        DestinationDenied: the credentials are missing or not taken.
        DestinationUnavailable: Snowflake does not answer.
    """
    client = _client()
    given = _login(name, options)  # apart from connecting: its own errors are no answer of Snowflake's
    try:
        connection = client.connect(**given, session_parameters=dict(parameters))
    except client.Error as problem:
        raise error_of(problem, name, f"logging in to {options.account} as {options.user}") from None
    try:
        yield Session(connection, name)
    finally:
        with suppress(client.Error):  # a session that cannot be ended now ends by itself
            connection.close(retry=False)


def _client() -> Any:
    # What it plans for later versions is nothing to those who export.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"snowflake\.connector")
    try:
        import snowflake.connector
    except ImportError:
        raise ExportError(
            "Snowflake's client is not installed: install Headwater with the extra `snowflake`"
            " (pip install 'headwater[snowflake]')"
        ) from None
    # It warns at every login that it looks for a proxy in the environment; its errors are raised as well.
    logging.getLogger("snowflake.connector._core").setLevel(logging.ERROR)
    return snowflake.connector


def _login(name: str, options: Options) -> dict[str, Any]:
    seconds = options.timeout_seconds
    given: dict[str, Any] = {
        **{key: getattr(options, key) for key in ("account", "user", "database", "schema", "warehouse", "role")},
        **{key: getattr(options, key) for key in ("host", "port")},
        "protocol": options.protocol,
        "application": "Headwater",
        "login_timeout": min(_LOGIN_SECONDS, seconds),
        "connect_timeout": min(_CONNECT_SECONDS, seconds),
        "query_timeout": seconds,
        "request_timeout": min(_LOGIN_SECONDS, seconds),
        "retry_timeout": min(_ATTEMPT_SECONDS, seconds),
        "retry_max_attempts": options.attempts,
        "put_get_max_attempts": options.attempts,
        "logout_total_timeout_seconds": _LOGOUT_SECONDS,
        "enable_server_session_keep_alive_auto_detection": False,
        "client_store_temporary_credential": False,
        **_credentials(name, options),
    }
    return {key: value for key, value in given.items() if value is not None}


def _credentials(name: str, options: Options) -> dict[str, Any]:
    if options.password_env:
        return {"password": secret_of(options.password_env, f"destinations.{name}")}
    if options.token_env:
        return {
            "token": secret_of(options.token_env, f"destinations.{name}"),
            "authenticator": options.token_type.upper(),
        }
    return {"private_key": _private_key(name, options), "authenticator": "SNOWFLAKE_JWT"}


def _private_key(name: str, options: Options) -> bytes:
    """Return the private key (PKCS#8, DER). Raises DestinationDenied, without a word of the key."""
    from cryptography.hazmat.primitives import serialization

    variable = options.private_key_passphrase_env
    passphrase = secret_of(variable, f"destinations.{name}").encode() if variable else None
    path = Path(options.private_key_file or "").expanduser()
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as problem:
        raise DestinationDenied(f"destinations.{name}: private_key_file {path}: {problem.strerror}") from None
    except (ValueError, TypeError):
        told = f"or the passphrase in {variable} is not its own" if variable else "or needs a passphrase"
        raise DestinationDenied(
            f"destinations.{name}: private_key_file {path} is no private key in PEM, {told}"
            " (private_key_passphrase_env names the variable that holds it)"
        ) from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def error_of(problem: Any, name: str, doing: str) -> ExportError:
    """Return what an error of Snowflake's client means, with its own code and words."""
    code = problem.errno if isinstance(problem.errno, int) else -1
    words = " ".join(str(problem.raw_msg or problem).split())[:400]
    query = f" (query {problem.sfqid})" if problem.sfqid else ""
    told = f"{name}: {doing}: Snowflake says {code:06d}: {words}{query}"
    if code in _DENIED:
        return DestinationDenied(f"{told}. What to do: {_DENIED[code]}")
    if code in _ENDED or code in _UNAVAILABLE:
        return DestinationUnavailable(f"{told}. {_ENDED.get(code, '') or _UNAVAILABLE[code]}".rstrip(". ") + ".")
    if 390_000 <= code < 391_000:
        return DestinationDenied(f"{told}. What to do: check user, role and credential, and renew what has expired")
    if code in _DATA:
        return RowsRefused(f"{told}. The rows are in the lake; nothing of the hour was changed in Snowflake")
    if _is_transport(problem, code):
        if "error status: 40" in words:
            return DestinationDenied(f"{told}. What to do: check `account` and `host`")
        return DestinationUnavailable(f"{told}. Push again when it answers")
    return RowsRefused(told)


def _is_transport(problem: Any, code: int) -> bool:
    client = _client()
    return code == 250001 or isinstance(problem, client.OperationalError | client.InternalError)
