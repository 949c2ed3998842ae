"""What a contract's `api` declares: how an HTTP API is asked for what happened between two times.

Values of `path`, `params`, `body`, `token_url` and the like are templates: `{from}` and `{until}` are the window,
`{stream}` is one of `streams`, every other name is a setting of the source. ingest/transports/README.md has them all.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from string import Formatter
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ingest.contracts.fields import Place, duration_text

WINDOW: Final = ("from", "until", "stream")
# What settings have of themselves: see ingest/transports/declared.py.
_OWN: Final = frozenset(
    {"base_url", "token_url", "scheme", "limit", "streams", "tenants"}
    | {"budget_share", "settle_seconds", "overlap_seconds", "retention_days"}
    | {"timeout_seconds", "page_seconds", "max_attempts", "max_wait_seconds", "backoff_seconds"}
)

Span = Annotated[timedelta, BeforeValidator(lambda text: timedelta(0) if text == 0 else duration_text(text))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApiSetting(_Part):
    """A setting that templates name. Without a `default` it must be given; `example` is what messages show."""

    description: str
    example: str = ""
    default: str | None = None
    pattern: str = r"[^\s/?#&]+"


class _Secret(_Part):
    secret: str  # the environment variable that holds it, if the settings say nothing else
    what: str = "the API token"


class TokenAuth(_Secret):
    """A token in a header, behind one of `schemes`; an empty scheme is none."""

    kind: Literal["token"]
    header: str = "Authorization"
    schemes: tuple[str, ...] = ("Bearer",)


class ClientCredentials(_Secret):
    """OAuth 2.0 client credentials or a refresh token (RFC 6749 sections 4.4 and 6): a POST that gives a token.

    `secret` is the client's, or with `grant: refresh_token` the refresh token; `form` are further fields of the
    request, and `basic` sends the client's id and secret as Basic credentials.
    """

    kind: Literal["oauth"]
    token_url: str
    grant: Literal["client_credentials", "refresh_token"] = "client_credentials"
    form: Mapping[str, str] = {}
    basic: bool = False
    scheme: str = "Bearer"


class JwtGrant(_Secret):
    """A signed assertion for a token (RFC 7523), as service accounts have.

    `secret` is a PEM key, or a JSON key file with `private_key`, `private_key_id`, `client_email` and `token_uri`;
    `claims` are set over those that follow from it (`iss`, `aud`, `iat`, `exp`).
    """

    kind: Literal["jwt"]
    token_url: str
    claims: Mapping[str, str] = {}
    algorithm: str = "RS256"
    scheme: str = "Bearer"


SignedPart = Literal["date", "method", "host", "path", "params"]


class HmacAuth(_Secret):
    """Each request is signed with HMAC over `parts`, joined by line ends; sent as Basic credentials of `user`.

    Parts are date (RFC 2822), method, host, path, params (sorted, RFC 3986); the date travels in the Date header.
    """

    kind: Literal["hmac"]
    user: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha1"
    parts: tuple[Literal["date", "method", "host", "path", "params"], ...] = (
        "date",
        "method",
        "host",
        "path",
        "params",
    )


Auth = Annotated[TokenAuth | ClientCredentials | JwtGrant | HmacAuth, Field(discriminator="kind")]


class TimeFilter(_Part):
    """How `{from}` and `{until}` are written, and which of the two instants the vendor's filter takes in.

    `utc_seconds` is RFC 3339 without its zone, which is UTC. Times are whole `unit`s. A filter that takes its end in
    (`ends: inclusive`) is given an end one unit earlier, one that leaves its begin out (`starts: exclusive`) a begin
    one unit earlier: windows share no instant and lose none.
    """

    format: Literal["rfc3339", "rfc3339_millis", "utc_seconds", "epoch_seconds", "epoch_millis"]
    starts: Literal["inclusive", "exclusive"] = "inclusive"
    ends: Literal["exclusive", "inclusive"] = "exclusive"

    @property
    def unit(self) -> timedelta:
        """The smallest step of the format."""
        return timedelta(milliseconds=1) if self.format.endswith("millis") else timedelta(seconds=1)


class PagingBy(_Part):
    """How one page leads to the next.

    `link`: the Link header (`always`: every page has one); `header`: a header named `at` holds the address. `next_url`:
    the address stands in the body at `at`. `cursor`: what stands at `at` becomes parameter `param` (a list joined by
    commas); with `more` at a path, its false ends; `alone` posts nothing but the cursor. `offset` and `page` count
    records and pages in `param`, from `first`, until a page has fewer than `limit` records. `time`: a full page leads
    to the time at `at` of its last record. `none`: one page is all.
    """

    kind: Literal["none", "link", "header", "next_url", "cursor", "offset", "page", "time"]
    at: str = ""
    param: str = ""
    more: str = ""
    alone: bool = False
    always: bool = False
    first: int = 0

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "PagingBy":
        for name in {"header": ("at",), "next_url": ("at",), "cursor": ("at", "param"), "time": ("at",)}.get(
            self.kind, ("param",) if self.kind in ("offset", "page") else ()
        ):
            if not getattr(self, name):
                raise ValueError(f"{self.kind} needs {name}")
        return self


class Rate(_Part):
    """What the vendor allows: by three headers, or `requests` in every span of `per`; `share` of it is ours.

    `throttled` are words of an error's code that mean the same as 429.
    """

    limit: str = ""
    remaining: str = ""
    reset: str = ""
    requests: int | None = Field(default=None, ge=1)
    per: Span = timedelta(minutes=1)
    share: float = Field(default=0.5, gt=0, le=1)
    throttled: tuple[str, ...] = ()


class Blobs(_Part):
    """The records of a page are only a list: `uri` is where each one's records lie, `id` what tells two apart.

    Content that is gone meanwhile is answered with 404 or 410, or with one of the words in `expired`.
    """

    uri: str
    id: str
    expired: tuple[str, ...] = ()


class Start(_Part):
    """A POST to `path` that has to come first: sent when the answer's error code is `when`, then it is asked again."""

    path: str
    when: str


