"""What the estate's Windows events say: the machines they happen on and the events the story needs by name.

Field names and value styles follow Microsoft's event documentation and the public OTRF Security-Datasets: numbers are
text, absent values are "-", Kerberos addresses are IPv4-mapped.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

from orchestration.demo.estate.company import AD_DOMAIN, Company, Host, Person

Data = dict[str, str]


@dataclass(slots=True)
class Draft:
    """One event before it gets a layout: where it happened, what it says."""

    host: Host
    channel: str
    event_id: int
    data: Data
    success: bool = True


_SEC, _SYS, _SMN, _PSH = (
    "Security",
    "System",
    "Microsoft-Windows-Sysmon/Operational",
    "Microsoft-Windows-PowerShell/Operational",
)
_S32 = "C:\\Windows\\System32\\"
PROGRAMS = (
    (_S32 + "svchost.exe", _S32 + "svchost.exe -k netsvcs -p -s Schedule", _S32 + "services.exe"),
    (_S32 + "backgroundTaskHost.exe", _S32 + "backgroundTaskHost.exe -ServerName:App", _S32 + "svchost.exe"),
    (_S32 + "conhost.exe", "\\??\\" + _S32 + "conhost.exe 0xffffffff -ForceV1", _S32 + "cmd.exe"),
    (
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
        '"chrome.exe" --type=renderer --lang=en-US',
        "C:\\Windows\\explorer.exe",
    ),
    ("C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE", '"OUTLOOK.EXE"', "C:\\Windows\\explorer.exe"),
    (
        _S32 + "WindowsPowerShell\\v1.0\\powershell.exe",
        "powershell.exe -NoProfile -File C:\\Ops\\inventory.ps1",
        _S32 + "svchost.exe",
    ),
    ("C:\\Program Files\\Larkspur\\Agent\\lkagent.exe", '"lkagent.exe" --collect', _S32 + "services.exe"),
)
_PRIVILEGED = ("Security", "Backup", "Restore", "Debug", "Impersonate")
_PRIVILEGES = "\r\n\t\t\t".join(f"Se{name}Privilege" for name in _PRIVILEGED)


def sha256(image: str) -> str:
    """The SHA-256 of an image: the same path always has the same one."""
    return hashlib.sha256(image.encode()).hexdigest()


@cache
def hashes(image: str) -> str:
    """The `Hashes` field of an image: the same image always has the same ones."""
    whole, md5 = sha256(image), hashlib.md5(image.encode()).hexdigest()
    return f"SHA1={whole[:40]},MD5={md5},SHA256={whole},IMPHASH={md5[::-1]}".upper()


class Scene:
    """Where and who: draws hosts, people and identifiers for the events below."""

    def __init__(self, company: Company, rng: random.Random) -> None:
        self.company, self.rng = company, rng
        self.controllers = company.with_role("domain controller")
        self.domain = AD_DOMAIN

    def person(self) -> Person:
        """Somebody of the company."""
        return self.rng.choice(self.company.people)

    def machine(self) -> tuple[Host, Person]:
        """A workstation with its owner, or in one of four cases a server with its administrator."""
        if self.rng.random() < 0.25:
            host = self.rng.choice(self.company.servers)
            pci = host.role == "pci database server"
            return host, self.company.person("marcus.oyelaran" if pci else "theo.marchetti")
        person = self.person()
        return self.company.workstations[person.username], person

    def logon_id(self) -> str:
        """A logon session, e.g. 0x1f34562."""
        return hex(0x100000 + self.rng.getrandbits(28))

    def pid(self) -> int:
        """A process id, a multiple of four."""
        return 400 + 4 * self.rng.randrange(4000)

    def guid(self, host: Host) -> str:
        """A Sysmon process GUID of the host."""
        bits = f"{self.rng.getrandbits(64):016x}"
        return f"{{{host.guid}-{bits[:4]}-{bits[4:8]}-{bits[8:12]}-00000000{bits[12:]}}}"

    def subject(self, person: Person | None, host: Host, logon_id: str = "0x3e7") -> Data:
        """Who reports: the machine account unless a person is given."""
        if person is None:
            return _subject("S-1-5-18", f"{host.name}$", logon_id)
        return _subject(person.sid, person.username, logon_id)


def _subject(sid: str, name: str, logon_id: str) -> Data:
    return {"SubjectUserSid": sid, "SubjectUserName": name, "SubjectDomainName": AD_DOMAIN, "SubjectLogonId": logon_id}


def logon(
    s: Scene, host: Host, person: Person, kind: str, address: str, logon_id: str, workstation: str = "-"
) -> Draft:
    """4624: `kind` is the logon type as text, `address` the client's address or "-"."""
    data = s.subject(None, host) | {
        "TargetUserSid": person.sid,
        "TargetUserName": person.username,
        "TargetDomainName": AD_DOMAIN,
        "TargetLogonId": logon_id,
        "LogonType": kind,
        "LogonProcessName": "User32 " if kind in ("2", "10") else "Kerberos",
        "AuthenticationPackageName": "Negotiate" if kind in ("2", "10") else "Kerberos",
        "WorkstationName": workstation,
        "LogonGuid": s.guid(host),
        "TransmittedServices": "-",
        "LmPackageName": "-",
        "KeyLength": "0",
        "ProcessId": "0x2b8" if kind in ("2", "10") else "0x0",
        "ProcessName": _S32 + "svchost.exe" if kind in ("2", "10") else "-",
        "IpAddress": address,
        "IpPort": "-" if address == "-" else str(49152 + s.rng.randrange(16000)),
        "ImpersonationLevel": "%%1833",
        "ElevatedToken": "%%1842" if kind == "10" else "%%1843",
    }
    return Draft(host, _SEC, 4624, data)


