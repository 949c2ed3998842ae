"""AWS CloudTrail records of the estate: who acts, on what, with which outcome.

Layout as in AWS's "CloudTrail record contents" (eventVersion 1.08/1.09) and in real deliveries: open
`requestParameters`, `sourceIPAddress` that is an address or a service name, `userIdentity` of six types. The catalogue
of calls stands in `cloudtrail_calls`, the delivery into S3 keys in `delivery`.
"""

from __future__ import annotations

import random

from orchestration.demo.estate.company import REGIONS, Company, Person, identifier
from orchestration.demo.estate.events import Event, Record, dump, utc_seconds, uuid4
from orchestration.demo.estate.networks import PLACES
from orchestration.demo.estate.sources.cloudtrail_calls import PROFILES, SERVICES, Call

SOURCE = "aws_cloudtrail"
UNMAPPED = "AwsVpceEvent"
_CLI = "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.0 exe/x86_64.amzn.2023 prompt/off command/"
_AGENTS = {
    "engineer": (_CLI + "ec2.describe-instances", "APN/1.0 HashiCorp/1.0 Terraform/1.7.4", "AWS Internal"),
    "application": ("Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#6.1.77", "aws-sdk-java/2.25.6 Linux/6.1.77"),
    "pipeline": ("aws-sdk-go-v2/1.25.2 os/linux lang/go#1.22.0",),
}
_BROWSER = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/122.0.0.0 Safari/537.36"
_ROLES = ("claims-api", "portal-web", "etl-nightly", "billing-worker", "ehr-sync")
_USERS = ("ci-deployer", "svc-backup", "svc-metrics", "legacy-reporting")


