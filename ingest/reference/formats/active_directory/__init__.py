"""Active Directory: users → identities, computers → assets; one export feeds both, the feed's table chooses.

Shapes: `Get-ADUser`/`Get-ADComputer … -Properties * | ConvertTo-Json` (an object a line or an array), `Export-Csv`,
csvde, ldifde. Groups in the same export (`Get-ADGroup`) resolve nesting and names in other languages.

An account or computer is known from `whenCreated` on. It is privileged when a group of it is (`groups`), its
primary group is, or AD protects it (`adminCount`). Source of the attributes and of the bits of userAccountControl:
learn.microsoft.com, "Active Directory Schema" and "UserAccountControl property flags".
"""

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field

from ingest.reference.formats import FormatOptions, Mode, Source
from ingest.reference.formats.active_directory.groups import (
    OTHER_RIDS,
    PRIVILEGED_RIDS,
    Group,
    Groups,
    is_privileged_sid,
)
from ingest.reference.formats.active_directory.shapes import (
    Attributes,
    common_name,
    directory_objects,
    domain_of,
    identifier_text,
    parts_of,
)
from ingest.reference.reading.values import filetime, moment, text, texts, yes
from ingest.reference.tables import ASSETS, IDENTITIES, Entry, Reject

TABLES = (IDENTITIES, ASSETS)
MODE: Mode = "full"
READS = "file"

_DISABLED, _LOCKED, _SERVER_TRUST, _DELEGATION, _NO_EXPIRY = 0x2, 0x10, 0x2000, 0x80000, 0x10000
_CONTROLLERS = {"516": "domain-controller", "521": "read-only-domain-controller"}
_SERVICE_CLASSES = {"msds-groupmanagedserviceaccount", "msds-managedserviceaccount"}