class ApiDeclaration(_Part):
    """How a source's API is asked. Paths into answers are dotted; "" is the whole answer.

    `records` is where the records lie in a page, or that by stream; `optional_records`: a page without that key is an
    empty one. `limit` is the largest page, in the parameter that says `{limit}`. `errors` are paths of an error
    answer's words. `settle` is how long after its end an hour is left alone, `overlap` how far before it a window
    begins, `sweep` how long after its end it is asked for once more, `retention` how long the vendor keeps events.
    `split_at`: a window with as many records is cut by the vendor, so it is asked for in halves. `scopes` are what the
    credential may have to do.
    """

    base_url: str
    base_url_example: str = ""
    path: str
    method: Literal["GET", "POST"] = "GET"
    params: Mapping[str, str] = {}
    body: Mapping[str, Any] = {}
    auth: Auth
    time: TimeFilter
    paging: PagingBy
    records: str | Mapping[str, str] = ""
    optional_records: bool = False
    limit: int = Field(default=1000, ge=1)
    streams: tuple[str, ...] = ()
    settings: Mapping[str, ApiSetting] = {}
    errors: tuple[str, ...] = ()
    rate: Rate = Rate()
    settle: Span = timedelta(minutes=5)
    overlap: Span = timedelta(0)
    sweep: Span = timedelta(0)
    retention: Span = timedelta(days=90)
    split_at: int | None = Field(default=None, ge=1)
    blobs: Blobs | None = None
    start: Start | None = None
    scopes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> "ApiDeclaration":
        if own := _OWN.intersection(self.settings):
            raise ValueError(f"settings: {min(own)} is a setting of every API")
        known = {*WINDOW, "limit", "base_url", *self.settings}
        for where, template in self._templates():
            try:
                names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
            except ValueError as error:
                raise ValueError(f"{where}: {template!r} is no template: {error}") from None
            if unknown := next((name for name in names if name not in known), None):
                raise ValueError(f"{where}: {{{unknown}}} is neither a setting nor one of {', '.join(WINDOW)}, limit")
            if "stream" in names and not self.streams:
                raise ValueError(f"{where}: {{stream}} needs streams")
        if not any("{from}" in template for _, template in self._templates()):
            raise ValueError("params: {from} stands nowhere, so no window can be asked for")
        if self.paging.kind in ("offset", "page", "time") and not any(
            "{limit}" in each for _, each in self._templates()
        ):
            raise ValueError(f"params: {{limit}} stands nowhere, and paging by {self.paging.kind} counts by it")
        return self

    def _templates(self) -> Iterator[tuple[str, str]]:
        yield "base_url", self.base_url
        yield "path", self.path
        yield from ((f"params.{name}", text) for name, text in self.params.items())
        yield from ((f"body.{name}", text) for name, text in self.body.items() if isinstance(text, str))
        for name, value in self.auth:
            for text in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(text, str) and "{" in text:
                    yield f"auth.{name}", text
        if self.start is not None:
            yield "start.path", self.start.path


def read_api(found: Mapping[str, Any], place: Place) -> ApiDeclaration:
    """Return what a contract declares. Raises ContractError, which names the key."""
    try:
        return ApiDeclaration.model_validate(found)
    except ValidationError as problem:
        first = problem.errors()[0]
        kinds = ("token", "oauth", "jwt", "hmac")  # pydantic puts the kind that was chosen into the place
        steps = [str(step) for at, step in enumerate(first["loc"]) if not (at == 1 and step in kinds)]
        said = re.sub(r"^Value error, ", "", first["msg"])
        raise place.at(".".join((place.field, *steps))).error(said) from None
