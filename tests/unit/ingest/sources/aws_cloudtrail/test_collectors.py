"""One event in the layouts of everyday collectors is the same record."""

import copy
import json
from typing import Any

import pytest

from ingest.contracts import contract_of
from ingest.sources.aws_cloudtrail.layouts import plain

Record = dict[str, Any]

OWN_NAMES = {each.name.lower(): each.name for each in contract_of("aws_cloudtrail").fields}
ISSUER = {"type": "Role", "arn": "arn:aws:iam::111122223333:role/Admin", "accountId": "111122223333"}
SESSION = {
    "sessionIssuer": ISSUER,
    "attributes": {"creationDate": "2026-03-02T08:00:00Z", "mfaAuthenticated": "true"},
}
EVENT: Record = {
    "eventVersion": "1.09",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROA1:jo",
        "arn": "arn:aws:sts::111122223333:assumed-role/Admin/jo",
        "accessKeyId": "ASIA1",
        "sessionContext": SESSION,
    },
    "eventTime": "2026-03-02T08:15:00Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "198.51.100.23",
    "userAgent": "aws-cli/2.15.30",
    "requestParameters": {"bucketName": "b", "Host": "b.s3.amazonaws.com"},
    "requestID": "request-1",
    "eventID": "event-1",
    "readOnly": True,
    "resources": [{"ARN": "arn:aws:s3:::b", "accountId": "111122223333", "type": "AWS::S3::Bucket"}],
    "recipientAccountId": "111122223333",
    "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
}
TEXT = json.dumps(EVENT)
MAPS = ("requestParameters",)


def small(value: Any) -> Any:
    """Names in small letters, but for those of maps, which Athena keeps as text."""
    if isinstance(value, dict):
        return {name.lower(): json.dumps(each) if name in MAPS else small(each) for name, each in value.items()}
    return [small(each) for each in value] if isinstance(value, list) else value


def joined(value: Record, mark: str, above: str = "") -> Record:
    """Names joined instead of objects; lists and maps as text."""
    found: Record = {}
    for name, each in value.items():
        if isinstance(each, dict) and name not in MAPS:
            found |= joined(each, mark, f"{above}{name}{mark}")
        else:
            found[above + name] = json.dumps(each) if isinstance(each, dict | list) else each
    return found


def sentinel() -> Record:
    """A row of Azure Monitor's table AWSCloudTrail."""
    who = EVENT["userIdentity"]
    return {
        "TimeGenerated": EVENT["eventTime"], "AwsEventId": "event-1", "EventVersion": "1.09",
        "EventSource": EVENT["eventSource"], "EventName": "GetObject", "AWSRegion": "eu-west-1",
        "SourceIpAddress": "198.51.100.23", "UserAgent": EVENT["userAgent"],
        "RequestParameters": json.dumps(EVENT["requestParameters"]), "AwsRequestId_": "request-1", "ReadOnly": True,
        "Resources": json.dumps(EVENT["resources"]), "RecipientAccountId": "111122223333",
        "UserIdentityType": who["type"], "UserIdentityPrincipalid": who["principalId"], "UserIdentityArn": who["arn"],
        "UserIdentityAccessKeyId": "ASIA1", "SessionMfaAuthenticated": "true",
        "SessionCreationDate": SESSION["attributes"]["creationDate"], "SessionIssuerType": "Role",
        "SessionIssuerArn": ISSUER["arn"], "SessionIssuerAccountId": ISSUER["accountId"], "TlsVersion": "TLSv1.3",
        "CipherSuite": "TLS_AES_128_GCM_SHA256",
    }  # fmt: skip


def elastic() -> Record:
    """A document of Filebeat's module, without the event's own text."""
    who = EVENT["userIdentity"]
    session = {"mfa_authenticated": "true", "creation_date": SESSION["attributes"]["creationDate"]}
    issuer = {"type": "Role", "arn": ISSUER["arn"], "account_id": ISSUER["accountId"]}
    return {
        "@timestamp": EVENT["eventTime"],
        "event": {"id": "event-1", "action": "GetObject", "provider": EVENT["eventSource"]},
        "cloud": {"region": "eu-west-1", "account": {"id": "111122223333"}},
        "source": {"address": "198.51.100.23"},
        "user_agent": {"original": EVENT["userAgent"]},
        "user": {"id": who["principalId"]},
        "tls": {"cipher": "TLS_AES_128_GCM_SHA256"},
        "aws": {
            "cloudtrail": {
                "event_version": "1.09",
                "user_identity": {
                    "type": who["type"],
                    "arn": who["arn"],
                    "access_key_id": "ASIA1",
                    "session_context": session | {"session_issuer": issuer},
                },
                "request_parameters": "{bucketName=b, Host=b.s3.amazonaws.com}",
                "flattened": {"request_parameters": EVENT["requestParameters"]},
                "request_id": "request-1",
                "read_only": True,
                "resources": [{"arn": "arn:aws:s3:::b", "account_id": "111122223333", "type": "AWS::S3::Bucket"}],
                "tls_details": {"tls_version": "TLSv1.3"},
            }
        },
    }


LAYOUTS: dict[str, Record] = {
    "Athena": small(EVENT),
    "names joined by dots": joined(EVENT, "."),
    "names joined by underscores, small": {name.lower(): value for name, value in joined(EVENT, "_").items()},
    "Sentinel": sentinel(),
    "Elastic": elastic(),
    "Filebeat": {"@timestamp": "2026-03-02T08:20:00Z", "message": TEXT},
    "Elastic with the original": {"event": {"original": TEXT, "id": "event-1"}},
    "an index of Elasticsearch": {"_source": EVENT},
    "Splunk": {"result": {"_raw": TEXT}},
    "fluent-bit": {"log": TEXT},
    "LookupEvents": {"EventId": "event-1", "EventName": "GetObject", "CloudTrailEvent": TEXT},
    "objects as text": EVENT | {"userIdentity": json.dumps(EVENT["userIdentity"])},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_event_is_the_same_in_every_layout(layout: str) -> None:
    made = plain(copy.deepcopy(LAYOUTS[layout]), OWN_NAMES)
    assert made is not None
    made.setdefault("eventTime", made.pop("@timestamp", None))
    assert {name: made.get(name) for name in EVENT} == EVENT


def test_what_an_envelope_adds_stays_beside_the_event() -> None:
    agent, at = {"type": "filebeat"}, "2026-03-02T08:20:00Z"
    made = plain({"@timestamp": at, "message": TEXT, "agent": agent, "host": "aws-cli/2.15.30"}, OWN_NAMES)
    assert made == EVENT | {"collector.@timestamp": at, "agent": agent}


@pytest.mark.parametrize("record", [EVENT, {"message": "no JSON"}, {"eventName": "GetObject"}, {"message": "{}"}])
def test_a_record_in_its_own_layout_and_one_without_an_event_are_left_alone(record: Record) -> None:
    assert plain(copy.deepcopy(record), OWN_NAMES) is None
