"""A normal day on the estate's Windows machines: one function per event, and how often it happens.

The mix is that of a collector that is tuned a little: much Sysmon, many network logons on servers, few changes. Nothing
here is hostile; `stories` plants what is.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestration.demo.estate.company import AD_DOMAIN, DNS_DOMAIN, Host, Person
from orchestration.demo.estate.sources.windows_events import (
    PROGRAMS,
    Data,
    Draft,
    Scene,
    connection,
    hashes,
    logon,
    process,
    script,
    service_installed,
    special_logon,
    sysmon,
)

_SEC = "Security"
_S32 = "C:\\Windows\\System32\\"
_LIBRARIES = ("ntdll.dll", "kernel32.dll", "secur32.dll", "winhttp.dll", "crypt32.dll", "amsi.dll")
_NAMES = ("portal", "intranet", "wpad", "print01", "updates")
_TRACE = "|".join(_S32 + frame for frame in ("ntdll.dll+9c534", "KERNELBASE.dll+305fe", "lsasrv.dll+34e42"))


def process_event(s: Scene, audit: bool) -> Draft:
    """A new process, as Security 4688 or as Sysmon 1."""
    host, person = s.machine()
    return process(s, host, person, s.rng.choice(PROGRAMS), s.logon_id())[0 if audit else 1]


def sysmon_event(s: Scene, event_id: int) -> Draft:
    """Sysmon 3, 5, 7, 11, 12, 13 or 22."""
    host, person = s.machine()
    image = s.rng.choice(PROGRAMS)[0]
    if event_id == 3:
        target = s.rng.choice(s.company.servers)
        return connection(s, host, person, image, target.address, s.rng.choice((443, 445, 1433)), target.fqdn)
    if event_id == 5:
        return sysmon(s, host, 5, image, person)
    if event_id == 7:
        library = _S32 + s.rng.choice(_LIBRARIES)
        details = {"ImageLoaded": library, "FileVersion": "10.0.19041.1", "Hashes": hashes(library), "Signed": "true"}
        return sysmon(s, host, 7, image, person, **details, Signature="Microsoft Windows", SignatureStatus="Valid")
    if event_id == 11:
        suffix = s.rng.choice((".tmp", ".log", ".xml", ".dll", ".exe", ".ps1", ".docx"))
        name = f"C:\\Users\\{person.username}\\AppData\\Local\\Temp\\{s.rng.getrandbits(32):08x}{suffix}"
        return sysmon(s, host, 11, image, person, TargetFilename=name, CreationUtcTime="2026-02-27 09:00:00.000")
    if event_id in (12, 13):
        key = f"HKLM\\System\\CurrentControlSet\\Services\\bam\\State\\UserSettings\\{person.sid}"
        more = {"EventType": "SetValue", "Details": "Binary Data"} if event_id == 13 else {"EventType": "CreateKey"}
        return sysmon(s, host, event_id, image, person, TargetObject=key, **more)
    query = f"{s.rng.choice(_NAMES)}.{DNS_DOMAIN}"
    results = f"::ffff:{s.rng.choice(s.company.servers).address};"
    return sysmon(s, host, 22, image, person, QueryName=query, QueryStatus="0", QueryResults=results)


def access_event(s: Scene, event_id: int) -> Draft:
    """Sysmon 8 or 10: one process touches another."""
    host, _ = s.machine()
    guid = "GUID" if event_id == 10 else "Guid"
    data: Data = {
        f"SourceProcess{guid}": s.guid(host),
        "SourceProcessId": str(s.pid()),
        "SourceImage": _S32 + "svchost.exe",
    }
    data |= {
        f"TargetProcess{guid}": s.guid(host),
        "TargetProcessId": str(s.pid()),
        "TargetImage": _S32 + "taskhostw.exe",
    }
    if event_id == 10:
        data |= {
            "SourceThreadId": str(s.pid()),
            "GrantedAccess": s.rng.choice(("0x1000", "0x1400")),
            "CallTrace": _TRACE,
        }
    else:
        data |= {
            "NewThreadId": str(s.pid()),
            "StartAddress": "0x00007FFB2A6C0000",
            "StartModule": "-",
            "StartFunction": "-",
        }
    return Draft(host, "Microsoft-Windows-Sysmon/Operational", event_id, data)


def powershell_event(s: Scene, event_id: int) -> Draft:
    """PowerShell 4103 or 4104."""
    host, person = s.machine()
    if event_id == 4104:
        return script(
            s,
            host,
            s.rng.choice(
                ("prompt", "Get-Service | Where-Object Status -eq 'Stopped'", "Import-Module Larkspur.Inventory")
            ),
        )
    user = f"{AD_DOMAIN}\\{person.username}"
    context = f"        Severity = Informational\r\n        Host Name = ConsoleHost\r\n        User = {user}\r\n"
    payload = 'CommandInvocation(Get-Service): "Get-Service"\r\n'
    return Draft(host, "Microsoft-Windows-PowerShell/Operational", 4103, {"ContextInfo": context, "Payload": payload})


def _member(s: Scene) -> tuple[Host, Person, str]:
    """A server, somebody with business there, and the address of that person's workstation."""
    host, person = s.rng.choice(s.company.servers), s.person()
    if host.role == "pci database server":
        person = s.company.person("marcus.oyelaran")
    elif person.department not in ("Engineering", "Information Technology"):
        host = s.rng.choice(s.company.with_role("file server"))
    return host, person, s.company.workstations[person.username].address


