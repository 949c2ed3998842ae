"""Twelve Windows events, each as its manifest has it: the header, and the event data by name, in order."""

from typing import Any

AT = "2026-03-14T09:12:21.1234560Z"
COMPUTER = "DC1.example.com"
SECURITY = ("Microsoft-Windows-Security-Auditing", "{54849625-5478-4994-a5ba-3e3b0328c30d}", "Security")
SYSMON = (
    "Microsoft-Windows-Sysmon",
    "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}",
    "Microsoft-Windows-Sysmon/Operational",
)
POWERSHELL = (
    "Microsoft-Windows-PowerShell",
    "{a0c1853b-5c40-4b15-8766-3cf1c58f985a}",
    "Microsoft-Windows-PowerShell/Operational",
)
SUBJECT = {
    "SubjectUserSid": "S-1-5-21-1-2-3-500",
    "SubjectUserName": "mallory",
    "SubjectDomainName": "EXAMPLE",
    "SubjectLogonId": "0x50e87",
}
GUIDS = [f"{{82b2c6a6-2312-6494-6603-00000000050{number}}}" for number in range(3)]
UTC_TIME = {"RuleName": "-", "UtcTime": "2026-03-14 09:12:21.123"}
PROCESS = {"ProcessGuid": GUIDS[0], "ProcessId": "7356", "Image": r"C:\Windows\System32\cmd.exe"}
HASHES = "SHA1=" + "A1" * 20 + ",MD5=" + "B2" * 16 + ",SHA256=" + "C3" * 32 + ",IMPHASH=" + "D4" * 16


def event(log: tuple[str, str, str], number: int, keywords: str, data: dict[str, str]) -> dict[str, Any]:
    provider, guid, channel = log
    return {
        "provider": provider, "guid": guid, "channel": channel, "id": number, "keywords": keywords,
        "record": 80_000 + number,
        "level": 0 if log is SECURITY else 4, "task": 12544, "opcode": 0, "version": 2, "pid": 700, "tid": 800,
        "user": "" if log is SECURITY else "S-1-5-18", "data": data,
    }  # fmt: skip


