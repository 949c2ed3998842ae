"""The settings of a source that follow from the declaration of its API."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from ingest.contracts.api import ApiDeclaration, ApiSetting, HmacAuth, JwtGrant, TokenAuth
from ingest.transports.addresses import checked_address
from ingest.transports.authorization import Secret

_STREAM = r"[A-Za-z0-9_.:-]+"


class ApiPlace(BaseModel):
    """The settings under `sources.<source>`: those of every API. What one declares comes on top.

    `tenants` are further entries by name, each with what differs from the settings beside it. `budget_share`: our part
    of the vendor's rate limit. An hour is left alone for `settle_seconds` after its end, and its window begins
    `overlap_seconds` before it. The rest is `ingest.transports.http.Patience`.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    SECRET: ClassVar[tuple[str, str]]  # what the settings call it, and what it is

    base_url: str
    limit: int
    budget_share: float = Field(default=0.5, gt=0, le=1)
    settle_seconds: int = Field(default=0, ge=0, le=86_400)
    overlap_seconds: int = Field(default=0, ge=0, le=604_800)
    retention_days: float = Field(default=90, gt=0, le=36_500)
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    page_seconds: float = Field(default=300.0, gt=0, le=86_400)
    max_attempts: int = Field(default=6, ge=1, le=100)
    max_wait_seconds: float = Field(default=300.0, ge=0, le=86_400)
    backoff_seconds: float = Field(default=1.0, ge=0, le=3600)
    scheme: str = ""
    token_url: str = ""
    streams: list[str] = []
    tenants: dict[str, Any] = {}
    wrong_tenants: dict[str, str] = Field(default={}, exclude=True)  # no setting: what is wrong with some, by name

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return checked_address(url)

    @field_validator("token_url")
    @classmethod
    def _an_address_with_a_path(cls, url: str) -> str:
        if url:
            checked_address(re.sub(r"\{\w+\}", "x", url), may_have_path=True)
        return url

    @field_validator("streams")
    @classmethod
    def _names(cls, streams: list[str]) -> list[str]:
        if wrong := next((each for each in streams if not re.fullmatch(_STREAM, each)), None):
            raise ValueError(f"{wrong!r}: expected the vendor's name of a stream")
        return list(dict.fromkeys(streams))

    @model_validator(mode="before")
    @classmethod
    def _each_tenant(cls, given: Any) -> Any:
        """Make each tenant a place of its own; what is missing beside them then stands in the first one."""
        if not isinstance(given, dict) or not (tenants := given.get("tenants")):
            return given
        shared = {name: value for name, value in given.items() if name not in ("tenants", "wrong_tenants")}
        if not isinstance(tenants, dict) or not all(isinstance(each, dict) for each in tenants.values()):
            raise ValueError("tenants: expected names with settings under each")
        made, wrong = dict[str, Any](), dict[str, str]()
        for name, own in tenants.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) or "tenants" in own:
                raise ValueError(
                    f"tenants: {name!r}: expected a name of letters, digits, - and _, and no tenants below"
                )
            try:
                made[str(name)] = cls.model_validate({**shared, **own})
            except ValidationError as problem:  # one that cannot be used stops no other
                wrong[str(name)] = f"tenants.{name}.{_said(problem)}"
        if not made:
            raise ValueError("; ".join(wrong.values()))
        return {**tenants[next(iter(made))], **shared, "tenants": made, "wrong_tenants": wrong}

    @property
    def address(self) -> str:
        """Return where it is read from."""
        return ", ".join(dict.fromkeys(each.base_url for each in (*self.tenants.values(), self)))

    @property
    def settle(self) -> timedelta:
        """Return how long after its end an arrival hour is left alone."""
        return timedelta(seconds=self.settle_seconds)

    @property
    def overlap(self) -> timedelta:
        """Return how far before an hour its window begins."""
        return timedelta(seconds=self.overlap_seconds)

    @property
    def retention(self) -> timedelta:
        """Return how long the vendor keeps events."""
        return timedelta(days=self.retention_days)

    @property
    def streams_asked(self) -> list[str]:
        """Return the streams, one without a name where the API has none."""
        return self.streams or [""]

    @property
    def given(self) -> dict[str, str]:
        """Return the settings that templates may name."""
        return {name: str(value) for name, value in self if isinstance(value, str | int | float)}

    @property
    def secret(self) -> Secret:
        """Return where the secret is."""
        name, what = self.SECRET
        for kind in ("file", "aws"):
            if found := getattr(self, f"{name}_{kind}"):
                return Secret(found, kind, what)
        return Secret(getattr(self, f"{name}_env"), "env", what)

    @property
    def lacking(self) -> str:
        """Return what to do when a secret is not there, else ""."""
        missing = [each.secret for each in (self.tenants.values() or [self]) if not each.secret.is_there]
        told = [*self.wrong_tenants.values(), *(f"put {each.what} into {each.setting}" for each in missing)]
        return "; ".join(dict.fromkeys(told))


def place_model(api: ApiDeclaration) -> type[ApiPlace]:
    """Return the model of the settings of a source whose contract declares this."""
    auth, name = api.auth, secret_name(api)
    fields: dict[str, Any] = {
        "base_url": (str, api.base_url or ...),
        "limit": (int, Field(default=api.limit, ge=1, le=api.limit)),
        "budget_share": (float, Field(default=api.rate.share, gt=0, le=1)),
        "settle_seconds": (int, Field(default=int(api.settle.total_seconds()), ge=0, le=86_400)),
        "overlap_seconds": (int, Field(default=int(api.overlap.total_seconds()), ge=0, le=604_800)),
        "retention_days": (float, Field(default=api.retention / timedelta(days=1), gt=0, le=36_500)),
        f"{name}_env": (str, auth.secret),
        f"{name}_file": (str, ""),
        f"{name}_aws": (str, ""),
    }
    for setting, declared in api.settings.items():
        default = ... if declared.default is None else declared.default
        fields[setting] = (Annotated[str, AfterValidator(_fits(declared))], default)
    if isinstance(auth, TokenAuth):
        fields["scheme"] = (Literal[auth.schemes], auth.schemes[0])
    elif not isinstance(auth, HmacAuth):
        fields["token_url"] = (str, auth.token_url)
    if api.streams:
        fields["streams"] = (list[str], Field(default=list(api.streams), min_length=1))
    model = create_model("Place", __base__=ApiPlace, **fields)
    model.SECRET = (name, auth.what)
    return model


def _fits(declared: ApiSetting) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(declared.pattern, value):
            raise ValueError(f"expected {declared.description}, found {value!r}")
        return value

    return check


def _said(problem: ValidationError) -> str:
    first = problem.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def secret_name(api: ApiDeclaration) -> str:
    """Return what the settings call the secret; `_env`, `_file` or `_aws` behind it says where it is."""
    if isinstance(api.auth, TokenAuth):
        return "token"
    if isinstance(api.auth, JwtGrant):
        return "key"
    return "refresh_token" if getattr(api.auth, "grant", "") == "refresh_token" else "client_secret"


def example_of(api: ApiDeclaration) -> str:
    """Return what a message shows of the settings: those that must be given, else where the secret is."""
    wanted = {} if api.base_url else {"base_url": api.base_url_example or "https://<host>"}
    wanted |= {name: each.example or f"<{name}>" for name, each in api.settings.items() if each.default is None}
    shown = wanted or {f"{secret_name(api)}_env": api.auth.secret}
    return ", ".join(f"{name}: {value}" for name, value in shown.items())