def _logon(s: Scene) -> Draft:
    if s.rng.random() < 0.3:
        host, person = s.machine()
        return logon(s, host, person, s.rng.choice(("2", "7", "11")), "127.0.0.1", s.logon_id(), host.name)
    host, person, address = _member(s)
    return logon(s, host, person, "3", address, s.logon_id())


def _failed_logon(s: Scene) -> Draft:
    host, person, address = _member(s)
    data = logon(s, host, person, "3", address, "0x0").data
    data |= {"TargetUserSid": "S-1-0-0", "Status": "0xc000006d", "SubStatus": "0xc000006a", "FailureReason": "%%2313"}
    for name in ("TargetLogonId", "LogonGuid", "ImpersonationLevel", "ElevatedToken"):
        del data[name]
    return Draft(host, _SEC, 4625, data, success=False)


def _logoff(s: Scene) -> Draft:
    host, person, _ = _member(s)
    target: Data = {"TargetUserSid": person.sid, "TargetUserName": person.username, "TargetDomainName": AD_DOMAIN}
    return Draft(host, _SEC, 4634, target | {"TargetLogonId": s.logon_id(), "LogonType": "3"})


def _explicit(s: Scene) -> Draft:
    host, person = s.machine()
    target: Data = {"LogonGuid": s.guid(host), "TargetUserName": "theo.marchetti", "TargetDomainName": AD_DOMAIN}
    target |= {
        "TargetLogonGuid": s.guid(host),
        "TargetServerName": "LKS-FS01",
        "TargetInfo": "LKS-FS01",
        "ProcessId": hex(s.pid()),
    }
    target |= {"ProcessName": _S32 + "svchost.exe", "IpAddress": "-", "IpPort": "-"}
    return Draft(host, _SEC, 4648, s.subject(person, host, s.logon_id()) | target)


def _special(s: Scene) -> Draft:
    host = s.rng.choice([h for h in s.company.servers if h.role != "pci database server"])
    return special_logon(s, host, s.company.person("theo.marchetti"), s.logon_id())


def _kerberos(s: Scene, event_id: int) -> Draft:
    person = s.person()
    address = "::ffff:" + s.company.workstations[person.username].address
    client = {"IpAddress": address, "IpPort": str(49152 + s.rng.randrange(16000))}
    ticket = {
        "TargetDomainName": DNS_DOMAIN.upper(),
        "TicketOptions": "0x40810010",
        "Status": "0x0",
        "TicketEncryptionType": "0x12",
    }
    if event_id == 4769:
        service = s.rng.choice(s.company.servers).name + "$"
        name: Data = {
            "TargetUserName": f"{person.username}@{DNS_DOMAIN.upper()}",
            "ServiceName": service,
            "ServiceSid": "S-1-5-18",
        }
        name["LogonGuid"] = s.guid(s.controllers[0])
    else:
        name = {"TargetUserName": person.username, "TargetSid": person.sid, "ServiceName": "krbtgt", "PreAuthType": "2"}
        if event_id == 4771:
            ticket |= {"Status": "0x18", "ServiceName": f"krbtgt/{AD_DOMAIN}"}
    return Draft(s.rng.choice(s.controllers), _SEC, event_id, name | ticket | client, success=event_id != 4771)


def _credentials(s: Scene) -> Draft:
    person = s.person()
    data: Data = {"PackageName": "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0", "TargetUserName": person.username}
    bad = s.rng.random() < 0.1
    data |= {"Workstation": person.workstation, "Status": "0xc000006a" if bad else "0x0"}
    return Draft(s.rng.choice(s.controllers), _SEC, 4776, data, success=not bad)