@dataclass(frozen=True, slots=True)
class NtlmAccount:
    """Who logs on by NTLM: name and domain as the client sent them, and the SID that the server made of them.

    `key_length`: bits of the session key; 0 when there is none, as when a hash is passed, or when nobody is asked.
    """

    name: str
    domain: str
    sid: str
    key_length: int = 128
    package: str = "NTLM V2"


def ntlm_logon(s: Scene, host: Host, account: NtlmAccount, address: str, logon_id: str, workstation: str) -> Draft:
    """4624 of type 3 by NTLM (Microsoft Learn, event 4624: "KeyLength" and "Package Name (NTLM only)")."""
    data = {
        "SubjectUserSid": "S-1-0-0",
        "SubjectUserName": "-",
        "SubjectDomainName": "-",
        "SubjectLogonId": "0x0",
        "TargetUserSid": account.sid,
        "TargetUserName": account.name,
        "TargetDomainName": account.domain,
        "TargetLogonId": logon_id,
        "LogonType": "3",
        "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM",
        "WorkstationName": workstation,
        "LogonGuid": "{00000000-0000-0000-0000-000000000000}",
        "TransmittedServices": "-",
        "LmPackageName": account.package,
        "KeyLength": str(account.key_length),
        "ProcessId": "0x0",
        "ProcessName": "-",
        "IpAddress": address,
        "IpPort": str(49152 + s.rng.randrange(16000)),
        "ImpersonationLevel": "%%1833",
        "ElevatedToken": "%%1842" if account.sid.endswith("-500") else "%%1843",
    }
    return Draft(host, _SEC, 4624, data)


def failed_logon(s: Scene, host: Host, name: str, domain: str, address: str) -> Draft:
    """4625 of type 3: a user name or password that is wrong."""
    account = NtlmAccount(name, domain, "S-1-0-0", 0, "-")
    data = ntlm_logon(s, host, account, address, "0x0", "-").data
    data |= {"Status": "0xc000006d", "SubStatus": "0xc000006a", "FailureReason": "%%2313"}
    for missing in ("TargetLogonId", "LogonGuid", "ImpersonationLevel", "ElevatedToken"):
        del data[missing]
    return Draft(host, _SEC, 4625, data, success=False)


