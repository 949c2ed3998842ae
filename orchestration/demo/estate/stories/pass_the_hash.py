"""The second true story: the hash of one local administrator opens one workstation after another.

In the early afternoon somebody on a workstation of Clinical Operations passes the hash of the built-in Administrator,
whose password is the same on all of them, to three others: 4624 of type 3 by NTLM without a session key, special
privileges (4672), and on two of them PSEXESVC as a service (7045) with a shell under it (4688, Sysmon 1). The account
is local: no directory knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from orchestration.demo.estate.company import Company, Host, identifier
from orchestration.demo.estate.sources.windows import SOURCE as WINDOWS
from orchestration.demo.estate.sources.windows import WindowsFeed
from orchestration.demo.estate.sources.windows_events import (
    Draft,
    NtlmAccount,
    ntlm_logon,
    process,
    service_installed,
    special_logon,
)
from orchestration.demo.estate.stories.incident import Planted
from orchestration.demo.estate.timeline import Timeline

STORY, SHARE, ACCOUNT = "pass_the_hash", 0.78, "Administrator"
_SERVICE = ("PSEXESVC", "%SystemRoot%\\PSEXESVC.exe")
_SHELL = ("C:\\Windows\\System32\\cmd.exe", "cmd.exe /c whoami /all", "C:\\Windows\\PSEXESVC.exe")
_EVERY_SECONDS = 240.0


def plan(company: Company, windows: WindowsFeed, timeline: Timeline) -> list[Planted]:
    """The story as a plan, in order of time."""
    origin, *targets = machines(company)
    began, planted = timeline.at(SHARE), []
    for turn, host in enumerate(targets):
        for number, (step, draft) in enumerate(_drafts(company, windows, origin, host, with_service=turn < 2)):
            at = began + turn * _EVERY_SECONDS + number * 9.0
            planted.append(Planted(at, WINDOWS, STORY, step, partial(windows.wrap, draft)))
    return planted


def machines(company: Company) -> list[Host]:
    """The workstation it comes from, and the three it goes to."""
    hosts = [company.workstations[person.username] for person in company.in_department("Clinical Operations")]
    return [host for host in hosts if host.layout == "nxlog"][:4]


def local_sid(host: Host) -> str:
    """The SID of a machine's own Administrator."""
    parts = "-".join(identifier(f"{host.name}/{part}", 9, "123456789") for part in range(3))
    return f"S-1-5-21-{parts}-500"


def _drafts(
    company: Company, feed: WindowsFeed, origin: Host, host: Host, with_service: bool
) -> Iterator[tuple[str, Draft]]:
    s, session = feed.scene, feed.scene.logon_id()
    account = NtlmAccount(ACCOUNT, host.name, local_sid(host), key_length=0)
    who = replace(company.people[0], username=ACCOUNT, sid=account.sid)
    yield "network_logon", ntlm_logon(s, host, account, origin.address, session, origin.name)
    yield "special_privileges", _local(special_logon(s, host, who, session))
    if with_service:
        yield "service_installed", service_installed(s, host, who, *_SERVICE)
        for draft in process(s, host, who, _SHELL, session):
            yield "process", _local(draft)


def _local(draft: Draft) -> Draft:
    """The same, told of an account of the machine instead of the domain."""
    name = draft.host.name
    if "SubjectDomainName" in draft.data:
        draft.data["SubjectDomainName"] = name
    if "User" in draft.data:
        draft.data["User"] = f"{name}\\{ACCOUNT}"
    return draft
