"""What others call to verify log files of CloudTrail: from settings to places and keys, and when it can be done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ingest.sources.aws_cloudtrail.digest.chain import DUE
from ingest.sources.aws_cloudtrail.digest.keys import AwsKeys, FileKeys
from ingest.sources.aws_cloudtrail.digest.logs import landed
from ingest.sources.aws_cloudtrail.digest.places import hour_span
from ingest.sources.aws_cloudtrail.digest.report import Report
from ingest.sources.aws_cloudtrail.digest.verify import open_root, verify
from lake.storage.store import AwsAccess, Store

SETTLED = DUE + timedelta(hours=1)  # after an hour's end, its digests and those that prove them are there


def verify_hours(
    store: Store,
    root: str,
    digests: str | None,
    public_keys: str | Sequence[Path],
    access: AwsAccess,
    first: str,
    last: str,
    now: datetime,
) -> Report:
    """Verify the log files that arrived in hours `YYYY-MM-DDTHH`, both included, as of `now` (UTC, aware).

    `root` and `digests` (None: the same) are folders or `s3://bucket/prefix`; `public_keys` are files, or "aws".

    Raises:
        PublicKeyError, FileNotFoundError: a place holds no public key, or is not there.
        AccessDenied, StoreUnavailable: a bucket cannot be read; the message says what is missing.
    """
    span, logs = hour_span(first, last), open_root(root, access)
    keys = AwsKeys(access) if isinstance(public_keys, str) else FileKeys(public_keys)
    apart = open_root(digests, access) if digests else logs
    return verify(logs, apart, keys, first, last, now, landed(store, span.start, span.end))
