"""Hand-made silver events of a small company: sign-ins, remote logons, and what follows on a machine.

What belongs here: events as the mappings make them, with the context that the build adds. What does not: expectations.
"""

import itertools
from datetime import datetime
from typing import Any

Row = dict[str, Any]
_numbers = [itertools.count(1)]

BOSTON = {"city": "Boston", "country": "US", "lat": 42.36, "long": -71.06}
CHISINAU = {"city": "Chisinau", "country": "MD", "lat": 47.01, "long": 28.86}
HOSTILE, HOME, INSIDE = "192.0.2.66", "198.18.0.2", "10.20.0.7"

PEOPLE: dict[str, Row] = {
    "dana": {"uid": "E1", "username": "dana", "full_name": "Dana Whitfield", "title": "Finance Controller"}
    | {"department": "Finance", "is_privileged": False, "groups": ["Finance"]},
    "marcus": {"uid": "E2", "username": "marcus", "full_name": "Marcus Oyelaran", "is_privileged": True}
    | {"title": "Senior Database Administrator", "groups": ["Database Administrators"]},
    "omar": {"uid": "E3", "username": "omar", "full_name": "Omar Sato", "title": "SRE", "groups": []}
    | {"is_privileged": True},
}
ASSETS: dict[str, Row] = {
    "PCIDB01": {"uid": "A1", "name": "PCIDB01", "role": "PCI database server", "type": "server"}
    | {"environment": "production", "tags": ["pci", "database"]}
    | {"administrators": ["Database Administrators", "marcus"], "owner": "theo"},
    "FS01": {"uid": "A2", "name": "FS01", "role": "File server", "type": "server", "environment": "office"}
    | {"tags": [], "administrators": ["Server Operators"]},
    "DC01": {"uid": "A3", "name": "DC01", "role": "Domain controller", "type": "server", "environment": "office"}
    | {"tags": ["domain-controller"], "administrators": ["Domain Admins"]},
}


def begin() -> None:
    """Number events from the first on, so that they have the same ids whatever was made before."""
    _numbers[0] = itertools.count(1)


def sign_in(who: str, when: datetime, address: str = HOME, place: Row = BOSTON, **more: Any) -> Row:
    """A sign-in at the identity provider that succeeded; `denied=True`: a challenge that was denied."""
    denied = more.pop("denied", False)
    network = {
        "number": 64510 if place is CHISINAU else 64500,
        "name": "Bulletgrove" if place is CHISINAU else "Beacon",
    }
    source = {"ip": address, "location": place, "autonomous_system": network}
    row = _event(when, 300201) | {"activity_id": 1, "status_id": 2 if denied else 1, "is_mfa": denied}
    row |= {"user": {"name": f"{who}@example.com", "uid": f"okta-{who}", "type_id": 1}, "src_endpoint": source}
    return row | {"enrichments": _entries(user=PEOPLE.get(who))} | more


def logon(who: str, host: str, when: datetime, kind: int = 3, address: str = INSIDE, **more: Any) -> Row:
    """A Windows logon (4624) that succeeded; `kind` is OCSF's logon_type_id."""
    row = _event(when, 300201) | {"activity_id": 1, "status_id": 1, "logon_type_id": kind}
    row |= {
        "is_remote": kind in (3, 8, 10, 12),
        "auth_protocol_id": 2,
        "user": account(who),
        "src_endpoint": {"ip": address},
    }
    row |= {"dst_endpoint": {"hostname": f"{host}.example"}, "device": {"hostname": f"{host}.example"}}
    return row | {"enrichments": _entries(user=PEOPLE.get(who), dst_endpoint=ASSETS.get(host))} | more


def passed_hash(who: str, host: str, when: datetime, **more: Any) -> Row:
    """A network logon by NTLM without a session key."""
    unmapped = {"LogonProcessName": "NtLmSsp", "KeyLength": "0", "LmPackageName": "NTLM V2"}
    return logon(who, host, when) | {"auth_protocol_id": 1, "auth_protocol": "NTLM", "unmapped": unmapped} | more


def privileges(who: str, host: str, when: datetime) -> Row:
    """Special privileges of a new session (4672)."""
    row = _event(when, 300301) | {"activity_id": 1, "user": account(who), "privileges": ["SeDebugPrivilege"]}
    row |= {"dst_endpoint": {"hostname": f"{host}.example"}}
    return row | {"enrichments": _entries(user=PEOPLE.get(who), dst_endpoint=ASSETS.get(host))}


def service(host: str, when: datetime, name: str = "RemoteUtilsHost", who: str = "") -> Row:
    """An installed service: 7045 names nobody, 4697 the account."""
    user = account(who) if who else {"uid": "S-1-5-18", "type_id": 3}
    row = _event(when, 20100401) | {"activity_id": 1, "win_service": {"name": name, "cmd_line": f"C:\\{name}.exe"}}
    row |= {"device": {"hostname": f"{host}.example"}, "actor": {"user": user}}
    return row | {"enrichments": _entries(device=ASSETS.get(host), **{"actor.user": PEOPLE.get(who)})}


def powershell(who: str, host: str, when: datetime, command: str = "-enc SQBFAFgAIAAoAE4AZQB3AC0A") -> Row:
    """A PowerShell that was started (Sysmon 1)."""
    row = _event(when, 100701) | {"activity_id": 1, "actor": {"user": {"name": who, "domain": "CORP"}}}
    row |= {"process": {"name": "powershell.exe", "cmd_line": f"powershell.exe {command}", "user": {"name": who}}}
    return row | {"device": {"hostname": f"{host}.example"}, "enrichments": _entries(device=ASSETS.get(host))}


def lsass(host: str, when: datetime, access: int = 0x1010, who: str = "") -> Row:
    """A process that opened LSASS (Sysmon 10)."""
    row = _event(when, 100703) | {"activity_id": 3, "actual_permissions": access, "process": {"name": "lsass.exe"}}
    row |= {"actor": {"process": {"name": "powershell.exe"}, "user": account(who) if who else None}}
    return row | {"device": {"hostname": f"{host}.example"}, "enrichments": _entries(device=ASSETS.get(host))}


def run_key(who: str, host: str, when: datetime, name: str = "RemoteUtils") -> Row:
    """A program made to start with Windows (Sysmon 13)."""
    path = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
    row = _event(when, 20100202) | {"activity_id": 2, "reg_value": {"path": path, "name": name}}
    row |= {"actor": {"user": {"name": who}}, "device": {"hostname": f"{host}.example"}}
    return row | {"enrichments": _entries(device=ASSETS.get(host))}


def account(who: str) -> Row:
    """An account of the domain as a Windows log names it."""
    return {"name": who, "uid": f"S-1-5-21-1-2-3-{sum(map(ord, who))}", "domain": "CORP", "type_id": 1}


def _event(when: datetime, type_uid: int) -> Row:
    metadata = {"uid": f"e{next(_numbers[0]):04d}", "logged_time": int(when.timestamp() * 1000) + 60_000}
    return {"time_dt": when, "type_uid": type_uid, "metadata": metadata | {"product": {"name": "Made"}}}


def _entries(**held: Row | None) -> list[Row]:
    kinds = {"user": "identity", "actor.user": "identity", "dst_endpoint": "asset", "device": "asset"}
    return [{"name": name, "type": kinds[name], "data": data} for name, data in held.items() if data]
