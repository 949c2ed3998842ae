"""The catalogue of AWS calls the estate's identities make, by profile, with weights.

A profile is a way of working (an application reading its bucket, an engineer looking around); `cloudtrail` gives it an
identity. Adding a call is one line here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from orchestration.demo.estate.events import Record, uuid4

Maker = Callable[[random.Random], Record]
BUCKETS = ("larkspur-claims", "larkspur-portal-assets", "larkspur-etl-stage", "larkspur-imaging", "larkspur-audit")
SERVICES = (
    "rds.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "lambda.amazonaws.com",
    "autoscaling.amazonaws.com",
    "config.amazonaws.com",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One API operation; `data` marks a data event, `parameters` and `response` make its open maps."""

    source: str
    name: str
    read_only: bool = True
    data: bool = False
    parameters: Maker | None = None
    response: Maker | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Calls of one way of working; `weight` is its share of all records in percent."""

    weight: float
    calls: tuple[Call, ...]
    call_weights: tuple[float, ...]


def _profile(weight: float, *entries: tuple[float, Call]) -> Profile:
    return Profile(weight, tuple(call for _, call in entries), tuple(share for share, _ in entries))


def _object(rng: random.Random) -> Record:
    bucket = rng.choice(BUCKETS)
    key = f"{rng.choice(('incoming', 'curated', 'reports'))}/2026/{rng.getrandbits(40):010x}.parquet"
    return {"bucketName": bucket, "Host": f"{bucket}.s3.us-east-1.amazonaws.com", "key": key}


def _bucket(rng: random.Random) -> Record:
    return {"bucketName": rng.choice(BUCKETS), "Host": "s3.us-east-1.amazonaws.com", "list-type": "2"}


def _key(rng: random.Random) -> Record:
    return {
        "encryptionContext": {"aws:s3:arn": f"arn:aws:s3:::{rng.choice(BUCKETS)}"},
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }


def _parameter(rng: random.Random) -> Record:
    return {"name": f"/claims/{rng.choice(('db-url', 'queue', 'feature-flags'))}", "withDecryption": True}


def _secret(rng: random.Random) -> Record:
    return {"secretId": f"prod/{rng.choice(('claims-db', 'billing-db', 'ehr-token'))}"}


def _user(rng: random.Random) -> Record:
    return {"userName": rng.choice(("svc-backup", "svc-metrics", "legacy-reporting", "ci-deployer"))}


def _policy(rng: random.Random) -> Record:
    return {
        **_user(rng),
        "policyArn": f"arn:aws:iam::aws:policy/{rng.choice(('ReadOnlyAccess', 'AmazonS3ReadOnlyAccess'))}",
    }


def _access_key(rng: random.Random) -> Record:
    return {"accessKey": {"accessKeyId": f"AKIA{rng.getrandbits(64):016X}", "status": "Active", **_user(rng)}}


def _role(rng: random.Random) -> Record:
    role = f"arn:aws:iam::100200300401:role/{rng.choice(('claims-api', 'etl-nightly', 'billing-worker'))}"
    return {"roleArn": role, "roleSessionName": f"s-{rng.getrandbits(48):012x}", "durationSeconds": 3600}


def _credentials(rng: random.Random) -> Record:
    return {"credentials": {"accessKeyId": f"ASIA{rng.getrandbits(64):016X}", "expiration": "Mar 3, 2026, 1:00:00 AM"}}


def _instances(rng: random.Random) -> Record:
    return {"instancesSet": {"items": [{"instanceId": f"i-0{rng.getrandbits(64):016x}"}]}, "filterSet": {}}


def _function(rng: random.Random) -> Record:
    return {"functionName": rng.choice(("claims-intake", "thumbnailer", "nightly-report"))}


def _stack(rng: random.Random) -> Record:
    return {"stackName": f"larkspur-{rng.choice(('portal', 'etl', 'billing'))}", "clientRequestToken": uuid4(rng)}


def _group(rng: random.Random) -> Record:
    return {**_user(rng), "groupName": rng.choice(("auditors", "operators"))}


_S3, _KMS, _IAM, _EC2, _STS = (
    "s3.amazonaws.com",
    "kms.amazonaws.com",
    "iam.amazonaws.com",
    "ec2.amazonaws.com",
    "sts.amazonaws.com",
)
_BUCKET_TYPE, _OBJECT_TYPE, _KEY_TYPE, _ROLE_TYPE = (
    "AWS::S3::Bucket",
    "AWS::S3::Object",
    "AWS::KMS::Key",
    "AWS::IAM::Role",
)

PROFILES: dict[str, Profile] = {
    "application": _profile(
        48,
        (20, Call(_S3, "GetObject", True, True, _object, None, _OBJECT_TYPE)),
        (9, Call(_S3, "PutObject", False, True, _object, None, _OBJECT_TYPE)),
        (5, Call(_S3, "ListObjects", True, True, _bucket, None, _BUCKET_TYPE)),
        (12, Call(_KMS, "Decrypt", parameters=_key, resource=_KEY_TYPE)),
        (6, Call(_KMS, "GenerateDataKey", parameters=_key, resource=_KEY_TYPE)),
        (7, Call("ssm.amazonaws.com", "GetParameter", parameters=_parameter)),
        (5, Call("secretsmanager.amazonaws.com", "GetSecretValue", parameters=_secret)),
        (4, Call("lambda.amazonaws.com", "Invoke", False, True, _function)),
        (3, Call(_STS, "GetCallerIdentity")),
    ),
    "engineer": _profile(
        22,
        (10, Call(_EC2, "DescribeInstances", parameters=_instances)),
        (5, Call(_EC2, "DescribeSecurityGroups")),
        (3, Call(_EC2, "DescribeVolumes")),
        (3, Call(_IAM, "ListAttachedRolePolicies", parameters=lambda r: {"roleName": "claims-api"})),
        (3, Call("rds.amazonaws.com", "DescribeDBInstances")),
        (3, Call("logs.amazonaws.com", "DescribeLogGroups")),
        (2, Call("lambda.amazonaws.com", "ListFunctions20150331")),
        (2, Call(_S3, "GetBucketAcl", parameters=_bucket, resource=_BUCKET_TYPE)),
        (1, Call(_EC2, "RunInstances", False, False, _instances)),
        (1, Call(_EC2, "StopInstances", False, False, _instances)),
        (
            1,
            Call(
                "ssm.amazonaws.com", "StartSession", False, False, lambda r: {"target": f"i-0{r.getrandbits(64):016x}"}
            ),
        ),
    ),
    "pipeline": _profile(
        9,
        (4, Call("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", False, False, _function)),
        (4, Call("cloudformation.amazonaws.com", "UpdateStack", False, False, _stack)),
        (4, Call("cloudformation.amazonaws.com", "DescribeStacks", parameters=_stack)),
        (5, Call("ecr.amazonaws.com", "PutImage", False, False, lambda r: {"repositoryName": "claims-api"})),
        (5, Call(_STS, "AssumeRole", parameters=_role, response=_credentials, resource=_ROLE_TYPE)),
    ),
    "service": _profile(
        15,
        (9, Call(_STS, "AssumeRole", parameters=_role, response=_credentials, resource=_ROLE_TYPE)),
        (5, Call(_KMS, "GenerateDataKey", parameters=_key, resource=_KEY_TYPE)),
        (1, Call("logs.amazonaws.com", "CreateLogStream", False)),
    ),
    "administrator": _profile(
        1.6,
        (3, Call(_IAM, "AttachUserPolicy", False, False, _policy)),
        (2, Call(_IAM, "CreateUser", False, False, _user)),
        (1, Call(_IAM, "DeleteUser", False, False, _user)),
        (1, Call(_IAM, "CreateAccessKey", False, False, _user, _access_key)),
        (2, Call(_IAM, "AddUserToGroup", False, False, _group)),
        (1, Call(_IAM, "RemoveUserFromGroup", False, False, _group)),
        (1, Call(_IAM, "UpdateLoginProfile", False, False, _user)),
        (2, Call(_S3, "PutBucketPolicy", False, False, _bucket, None, _BUCKET_TYPE)),
        (2, Call(_EC2, "AuthorizeSecurityGroupIngress", False)),
    ),
    "sign_in": _profile(2, (1, Call("signin.amazonaws.com", "ConsoleLogin", False))),
    "federated": _profile(1.2, (3, Call(_S3, "ListBuckets")), (1, Call(_S3, "GetBucketPolicy", parameters=_bucket))),
    "internal": _profile(
        0.9, (2, Call("secretsmanager.amazonaws.com", "RotationStarted", False)), (1, Call(_KMS, "RotateKey", False))
    ),
    "insight": _profile(0.1, (1, Call("ssm.amazonaws.com", "GetParameter")), (1, Call(_EC2, "RunInstances"))),
    "endpoint": _profile(0.2, (1, Call(_KMS, "Decrypt")), (1, Call(_S3, "GetObject"))),
}