class CloudTrailFeed:
    """Builds records; one random generator, so the order of calls is part of the estate's identity."""

    def __init__(self, company: Company, rng: random.Random) -> None:
        self.company, self.rng = company, rng
        self.engineers = company.in_department("Engineering") + company.in_department("Information Technology")
        self.names = list(PROFILES)
        self.weights = [profile.weight for profile in PROFILES.values()]

    def event(self, at: float, arrived: float) -> Event:
        """One background event of a profile drawn by weight."""
        name = self.rng.choices(self.names, self.weights)[0]
        profile = PROFILES[name]
        account = self.company.accounts[self.rng.choices(("prod", "pci", "dev"), (6, 2, 3))[0]]
        region = REGIONS[self.rng.random() < 0.3]
        call = self.rng.choices(profile.calls, profile.call_weights)[0]
        record = getattr(self, f"_{name}")(call, account, region, at)
        return self.wrap(record, at, arrived)

    def wrap(self, record: Record, at: float, arrived: float) -> Event:
        """The record as an event of its account's and region's folder."""
        lane = (record["recipientAccountId"], record["awsRegion"])
        return Event(SOURCE, at, arrived, dump(record), record["eventID"], record["eventName"], lane)

    def record(
        self, call: Call, identity: Record, account: str, region: str, at: float, address: str, agent: str
    ) -> Record:
        """The envelope every record shares, with the call's own parameters."""
        rng, service = self.rng, call.source.partition(".")[0]
        record: Record = {
            "eventVersion": "1.09" if service in ("sts", "s3", "kms") else "1.08",
            "userIdentity": identity,
            "eventTime": utc_seconds(at),
            "eventSource": call.source,
            "eventName": call.name,
            "awsRegion": "us-east-1" if service in ("iam", "signin") else region,
            "sourceIPAddress": address,
            "userAgent": agent,
            "requestParameters": call.parameters(rng) if call.parameters else None,
            "responseElements": call.response(rng) if call.response else None,
            "requestID": uuid4(rng),
            "eventID": uuid4(rng),
            "readOnly": call.read_only,
            "eventType": "AwsApiCall",
            "managementEvent": not call.data,
            "recipientAccountId": account,
            "eventCategory": "Data" if call.data else "Management",
        }
        if call.resource:
            record["resources"] = [
                {"accountId": account, "type": call.resource, "ARN": f"arn:aws:{service}:::{call.name.lower()}"}
            ]
        if not address.endswith("amazonaws.com"):
            host = f"{service}.{region}.amazonaws.com"
            suite = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": host}
            record["tlsDetails"] = suite
        return record

    def assumed_role(self, role: str, session: str, account: str, at: float, mfa: bool = False) -> Record:
        """`userIdentity` of a role session that began up to an hour ago."""
        principal = "AROA" + identifier(f"{account}/{role}", 17)
        began = utc_seconds(at - self.rng.randrange(60, 3500))
        return {
            "type": "AssumedRole",
            "principalId": f"{principal}:{session}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
            "accountId": account,
            "accessKeyId": "ASIA" + identifier(f"{account}/{session}/{began}", 16),
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": principal,
                    "arn": f"arn:aws:iam::{account}:role/{role}",
                    "accountId": account,
                    "userName": role,
                },
                "webIdFederationData": {},
                "attributes": {"creationDate": began, "mfaAuthenticated": str(mfa).lower()},
            },
        }

    def iam_user(self, name: str, account: str) -> Record:
        """`userIdentity` of a long-lived user with an access key."""
        return {
            "type": "IAMUser",
            "principalId": "AIDA" + identifier(f"{account}/{name}", 17),
            "arn": f"arn:aws:iam::{account}:user/{name}",
            "accountId": account,
            "accessKeyId": "AKIA" + identifier(f"key/{account}/{name}", 16),
            "userName": name,
        }

    def _where(self, person: Person) -> str:
        draw = self.rng.random()
        if draw < 0.5 and person.commutes:
            return PLACES[person.office].address(1 + self.rng.randrange(20))
        return person.home_address if draw < 0.8 else PLACES["vpn"].address(1 + self.rng.randrange(8))

    def _failed(self, record: Record, share: float) -> Record:
        if self.rng.random() < share:
            code, text = self.rng.choice(
                (("AccessDenied", "is not authorized to perform"), ("ThrottlingException", "Rate exceeded"))
            )
            actor = record["userIdentity"].get("arn", "unknown")
            action = f"{record['eventSource'].partition('.')[0]}:{record['eventName']}"
            record["errorCode"] = code
            record["errorMessage"] = f"User: {actor} {text}: {action}" if code == "AccessDenied" else text
            record["responseElements"] = None
        return record

    def _application(self, call: Call, account: str, region: str, at: float) -> Record:
        role = self.rng.choice(_ROLES)
        identity = self.assumed_role(role, f"i-{identifier(role + region, 17, '0123456789abcdef')}", account, at)
        address = f"10.40.{self.rng.randrange(4)}.{self.rng.randrange(10, 200)}"
        record = self.record(call, identity, account, region, at, address, self.rng.choice(_AGENTS["application"]))
        if call.data:
            record["vpcEndpointId"] = "vpce-" + identifier(account + region, 17, "0123456789abcdef")
        return self._failed(record, 0.01)

    def _engineer(self, call: Call, account: str, region: str, at: float) -> Record:
        person = self.rng.choice(self.engineers)
        role = f"AWSReservedSSO_{self.rng.choice(('PowerUser', 'ReadOnly', 'PlatformAdmin'))}_7d1f2a90c4b35e68"
        identity = self.assumed_role(role, person.email, account, at)
        return self._failed(
            self.record(call, identity, account, region, at, self._where(person), self.rng.choice(_AGENTS["engineer"])),
            0.06,
        )

    def _administrator(self, call: Call, account: str, region: str, at: float) -> Record:
        person = self.company.person(self.rng.choice(("ruth.adeyemi", "ingrid.solberg")))
        identity = self.assumed_role(
            "AWSReservedSSO_PlatformAdmin_7d1f2a90c4b35e68", person.email, account, at, mfa=True
        )
        return self._failed(self.record(call, identity, account, region, at, self._where(person), _BROWSER), 0.02)

    def _pipeline(self, call: Call, account: str, region: str, at: float) -> Record:
        identity = self.iam_user(self.rng.choice(_USERS), account)
        address = PLACES["ci"].address(1 + self.rng.randrange(20))
        return self._failed(self.record(call, identity, account, region, at, address, _AGENTS["pipeline"][0]), 0.03)

    def _service(self, call: Call, account: str, region: str, at: float) -> Record:
        name = self.rng.choice(SERVICES)
        record = self.record(call, {"type": "AWSService", "invokedBy": name}, account, region, at, name, name)
        record["sharedEventID"] = uuid4(self.rng)
        return record

    def _federated(self, call: Call, account: str, region: str, at: float) -> Record:
        name = self.rng.choice(("vendor-auditor", "vendor-imaging"))
        issuer = self.iam_user("legacy-reporting", account)
        del issuer["accessKeyId"]
        identity: Record = {
            "type": "FederatedUser",
            "principalId": f"{account}:{name}",
            "arn": f"arn:aws:sts::{account}:federated-user/{name}",
            "accountId": account,
            "accessKeyId": "ASIA" + identifier(f"fed/{name}", 16),
            "sessionContext": {"sessionIssuer": issuer},
        }
        return self._failed(
            self.record(call, identity, account, region, at, PLACES["vendor"].address(4), _AGENTS["engineer"][0]), 0.1
        )

    def _sign_in(self, call: Call, account: str, region: str, at: float) -> Record:
        person = self.rng.choice(self.engineers)
        kind = self.rng.choices(("sso", "user", "root"), (14, 5, 0.4))[0]
        if kind == "root":
            identity: Record = {
                "type": "Root",
                "principalId": account,
                "arn": f"arn:aws:iam::{account}:root",
                "accountId": account,
            }
        elif kind == "user":
            identity = self.iam_user(person.username, account)
        else:
            identity = self.assumed_role("AWSReservedSSO_PowerUser_7d1f2a90c4b35e68", person.email, account, at)
        record = self.record(call, identity, account, region, at, self._where(person), _BROWSER)
        mfa = kind == "user" and self.rng.random() < 0.8
        record |= {"eventType": "AwsConsoleSignIn", "responseElements": {"ConsoleLogin": "Success"}}
        record["additionalEventData"] = {
            "LoginTo": "https://console.aws.amazon.com/console/home",
            "MobileVersion": "No",
            "MFAUsed": "Yes" if mfa else "No",
        }
        if kind == "user" and self.rng.random() < 0.15:
            record |= {"responseElements": {"ConsoleLogin": "Failure"}, "errorMessage": "Failed authentication"}
        return record

    def _internal(self, call: Call, account: str, region: str, at: float) -> Record:
        identity: Record = {"accountId": account, "invokedBy": call.source}
        record = self.record(call, identity, account, region, at, call.source, call.source)
        record["eventType"] = "AwsServiceEvent"
        record["serviceEventDetails"] = {"state": "SUCCEEDED"}
        return record

    def _insight(self, call: Call, account: str, region: str, at: float) -> Record:
        record = self.record(
            call, {"type": "AWSService", "invokedBy": call.source}, account, region, at, call.source, call.source
        )
        statistics = {"baseline": {"average": 0.0024}, "insight": {"average": 2.6}, "insightDuration": 5}
        context = {"statistics": statistics, "attributions": []}
        details = {
            "state": "Start",
            "eventSource": call.source,
            "eventName": call.name,
            "insightType": "ApiCallRateInsight",
        }
        record |= {"eventType": "AwsCloudTrailInsight", "eventCategory": "Insight", "managementEvent": True}
        record["insightDetails"] = {**details, "insightContext": context}
        return record

    def _endpoint(self, call: Call, account: str, region: str, at: float) -> Record:
        """A network activity event: the type of record this lake has no mapping for."""
        record = self._application(call, account, region, at)
        record |= {"eventType": UNMAPPED, "eventCategory": "NetworkActivity", "managementEvent": False}
        return record
