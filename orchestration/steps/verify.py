"""Verifying: the log files of a span of arrival hours, from where the settings say they, their digests and keys are.

What belongs here: from settings to places, keys and receipts; which hours can be verified by now. What does not: how
log files are verified (`ingest.sources.aws_cloudtrail.digest_verify`), showing it.
"""

from datetime import UTC, datetime, timedelta

from ingest.contracts import Contract
from ingest.sources.aws_cloudtrail.digest_chain import DUE
from ingest.sources.aws_cloudtrail.digest_keys import AwsKeys, FileKeys, PublicKeys
from ingest.sources.aws_cloudtrail.digest_landed import SOURCE, landed
from ingest.sources.aws_cloudtrail.digest_layout import hour_span
from ingest.sources.aws_cloudtrail.digest_report import Report
from ingest.sources.aws_cloudtrail.digest_verify import open_root, verify
from lake.storage.store import Store
from orchestration.settings import ObjectSource, Settings
from orchestration.steps.collect import SourceNotConfigured, place_of
from orchestration.steps.places import access_of

SETTLED = DUE + timedelta(hours=1)  # after an hour's end, its digests and those that prove them are there
VERIFIABLE = (SOURCE,)


def verify_hours(
    settings: Settings, contract: Contract, store: Store, first: str, last: str, now: datetime | None = None
) -> Report:
    """Verify the log files that arrived in hours `YYYY-MM-DDTHH`, both included, as of `now` (UTC, aware).

    Raises:
        SourceNotConfigured: the settings do not say in which folder or bucket the log files are.
        PublicKeyError, FileNotFoundError: a place that the settings name holds no public key, or is not there.
        AccessDenied, StoreUnavailable: a bucket cannot be read; the message says what is missing.
    """
    place = place_of(settings, contract)
    apart = settings.cloudtrail_integrity.digests
    root = (place.root if isinstance(place, ObjectSource) else None) or apart  # a queue does not say where they lie
    if root is None:
        raise SourceNotConfigured(contract)
    access, span = access_of(settings, contract.source), hour_span(first, last)
    logs = open_root(root, access)
    return verify(
        logs,
        open_root(apart, access) if apart else logs,
        public_keys(settings, contract.source),
        first,
        last,
        now or datetime.now(UTC),
        landed(store, span.start, span.end),
    )


def public_keys(settings: Settings, source: str) -> PublicKeys:
    """Return where the settings say that public keys come from. Raises PublicKeyError, FileNotFoundError."""
    given = settings.cloudtrail_integrity.public_keys
    return AwsKeys(access_of(settings, source)) if given == "aws" else FileKeys(given)


def newest_settled(now: datetime | None = None) -> str:
    """Return the newest arrival hour (`YYYY-MM-DDTHH`) whose digests must be there by now."""
    return f"{(now or datetime.now(UTC)) - SETTLED - timedelta(hours=1):%Y-%m-%dT%H}"