def special_logon(s: Scene, host: Host, person: Person, logon_id: str) -> Draft:
    """4672."""
    return Draft(host, _SEC, 4672, s.subject(person, host, logon_id) | {"PrivilegeList": _PRIVILEGES})


def process(
    s: Scene, host: Host, person: Person, program: tuple[str, str, str], logon_id: str = "0x3e7"
) -> tuple[Draft, Draft]:
    """One new process as Security 4688 and as Sysmon 1; `program` is (image, command line, parent image)."""
    image, command, parent = program
    pid, parent_pid = s.pid(), s.pid()
    audit = s.subject(person, host, logon_id) | {
        "NewProcessId": hex(pid),
        "NewProcessName": image,
        "TokenElevationType": "%%1936",
        "ProcessId": hex(parent_pid),
        "CommandLine": command,
        "TargetUserSid": "S-1-0-0",
        "TargetUserName": "-",
        "TargetDomainName": "-",
        "TargetLogonId": "0x0",
        "ParentProcessName": parent,
        "MandatoryLabel": "S-1-16-12288",
    }
    sysmon = {
        "ProcessGuid": s.guid(host),
        "ProcessId": str(pid),
        "Image": image,
        "FileVersion": "10.0.19041.1",
        "Description": "-",
        "Product": "-",
        "Company": "-",
        "OriginalFileName": image.rsplit("\\", 1)[-1],
        "CommandLine": command,
        "CurrentDirectory": _S32,
        "User": f"{AD_DOMAIN}\\{person.username}",
        "LogonGuid": s.guid(host),
        "LogonId": logon_id,
        "TerminalSessionId": "1",
        "IntegrityLevel": "High",
        "Hashes": hashes(image),
        "ParentProcessGuid": s.guid(host),
        "ParentProcessId": str(parent_pid),
        "ParentImage": parent,
        "ParentCommandLine": parent,
    }
    return Draft(host, _SEC, 4688, audit), Draft(host, _SMN, 1, sysmon)


def sysmon(s: Scene, host: Host, event_id: int, image: str, person: Person | None = None, **data: str) -> Draft:
    """Any Sysmon event that is told by one process."""
    user = f"{AD_DOMAIN}\\{person.username}" if person else "NT AUTHORITY\\SYSTEM"
    base = {"ProcessGuid": s.guid(host), "ProcessId": str(s.pid()), "Image": image, "User": user}
    return Draft(host, _SMN, event_id, base | data)


def connection(
    s: Scene, host: Host, person: Person | None, image: str, address: str, port: int, name: str = "-"
) -> Draft:
    """Sysmon 3, initiated by the host."""
    return sysmon(
        s, host, 3, image, person, Protocol="tcp", Initiated="true", SourceIsIpv6="false", SourceIp=host.address,
        SourceHostname=host.fqdn, SourcePort=str(49152 + s.rng.randrange(16000)), SourcePortName="-",
        DestinationIsIpv6=str(":" in address).lower(), DestinationIp=address, DestinationHostname=name,
        DestinationPort=str(port), DestinationPortName="https" if port == 443 else "-",
    )  # fmt: skip


def service_installed(s: Scene, host: Host, person: Person, name: str, path: str) -> Draft:
    """System 7045."""
    data = {"ServiceName": name, "ImagePath": path, "ServiceType": "user mode service", "StartType": "auto start"}
    return Draft(host, _SYS, 7045, data | {"AccountName": "LocalSystem"})


def script(s: Scene, host: Host, text: str) -> Draft:
    """PowerShell 4104."""
    return Draft(
        host,
        _PSH,
        4104,
        {"MessageNumber": "1", "MessageTotal": "1", "ScriptBlockText": text, "ScriptBlockId": s.guid(host)[1:-1]},
    )
