"""A normal day as endpoint sensors tell it: processes, modules, connections, registry, names, scripts.

The Sysmon and PowerShell part of `windows_background`, which weighs and calls these.
"""

from __future__ import annotations

from orchestration.demo.estate.company import AD_DOMAIN, DNS_DOMAIN
from orchestration.demo.estate.sources.windows_events import (
    PROGRAMS,
    Data,
    Draft,
    Scene,
    connection,
    hashes,
    process,
    script,
    sysmon,
)

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