def _share(s: Scene, detailed: bool) -> Draft:
    person, host = s.person(), s.rng.choice(s.company.with_role("file server"))
    data = s.subject(person, host, s.logon_id()) | {
        "ObjectType": "File",
        "IpAddress": s.company.workstations[person.username].address,
        "IpPort": str(49152 + s.rng.randrange(16000)),
        "ShareName": "\\\\*\\" + s.rng.choice(("IPC$", "clinical", "finance", "public")),
        "AccessMask": "0x1",
        "AccessList": "%%4416\r\n\t\t\t\t",
    }
    if detailed:
        data |= {"RelativeTargetName": f"2026\\report-{s.rng.randrange(9000)}.xlsx", "AccessReason": "-"}
    return Draft(host, _SEC, 5145 if detailed else 5140, data)


def _directory(s: Scene, event_id: int) -> Draft:
    admin, person, dc = s.company.person("theo.marchetti"), s.person(), s.rng.choice(s.controllers)
    data = s.subject(admin, dc, s.logon_id())
    if event_id == 4720:
        name = f"temp{s.rng.randrange(1000):03d}"
        data |= {
            "TargetUserName": name,
            "TargetDomainName": AD_DOMAIN,
            "TargetSid": "S-1-5-21-1-2-3-" + str(9000 + s.rng.randrange(900)),
        }
        data |= {"SamAccountName": name, "DisplayName": "-", "PrivilegeList": "-"}
    else:
        group = "Helpdesk Operators" if event_id == 4728 else "Remote Desktop Users"
        data |= {"MemberName": f"CN={person.name},OU=Staff,DC=corp", "MemberSid": person.sid, "TargetUserName": group}
        data |= {"TargetDomainName": AD_DOMAIN, "TargetSid": "S-1-5-32-555", "PrivilegeList": "-"}
    return Draft(dc, _SEC, event_id, data)


def _task(s: Scene) -> Draft:
    host, person = s.machine()
    content = "<Task><Actions><Exec><Command>C:\\Ops\\inventory.cmd</Command></Exec></Actions></Task>"
    return Draft(
        host,
        _SEC,
        4698,
        s.subject(person, host, s.logon_id()) | {"TaskName": "\\Larkspur\\Inventory", "TaskContent": content},
    )


def _service(s: Scene, audit: bool) -> Draft:
    host, person = s.machine()
    path = "C:\\Program Files\\Larkspur\\Agent\\lkupdate.exe"
    if not audit:
        return service_installed(s, host, person, "LarkspurUpdate", path)
    data: Data = {
        "ServiceName": "LarkspurUpdate",
        "ServiceFileName": path,
        "ServiceType": "0x10",
        "ServiceStartType": "2",
    }
    return Draft(host, _SEC, 4697, s.subject(person, host, s.logon_id()) | data | {"ServiceAccount": "LocalSystem"})


def _cleared(s: Scene) -> Draft:
    host = s.rng.choice(tuple(s.company.workstations.values()))
    return Draft(host, _SEC, 1102, s.subject(s.company.person("theo.marchetti"), host, s.logon_id()))


def _vault(s: Scene) -> Draft:
    host, person = s.machine()
    data: Data = {
        "TargetName": "WindowsLive:(token):name=app",
        "Type": "0",
        "CountOfCredentialsReturned": "1",
        "ReadOperation": "%%8100",
    }
    return Draft(host, _SEC, 5379, s.subject(person, host, s.logon_id()) | data | {"ClientProcessId": str(s.pid())})


Maker = Callable[[Scene], Draft]
CATALOGUE: list[tuple[float, Maker]] = [
    (12, _logon), (1.2, _failed_logon), (9, _logoff), (0.8, _explicit), (2.5, _special),
    (3, lambda s: _kerberos(s, 4768)), (6, lambda s: _kerberos(s, 4769)), (0.4, lambda s: _kerberos(s, 4771)),
    (1.5, _credentials), (2, lambda s: _share(s, False)), (3, lambda s: _share(s, True)),
    (0.03, lambda s: _directory(s, 4720)), (0.05, lambda s: _directory(s, 4728)),
    (0.05, lambda s: _directory(s, 4732)), (0.2, _task), (0.05, lambda s: _service(s, True)),
    (0.06, lambda s: _service(s, False)), (0.01, _cleared), (0.3, _vault), (6, lambda s: process_event(s, True)),
    (7, lambda s: process_event(s, False)), (8, lambda s: sysmon_event(s, 3)), (4, lambda s: sysmon_event(s, 5)),
    (9, lambda s: sysmon_event(s, 7)), (0.2, lambda s: access_event(s, 8)), (8, lambda s: access_event(s, 10)),
    (4, lambda s: sysmon_event(s, 11)), (4, lambda s: sysmon_event(s, 12)), (4, lambda s: sysmon_event(s, 13)),
    (4, lambda s: sysmon_event(s, 22)), (1.5, lambda s: powershell_event(s, 4103)),
    (0.8, lambda s: powershell_event(s, 4104)),
]  # fmt: skip