SUCCESS, FAILURE, NONE = "0x8020000000000000", "0x8010000000000000", "0x8000000000000000"
EVENTS = {
    "4624": event(SECURITY, 4624, SUCCESS, {
        **SUBJECT, "TargetUserSid": "S-1-5-21-1-2-3-1105", "TargetUserName": "dora", "TargetDomainName": "EXAMPLE",
        "TargetLogonId": "0x22caae", "LogonType": "3", "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM", "WorkstationName": "WS-31",
        "LogonGuid": "{00000000-0000-0000-0000-000000000000}", "TransmittedServices": "-", "LmPackageName": "NTLM V2",
        "KeyLength": "128", "ProcessId": "0x2f4", "ProcessName": r"C:\Windows\System32\lsass.exe",
        "IpAddress": "198.51.100.40", "IpPort": "50123", "ImpersonationLevel": "%%1833", "RestrictedAdminMode": "-",
        "TargetOutboundUserName": "-", "TargetOutboundDomainName": "-", "VirtualAccount": "%%1843",
        "TargetLinkedLogonId": "0x0", "ElevatedToken": "%%1842",
    }),
    "4625": event(SECURITY, 4625, FAILURE, {
        **SUBJECT, "TargetUserSid": "S-1-0-0", "TargetUserName": "erik", "TargetDomainName": "EXAMPLE",
        "Status": "0xc000006d", "FailureReason": "%%2313", "SubStatus": "0xc000006a", "LogonType": "10",
        "LogonProcessName": "User32", "AuthenticationPackageName": "Negotiate", "WorkstationName": "WS-32",
        "TransmittedServices": "-", "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x3f8",
        "ProcessName": r"C:\Windows\System32\svchost.exe", "IpAddress": "203.0.113.9", "IpPort": "40001",
    }),
    "4688": event(SECURITY, 4688, SUCCESS, {
        **SUBJECT, "NewProcessId": "0x2bc", "NewProcessName": r"C:\Windows\System32\whoami.exe",
        "TokenElevationType": "%%1936", "ProcessId": "0x1a4", "CommandLine": "whoami /all",
        "TargetUserSid": "S-1-0-0", "TargetUserName": "-", "TargetDomainName": "-", "TargetLogonId": "0x0",
        "ParentProcessName": r"C:\Windows\System32\cmd.exe", "MandatoryLabel": "S-1-16-12288",
    }),
    "4720": event(SECURITY, 4720, SUCCESS, {
        "TargetUserName": "newb", "TargetDomainName": "EXAMPLE", "TargetSid": "S-1-5-21-1-2-3-1200", **SUBJECT,
        "PrivilegeList": "-", "SamAccountName": "newb", "DisplayName": "New B.",
        "UserPrincipalName": "newb@example.com",
        "HomeDirectory": r"\\fs1\home\newb", "HomePath": "-", "ScriptPath": "-", "ProfilePath": "-",
        "UserWorkstations": "WS-33", "PasswordLastSet": "%%1794", "AccountExpires": "%%1794", "PrimaryGroupId": "513",
        "AllowedToDelegateTo": "-", "OldUacValue": "0x0", "NewUacValue": "0x15", "UserAccountControl": "%%2080",
        "UserParameters": "-", "SidHistory": "-", "LogonHours": "%%1793",
    }),
    "4768": event(SECURITY, 4768, SUCCESS, {
        "TargetUserName": "dora", "TargetDomainName": "EXAMPLE.COM", "TargetSid": "S-1-5-21-1-2-3-1105",
        "ServiceName": "krbtgt", "ServiceSid": "S-1-5-21-1-2-3-502", "TicketOptions": "0x40810010", "Status": "0x0",
        "TicketEncryptionType": "0x12", "PreAuthType": "2", "IpAddress": "::ffff:10.0.0.21", "IpPort": "50111",
        "CertIssuerName": "Example CA", "CertSerialNumber": "4B01", "CertThumbprint": "77AA",
    }),
    "sysmon 1": event(SYSMON, 1, NONE, {
        **UTC_TIME, **PROCESS, "FileVersion": "10.0.19041.1", "Description": "Windows Command Processor",
        "Product": "Microsoft Windows Operating System", "Company": "Microsoft Corporation",
        "OriginalFileName": "Cmd.Exe", "CommandLine": "cmd.exe /c dir", "CurrentDirectory": "C:\\Temp\\",
        "User": r"EXAMPLE\dora", "LogonGuid": GUIDS[2], "LogonId": "0x22caae", "TerminalSessionId": "1",
        "IntegrityLevel": "High", "Hashes": HASHES, "ParentProcessGuid": GUIDS[1], "ParentProcessId": "4001",
        "ParentImage": r"C:\Windows\explorer.exe", "ParentCommandLine": r"C:\Windows\Explorer.EXE",
        "ParentUser": r"EXAMPLE\erik",
    }),
    "sysmon 3": event(SYSMON, 3, NONE, {
        **UTC_TIME, **PROCESS, "User": r"EXAMPLE\dora", "Protocol": "tcp", "Initiated": "true",
        "SourceIsIpv6": "false", "SourceIp": "10.0.0.31", "SourceHostname": "WS-31.example.com", "SourcePort": "50222",
        "SourcePortName": "-", "DestinationIsIpv6": "false", "DestinationIp": "203.0.113.77",
        "DestinationHostname": "evil.example.net", "DestinationPort": "443", "DestinationPortName": "https",
    }),
    "sysmon 8": event(SYSMON, 8, NONE, {
        **UTC_TIME, "SourceProcessGuid": GUIDS[0], "SourceProcessId": "5100", "SourceImage": r"C:\Tools\inject.exe",
        "TargetProcessGuid": GUIDS[1], "TargetProcessId": "6100", "TargetImage": r"C:\Windows\System32\notepad.exe",
        "NewThreadId": "7100", "StartAddress": "0x00007FF6A0000000", "StartModule": r"C:\Windows\System32\kernel32.dll",
        "StartFunction": "LoadLibraryA", "SourceUser": r"EXAMPLE\dora", "TargetUser": r"EXAMPLE\erik",
    }),
    "sysmon 11": event(SYSMON, 11, NONE, {
        **UTC_TIME, **PROCESS, "TargetFilename": r"C:\Users\dora\Downloads\x.exe",
        "CreationUtcTime": "2026-03-14 09:12:21.100", "User": r"EXAMPLE\dora",
    }),
    "sysmon 13": event(SYSMON, 13, NONE, {
        "RuleName": "T1547", "EventType": "SetValue", "UtcTime": "2026-03-14 09:12:21.123", **PROCESS,
        "TargetObject": r"HKLM\Software\Microsoft\Windows\CurrentVersion\Run\x", "Details": "DWORD (0x00000001)",
        "User": r"EXAMPLE\dora",
    }),
    "sysmon 22": event(SYSMON, 22, NONE, {
        **UTC_TIME, "ProcessGuid": GUIDS[0], "ProcessId": "7356", "QueryName": "www.example.net", "QueryStatus": "0",
        "QueryResults": "type:  5 edge.example.net;203.0.113.80;2001:db8::80;",
        "Image": r"C:\Windows\System32\cmd.exe", "User": r"EXAMPLE\dora",
    }),
    "powershell 4104": event(POWERSHELL, 4104, "0x0", {
        "MessageNumber": "1", "MessageTotal": "1", "ScriptBlockText": "Get-Process | ForEach-Object { $_ }",
        "ScriptBlockId": "6d90e0bb-e381-4834-8fe2-5e076ad267b3", "Path": r"C:\Scripts\a.ps1",
    }),
}  # fmt: skip