class Options(FormatOptions):
    """`privileged_groups`: names of groups that are privileged besides the well-known ones.

    `service_accounts`: patterns of account names (`svc-*`) that no person uses. `netbios_domain`: the domain in
    `DOMAIN\\name` (default: the first part of its DNS name). `time_formats`: strptime formats of a CSV's times.
    """

    privileged_groups: list[str] = Field(default=[])
    service_accounts: list[str] = Field(default=[])
    netbios_domain: str = ""
    time_formats: list[str] = Field(default=[])


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield an entry for each user or computer. Raises FormatError: no export of a directory."""
    groups = _groups(source, options) if source.table == IDENTITIES else Groups()
    reading = _Reading(source, options, groups)
    for found in directory_objects(source):
        if isinstance(found, Reject):
            yield found
            continue
        record, attributes = found
        try:
            entry = reading.entry(attributes)
        except ValueError as error:
            yield record.reject(str(error))
            continue
        if entry is not None:
            yield entry


def _groups(source: Source, options: Options) -> Groups:
    groups = Groups(frozenset(name.lower() for name in options.privileged_groups))
    for found in directory_objects(source):
        if isinstance(found, Reject) or _object_class(found[1]) != "group":
            continue
        attributes = found[1]
        name = _text(attributes, "distinguishedname", "dn")
        sid = identifier_text("objectsid", attributes.get("objectsid") or attributes.get("sid"))
        own = _text(attributes, "samaccountname", "name", "cn") or common_name(name)
        groups.by_name[name.lower()] = Group(own, sid, tuple(parts_of(attributes.get("memberof"))))
    return groups


def _object_class(attributes: Attributes) -> str:
    """user, computer, group, or another class; what says none is told by its account name."""
    classes = [each.lower() for each in parts_of(attributes.get("objectclass"))]
    if _SERVICE_CLASSES & set(classes) or "inetorgperson" in classes:
        return "user"
    if not classes:
        return "computer" if _text(attributes, "samaccountname").endswith("$") else "user"
    return next((each for each in ("computer", "group", "user") if each in classes), classes[-1])


class _Reading:
    """One export on its way into one table."""

    def __init__(self, source: Source, options: Options, groups: Groups) -> None:
        self._source = source
        self._options = options
        self._groups = groups

    def entry(self, attributes: Attributes) -> Entry | None:
        """Return the entry of an object; None, and counted, when it is of no interest to the table."""
        wanted = "user" if self._source.table == IDENTITIES else "computer"
        of = _object_class(attributes)
        if of != wanted:
            self._source.skipped[of] += 1
            return None
        sid = identifier_text("objectsid", attributes.get("objectsid") or attributes.get("sid"))
        name = sid or identifier_text("objectguid", attributes.get("objectguid"))
        name = name or _text(attributes, "distinguishedname", "dn", "samaccountname")
        if not name:
            raise ValueError("the object has no SID, GUID or name")
        payload = self._identity(attributes, name) if wanted == "user" else self._asset(attributes, name)
        deleted = self._yes(attributes, "isdeleted", "deleted")
        return Entry(
            name,
            {column: value for column, value in payload.items() if value not in (None, "", [])},
            valid_from=self._time(attributes, "whencreated", "created", "createtimestamp"),
            valid_to=self._time(attributes, "whenchanged", "modified", "modifytimestamp") if deleted else None,
        )

    def _identity(self, attributes: Attributes, uid: str) -> dict[str, object]:
        account = _text(attributes, "samaccountname")
        domain = domain_of(_text(attributes, "distinguishedname", "dn"))
        groups, privileged = self._privileges(attributes, uid)
        return {
            "uid": uid,
            "username": account or _text(attributes, "userprincipalname").partition("@")[0],
            "full_name": _text(attributes, "displayname", "name", "cn"),
            "emails": texts([_text(attributes, "mail", "emailaddress").lower()]),
            "uids": texts(self._uids(attributes, uid)),
            "usernames": texts(self._usernames(attributes, account, domain)),
            "domain": domain,
            "title": _text(attributes, "title"),
            "department": _text(attributes, "department"),
            "manager": common_name(_text(attributes, "manager")),
            "employment_type": _text(attributes, "employeetype") or self._service_account(attributes, account),
            "is_privileged": privileged,
            "groups": groups,
            "office": _text(attributes, "physicaldeliveryofficename", "office", "l", "city"),
            "status": self._status(attributes),
            "left_at": self._expiry(attributes),
            "tags": ["service-account"] if self._service_account(attributes, account) else [],
        }

    def _asset(self, attributes: Attributes, uid: str) -> dict[str, object]:
        system = _text(attributes, "operatingsystem")
        primary, control = _text(attributes, "primarygroupid"), _control(attributes)
        controller = _CONTROLLERS.get(primary) or ("domain-controller" if control & _SERVER_TRUST else "")
        delegated = control & _DELEGATION and not controller
        hostnames = [
            _text(attributes, "dnshostname"),
            *parts_of(attributes.get("msds-additionaldnshostname")),
            _text(attributes, "name", "cn") or _text(attributes, "samaccountname").rstrip("$"),
        ]
        return {
            "uid": uid,
            "name": _text(attributes, "name", "cn") or _text(attributes, "samaccountname").rstrip("$"),
            # Of old names AD keeps ones that end in a zero byte and `$`: they are of accounts, not of the network.
            "hostnames": texts([name.lower() for name in hostnames if "\0" not in name]),
            "addresses": texts([_text(attributes, "ipv4address"), _text(attributes, "ipv6address")]),
            "type": "server" if "server" in system.lower() or controller else "workstation" if system else None,
            "role": _text(attributes, "description") or controller.replace("-", " "),
            "os": " ".join(part for part in (system, _text(attributes, "operatingsystemversion")) if part),
            "owner": common_name(_text(attributes, "managedby")),
            "criticality": "critical" if controller or self._yes(attributes, "iscriticalsystemobject") else None,
            "location": _text(attributes, "location"),
            "status": self._status(attributes),
            "tags": [tag for tag in (controller, "trusted-for-delegation" if delegated else "") if tag],
        }

    def _privileges(self, attributes: Attributes, uid: str) -> tuple[list[str], bool | None]:
        """The names of all groups, and whether that makes privileged; None where the export does not hold groups."""
        direct = parts_of(attributes.get("memberof"))
        primary_name, primary = _text(attributes, "primarygroup"), _text(attributes, "primarygroupid")
        names = [*direct, *([primary_name] if primary_name else [])]
        groups = self._groups.all_of(names, {name: common_name(name) for name in names})
        if not primary_name and primary in PRIVILEGED_RIDS | OTHER_RIDS:
            groups.append(Group((PRIVILEGED_RIDS | OTHER_RIDS)[primary]))
        privileged = (
            any(self._groups.is_privileged(group) for group in groups)
            or primary in PRIVILEGED_RIDS
            or _text(attributes, "admincount") == "1"
            or is_privileged_sid(uid)
        )
        is_known = "memberof" in attributes or bool(groups)
        return texts([group.name for group in groups]), privileged if privileged or is_known else None

    def _uids(self, attributes: Attributes, uid: str) -> list[str]:
        history = attributes.get("sidhistory")
        return [
            uid,
            identifier_text("objectguid", attributes.get("objectguid")),
            *(
                identifier_text("sidhistory", each)
                for each in (history if isinstance(history, list) else parts_of(history))
            ),
            _text(attributes, "employeeid"),
            _text(attributes, "employeenumber"),
            _text(attributes, "distinguishedname", "dn"),
        ]

    def _usernames(self, attributes: Attributes, account: str, domain: str) -> list[str]:
        netbios = self._options.netbios_domain or domain.partition(".")[0].upper()
        return [
            _text(attributes, "userprincipalname"),
            f"{netbios}\\{account}" if netbios and account else "",
            f"{account}@{domain}" if domain and account else "",
        ]

    def _service_account(self, attributes: Attributes, account: str) -> str | None:
        managed = _SERVICE_CLASSES & {each.lower() for each in parts_of(attributes.get("objectclass"))}
        named = any(fnmatchcase(account.lower(), pattern.lower()) for pattern in self._options.service_accounts)
        return "service account" if managed or named else None

    def _status(self, attributes: Attributes) -> str | None:
        enabled, control = self._yes(attributes, "enabled"), _control(attributes)
        if self._yes(attributes, "isdeleted", "deleted"):
            return "deleted"
        if enabled is False or control & _DISABLED:
            return "disabled"
        if self._yes(attributes, "lockedout") or control & _LOCKED:
            return "locked"
        return "active" if enabled or control else None

    def _expiry(self, attributes: Attributes) -> datetime | None:
        given = attributes.get("accountexpires")
        if given in (None, "") or _text(attributes, "accountexpires").lower() == "never":
            return self._time(attributes, "accountexpirationdate")
        try:
            return filetime(given)
        except ValueError:
            return self._time(attributes, "accountexpires")

    def _time(self, attributes: Attributes, *names: str) -> datetime | None:
        """The first of these times; one that cannot be read costs the account nothing but the time, and is counted."""
        for name in names:
            given = attributes.get(name)
            given = given.get("value") or given.get("DateTime") if isinstance(given, dict) else given
            try:
                if (found := moment(given, self._options.time_formats)) is not None:
                    return found
            except ValueError:
                self._source.skipped[f"unreadable {name}"] += 1
        return None

    def _yes(self, attributes: Attributes, *names: str) -> bool | None:
        given = (attributes.get(name) for name in names)
        return next((found for each in given if each not in (None, "", []) and (found := yes(each)) is not None), None)


def _control(attributes: Attributes) -> int:
    """The bits of userAccountControl; 0 where they are not given."""
    given = _text(attributes, "useraccountcontrol")
    return int(given) if given.lstrip("-").isdigit() else 0


def _text(attributes: Attributes, *names: str) -> str:
    for name in names:
        given: Any = attributes.get(name)
        if isinstance(given, list):
            given = given[0] if given else None
        if isinstance(given, dict):
            given = given.get("Value") or given.get("value")
        if found := text(given):
            return found
    return ""
