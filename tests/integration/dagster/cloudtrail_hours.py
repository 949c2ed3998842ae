"""A small CloudTrail delivery made by hand, and the part of the dbt project that publishes it.

What belongs here: objects of one trail, settings, a dbt project of three tables. What does not: expectations.
"""

import gzip
import json
import os
from pathlib import Path

from orchestration.settings import PROJECT
from tests.integration.parsed import copied, parsed

SOURCE = "aws_cloudtrail"
TABLES = ("api_activity", "base_event", "dispositions")


def call(uid: str, at: str) -> dict[str, object]:
    """Return one API call as CloudTrail records it; `at` is the event time (ISO 8601, Z)."""
    identity = {"type": "IAMUser", "arn": "arn:aws:iam::100200300401:user/ann", "userName": "ann"}
    return {
        "eventVersion": "1.08",
        "eventID": uid,
        "eventTime": at,
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "userIdentity": identity,
        "eventType": "AwsApiCall",
        "readOnly": True,
        "recipientAccountId": "100200300401",
    }


def deliver(root: Path, delivered: str, *records: dict[str, object]) -> Path:
    """Write one object delivered at `delivered` (`20260302T0505Z`), where CloudTrail would put it."""
    day = f"{delivered[:4]}/{delivered[4:6]}/{delivered[6:8]}"
    name = f"100200300401_CloudTrail_eu-west-1_{delivered}_{len(records)}AbCdEfGhIjKlMno.json.gz"
    path = root / f"AWSLogs/100200300401/CloudTrail/eu-west-1/{day}/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode(), mtime=0))
    os.utime(path, (1_772_500_000, 1_772_500_000))
    return path


def project(folder: Path) -> Path:
    """Copy the part of the dbt project that publishes API calls and what has no route."""
    names = ["staging/stg_aws__cloudtrail.sql", "staging/_sources.yml", f"events/{SOURCE}.sql"]
    names += [f"silver/{table}/{table}__{SOURCE}.sql" for table in TABLES]
    return parsed(copied(folder, (PROJECT / "models" / name for name in names)))
