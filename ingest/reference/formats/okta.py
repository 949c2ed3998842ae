"""Okta: users → identities, with the groups they are in, over the Users and Groups APIs.

Groups are asked for their members, for a user does not name its groups; `Everyone` is passed over. Users of status
DEPROVISIONED are listed only when asked for, so they are. An account is privileged when it has a role of
administrators, or a group of it is declared so.

Facts: developer.okta.com/docs/api (Users: `limit` up to 200, `filter`, statuses STAGED, PROVISIONED, ACTIVE, RECOVERY,
LOCKED_OUT, PASSWORD_EXPIRED, SUSPENDED, DEPROVISIONED; Groups: `limit` up to 10,000, members up to 1,000), pages by
`Link`; users with role assignments: /iam/assignees/users, an object with `value` and `_links.next`),
/docs/reference/rl-best-practices (headers, 429), /docs/reference/error-codes. Scopes: okta.users.read,
okta.groups.read, okta.roles.read.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, field_validator

from ingest.reference.apis.options import ApiOptions, pages
from ingest.reference.formats import Mode, Source
from ingest.reference.reading.values import moment, text, texts
from ingest.reference.tables import IDENTITIES, Entry, Reject
from ingest.transports.addresses import checked_address
from ingest.transports.authorization import Credentials
from ingest.transports.fetch_errors import AccessDenied, UnexpectedAnswer
from ingest.transports.http import HttpPoller, Paging
from ingest.transports.rate_budget import RateBudget
from lake.base.http import SYSTEM_CLOCK, Clock

TABLES = (IDENTITIES,)
MODE: Mode = "full"
READS = "api"

_USERS, _GROUPS, _ADMINS = "/api/v1/users", "/api/v1/groups", "/api/v1/iam/assignees/users"


class Options(ApiOptions):
    """`base_url`: https://<org>.okta.com; `token_env`: the variable with the token; `scheme`: SSWS or Bearer (OAuth).

    `groups`: patterns of the names of groups whose members are asked for; `privileged_groups`: patterns of those that
    make an account privileged (asked for in any case). `admins`: whether roles of administrators are asked for, which
    takes the right to read them. `budget_share`: our share of the API's rate limit.
    """

    base_url: str
    token_env: str = "HEADWATER_OKTA_TOKEN"
    scheme: Literal["SSWS", "Bearer"] = "SSWS"
    groups: list[str] = Field(default=["*"])
    privileged_groups: list[str] = Field(default=[])
    admins: bool = True
    deprovisioned: bool = True
    limit: int = Field(default=200, ge=1, le=200)
    budget_share: float = Field(default=0.5, gt=0, le=1)

    @field_validator("base_url")
    @classmethod
    def _one_host(cls, url: str) -> str:
        return checked_address(url)


def read(source: Source, options: Options, clock: Clock = SYSTEM_CLOCK) -> Iterator[Entry | Reject]:
    """Yield an entry for each user. Raises FetchError before the first one when an answer is missing."""
    cursor = HttpPoller(
        credentials=Credentials(options.token_env, options.scheme),
        budget=RateBudget(options.budget_share, clock),
        patience=options.patience,
        clock=clock,
        explain=_error_words,
        always_links=True,
    )
    groups = _members(source, options, cursor)
    admins = _admins(options, cursor) if options.admins else frozenset()
    for user in _users(options, cursor):
        try:
            yield _entry(user, groups, admins, options)
        except ValueError as error:
            yield Reject(str(user)[:200], str(user.get("id") if isinstance(user, dict) else "user"), str(error))


def _users(options: Options, cursor: HttpPoller) -> list[Any]:
    """All users: the whole list comes first, so that a failure in the middle yields none."""
    params = {"limit": str(options.limit)}
    found = [user for page in pages(cursor, options.base_url + _USERS, params) for user in page]
    if options.deprovisioned:
        gone = params | {"filter": 'status eq "DEPROVISIONED"'}
        found += [user for page in pages(cursor, options.base_url + _USERS, gone) for user in page]
    return found


def _admins(options: Options, cursor: HttpPoller) -> frozenset[str]:
    """The ids of all users with a role of administrators."""
    asking = replace(cursor, always_links=False, paging=Paging(_next_of_roles, (b"{", b"}")))
    found: set[str] = set()
    try:
        for page in pages(asking, options.base_url + _ADMINS, {"limit": "100"}):
            found.update(_id(each) for each in page.get("value") or ())
    except AccessDenied as refused:
        raise AccessDenied(f"{refused}; or set `admins: false`") from None
    return frozenset(found)


def _next_of_roles(_: str, headers: Mapping[str, str], body: bytes) -> str | None:
    link = (json.loads(body).get("_links") or {}).get("next") or {}
    return str(link["href"]) if link.get("href") else None


def _members(source: Source, options: Options, cursor: HttpPoller) -> Mapping[str, list[str]]:
    """User id → names of the groups that were asked for."""
    found: dict[str, list[str]] = defaultdict(list)
    for page in pages(cursor, options.base_url + _GROUPS, {"limit": "1000"}):
        for group in page:
            name, wanted = _group(group), [*options.groups, *options.privileged_groups]
            if group.get("type") == "BUILT_IN" or not any(_like(name, pattern) for pattern in wanted):
                source.skipped["group"] += 1
                continue
            url = f"{options.base_url}{_GROUPS}/{group['id']}/users"
            for members in pages(cursor, url, {"limit": "1000"}):
                for member in members:
                    found[_id(member)].append(name)
    return found


def _group(group: Any) -> str:
    profile = group.get("profile") if isinstance(group, dict) else None
    if not isinstance(profile, dict) or not isinstance(group.get("id"), str) or not group["id"].isalnum():
        raise UnexpectedAnswer(f"{_GROUPS}: a group without id or profile: {str(group)[:100]}")
    return str(profile.get("name") or "")


def _id(item: Any) -> str:
    if not isinstance(item, dict) or not item.get("id"):
        raise UnexpectedAnswer(f"an item without id: {str(item)[:100]}")
    return str(item["id"])


def _like(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _entry(user: Any, groups: Mapping[str, list[str]], admins: frozenset[str], options: Options) -> Entry:
    profile = user.get("profile") if isinstance(user, dict) else None
    if not isinstance(profile, dict) or not user.get("id"):
        raise ValueError("a user without id or profile")
    uid, login = str(user["id"]), text(profile.get("login")) or ""
    status = str(user.get("status") or "").lower()
    names = sorted(groups.get(uid, ()))
    full_name = text(profile.get("displayName")) or " ".join(texts([profile.get("firstName"), profile.get("lastName")]))
    payload = {
        "uid": uid,
        "username": login,
        "full_name": full_name or None,
        "emails": texts([str(profile[name]).lower() for name in ("email", "secondEmail") if profile.get(name)]),
        "uids": texts([uid, profile.get("employeeNumber")]),
        "usernames": texts([login.partition("@")[0]]),
        "domain": login.partition("@")[2] or None,
        "title": text(profile.get("title")),
        "department": text(profile.get("department")),
        "manager": text(profile.get("manager")) or text(profile.get("managerId")),
        "employment_type": text(profile.get("userType")),
        "is_privileged": uid in admins
        or any(_like(name, pattern) for name in names for pattern in options.privileged_groups),
        "groups": names,
        "office": text(profile.get("city")),
        "status": status,
        "left_at": moment(user.get("statusChanged")) if status == "deprovisioned" else None,
    }
    return Entry(
        uid,
        {name: value for name, value in payload.items() if value is not None},
        valid_from=moment(user.get("created")),
    )


def _error_words(body: bytes) -> str:
    try:
        error = json.loads(body)
        return f"{error['errorCode']}: {error['errorSummary']}"[:200]
    except (ValueError, KeyError, TypeError):
        return ""
