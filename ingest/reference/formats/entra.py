"""Microsoft Entra ID over Microsoft Graph: users → identities with groups and roles, devices → assets.

Groups are asked for their members, nested ones as well (`transitiveMembers`), directory roles for theirs. An account is
privileged when it has a role of `PRIVILEGED_ROLES`, or is in a group that is declared so.

Facts: learn.microsoft.com/graph (api/user-list, group-list-transitivemembers, directoryrole-list-members, device-list;
paging: `@odata.nextLink`; throttling: 429 with Retry-After; `$expand=manager` gives at most 100 users a page) and
/entra/identity/role-based-access-control/privileged-roles-permissions. Application permissions User.Read.All,
GroupMember.Read.All, RoleManagement.Read.Directory, Device.Read.All.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator

from ingest.reference.apis.graph import Graph, graph_token
from ingest.reference.apis.options import ApiOptions
from ingest.reference.formats import Mode, Source
from ingest.reference.reading.values import moment, text, texts
from ingest.reference.tables import ASSETS, IDENTITIES, Entry, Reject
from ingest.transports.addresses import checked_address
from ingest.transports.fetch_errors import UnexpectedAnswer
from lake.base.http import SYSTEM_CLOCK, Clock

TABLES = (IDENTITIES, ASSETS)
MODE: Mode = "full"
READS = "api"

PRIVILEGED_ROLES = frozenset(
    {
        "Application Administrator",
        "Authentication Administrator",
        "Cloud Application Administrator",
        "Cloud Device Administrator",
        "Conditional Access Administrator",
        "Domain Name Administrator",
        "Exchange Administrator",
        "Global Administrator",
        "Global Reader",
        "Helpdesk Administrator",
        "Hybrid Identity Administrator",
        "Intune Administrator",
        "Password Administrator",
        "Privileged Authentication Administrator",
        "Privileged Role Administrator",
        "Security Administrator",
        "SharePoint Administrator",
        "User Administrator",
    }
)
_USER_FIELDS = (
    "id,userPrincipalName,displayName,mail,otherMails,proxyAddresses,jobTitle,department,officeLocation,employeeId,"
    "employeeType,employeeHireDate,accountEnabled,createdDateTime,userType,securityIdentifier,"
    "onPremisesSamAccountName,onPremisesDomainName,onPremisesSecurityIdentifier"
)
_DEVICE_FIELDS = (
    "id,deviceId,displayName,operatingSystem,operatingSystemVersion,accountEnabled,trustType,isManaged,isCompliant,"
    "manufacturer,model,registrationDateTime"
)


class Options(ApiOptions):
    """`tenant`: its id or domain; `client_id`: the application; `client_secret_env`: the variable with its secret.

    `groups`: patterns of the names of groups whose members are asked for, `privileged_groups` of those that make an
    account privileged (asked for in any case), `roles`: whether directory roles are. `base_url`, `login_url`: of other
    clouds (graph.microsoft.us, login.microsoftonline.us).
    """

    tenant: str = Field(pattern=r"^[A-Za-z0-9.-]+$")
    client_id: str
    client_secret_env: str = "HEADWATER_ENTRA_CLIENT_SECRET"
    base_url: str = "https://graph.microsoft.com"
    login_url: str = "https://login.microsoftonline.com"
    groups: list[str] = Field(default=["*"])
    privileged_groups: list[str] = Field(default=[])
    roles: bool = True

    @field_validator("base_url", "login_url")
    @classmethod
    def _one_host(cls, url: str) -> str:
        return checked_address(url)


def read(source: Source, options: Options, clock: Clock = SYSTEM_CLOCK) -> Iterator[Entry | Reject]:
    """Yield an entry for each user or device. Raises FetchError before the first one when an answer is missing."""
    token = graph_token(
        f"{options.login_url}/{options.tenant}/oauth2/v2.0/token",
        options.client_id,
        options.client_secret_env,
        f"{options.base_url}/.default",
        clock,
        options.timeout_seconds,
    )
    graph = Graph(f"{options.base_url}/v1.0", token, options.patience, clock)
    members: Mapping[str, list[str]] = {}
    if source.table == ASSETS:
        params = {"$select": _DEVICE_FIELDS, "$expand": "registeredOwners($select=displayName,userPrincipalName)"}
        found = graph.all_of("/devices", params | {"$top": "999"})
    else:
        members = _members(source, options, graph)
        params = {"$select": _USER_FIELDS, "$expand": "manager($select=displayName,userPrincipalName)"}
        found = graph.all_of("/users", params | {"$top": "100"})
    for item in found:
        try:
            yield _device(item) if source.table == ASSETS else _user(item, members, options)
        except ValueError as error:
            yield Reject(str(item)[:200], str(item.get("id") if isinstance(item, dict) else "object"), str(error))


def _members(source: Source, options: Options, graph: Graph) -> dict[str, list[str]]:
    """User id → names of groups and roles; roles stand as `role: <name>`."""
    found: dict[str, list[str]] = defaultdict(list)
    wanted = [*options.groups, *options.privileged_groups]
    for group in graph.all_of("/groups", {"$select": "id,displayName", "$top": "999"}):
        uid, name = _id(group), str(group.get("displayName") or "")
        if not any(_like(name, pattern) for pattern in wanted):
            source.skipped["group"] += 1
            continue
        path = f"/groups/{uid}/transitiveMembers/microsoft.graph.user"
        for member in graph.all_of(path, {"$select": "id", "$top": "999"}):
            found[_id(member)].append(name)
    for role in graph.all_of("/directoryRoles", {"$select": "id,displayName"}) if options.roles else ():
        for member in graph.all_of(f"/directoryRoles/{_id(role)}/members", {"$select": "id"}):
            found[_id(member)].append(f"role: {role.get('displayName')}")
    return found


def _id(item: Any) -> str:
    """The id of an object, which goes into an address: a GUID and nothing else."""
    try:
        return str(UUID(str(item.get("id"))))
    except (ValueError, AttributeError):
        raise UnexpectedAnswer(f"a group, role or member without id: {str(item)[:100]}") from None


def _like(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _user(user: Any, members: Mapping[str, list[str]], options: Options) -> Entry:
    uid, name = _identified(user), text(user.get("userPrincipalName")) or ""
    account, domain = text(user.get("onPremisesSamAccountName")), text(user.get("onPremisesDomainName"))
    groups = sorted(members.get(uid, ()))
    manager = user.get("manager")
    proxies = [str(each)[5:] for each in user.get("proxyAddresses") or [] if str(each).lower().startswith("smtp:")]
    payload = {
        "uid": uid,
        "username": name,
        "full_name": text(user.get("displayName")),
        "emails": texts(
            [str(each).lower() for each in [user.get("mail"), *(user.get("otherMails") or []), *proxies] if each]
        ),
        "uids": texts(
            [uid, user.get("securityIdentifier"), user.get("onPremisesSecurityIdentifier"), user.get("employeeId")]
        ),
        "usernames": texts([account, f"{domain.partition('.')[0].upper()}\\{account}" if domain and account else None]),
        "domain": domain or name.partition("@")[2] or None,
        "title": text(user.get("jobTitle")),
        "department": text(user.get("department")),
        "manager": text(manager.get("displayName")) or text(manager.get("userPrincipalName"))
        if isinstance(manager, dict)
        else None,
        "employment_type": text(user.get("employeeType")) or ("guest" if user.get("userType") == "Guest" else None),
        "is_privileged": any(_is_privileged(group, options) for group in groups),
        "groups": groups,
        "office": text(user.get("officeLocation")),
        "status": {True: "active", False: "disabled"}.get(user.get("accountEnabled")),
        "hired_at": moment(user.get("employeeHireDate")),
    }
    return _entry(uid, payload, user.get("createdDateTime"))


def _is_privileged(name: str, options: Options) -> bool:
    role = name.removeprefix("role: ")
    if role != name:
        return role in PRIVILEGED_ROLES
    return any(_like(name, pattern) for pattern in options.privileged_groups)


def _device(device: Any) -> Entry:
    uid = _identified(device)
    owners = [each for each in device.get("registeredOwners") or [] if isinstance(each, dict)]
    states = {"managed": device.get("isManaged"), "compliant": device.get("isCompliant")}
    payload = {
        "uid": text(device.get("deviceId")) or uid,
        "name": text(device.get("displayName")),
        "hostnames": texts([str(device.get("displayName") or "").lower()]),
        "type": text(device.get("model")),
        "os": " ".join(texts([device.get("operatingSystem"), device.get("operatingSystemVersion")])) or None,
        "owner": next((text(each.get("userPrincipalName")) for each in owners), None),
        "status": {True: "active", False: "disabled"}.get(device.get("accountEnabled")),
        "tags": [*(name for name, holds in states.items() if holds), *texts(device.get("trustType"))],
    }
    return _entry(uid, payload, device.get("registrationDateTime"))


def _identified(item: Any) -> str:
    if not isinstance(item, dict) or not item.get("id"):
        raise ValueError("an object without id")
    return str(item["id"])


def _entry(uid: str, payload: dict[str, Any], since: object) -> Entry:
    given = {name: value for name, value in payload.items() if value not in (None, "", [])}
    return Entry(uid, given, valid_from=moment(since))
