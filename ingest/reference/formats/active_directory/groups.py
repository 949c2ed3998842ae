"""Groups of a directory: which ones an account is in, and whether one of them is privileged.

Sources: learn.microsoft.com, "Appendix C: Protected Accounts and Groups in Active Directory" and "Well-known SIDs":
the groups that AdminSDHolder protects, by relative id in a domain or by SID, and DnsAdmins and Group Policy Creator
Owners, whose members can become administrators.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PRIVILEGED_RIDS = {
    "512": "Domain Admins",
    "516": "Domain Controllers",
    "518": "Schema Admins",
    "519": "Enterprise Admins",
    "520": "Group Policy Creator Owners",
    "521": "Read-only Domain Controllers",
    "526": "Key Admins",
    "527": "Enterprise Key Admins",
}
PRIVILEGED_SIDS = {
    "S-1-5-32-544": "Administrators",
    "S-1-5-32-548": "Account Operators",
    "S-1-5-32-549": "Server Operators",
    "S-1-5-32-550": "Print Operators",
    "S-1-5-32-551": "Backup Operators",
    "S-1-5-32-552": "Replicator",
}
OTHER_RIDS = {"513": "Domain Users", "514": "Domain Guests", "515": "Domain Computers"}
_NAMES = {name.lower() for name in (*PRIVILEGED_RIDS.values(), *PRIVILEGED_SIDS.values(), "DnsAdmins")}
# Accounts that are privileged by themselves: the built-in administrator and krbtgt.
_PRIVILEGED_ACCOUNT = re.compile(r"S-1-5-21-[\d-]+-(500|502)\Z", re.IGNORECASE)
_DOMAIN_SID = re.compile(r"S-1-5-21-[\d-]+-(\d+)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """A group of the export: its name, its SID ('' if not given), the distinguished names of the groups it is in."""

    name: str
    sid: str = ""
    member_of: tuple[str, ...] = ()


@dataclass
class Groups:
    """What an export says of groups, by distinguished name in lower case; `extra`: names that are privileged here."""

    extra: frozenset[str] = frozenset()
    by_name: dict[str, Group] = field(default_factory=dict)

    def all_of(self, names: Iterable[str], name_of: Mapping[str, str]) -> list[Group]:
        """Return the groups of these distinguished names and those they are in, each once.

        `name_of`: distinguished name → name, for groups that the export does not hold.
        """
        found: dict[str, Group] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop(0)
            if name.lower() in found:
                continue
            group = self.by_name.get(name.lower()) or Group(name_of.get(name, name))
            found[name.lower()] = group
            waiting += group.member_of
        return list(found.values())

    def is_privileged(self, group: Group) -> bool:
        """Whether being in a group makes privileged: by its SID, else by its name."""
        if group.sid and is_privileged_sid(group.sid):
            return True
        return group.name.lower() in _NAMES or group.name.lower() in self.extra


def is_privileged_sid(sid: str) -> bool:
    """Whether a SID is that of a privileged group or account."""
    found = _DOMAIN_SID.match(sid)
    by_domain = found is not None and found[1] in PRIVILEGED_RIDS
    return by_domain or sid.upper() in PRIVILEGED_SIDS or _PRIVILEGED_ACCOUNT.match(sid) is not None
