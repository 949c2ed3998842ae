"""Listing where objects are, folders of this machine and buckets, by one call."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ingest.contracts import Contract
from ingest.transports.folder import list_objects
from ingest.transports.listing import Listing, is_bucket_url
from lake.storage.s3_options import AwsAccess


def list_places(
    contract: Contract,
    places: Sequence[str],
    access: AwsAccess,
    hour: datetime | None = None,
    since: datetime | None = None,
) -> Listing:
    """Return the objects under folders, files and `s3://` URLs; see the transports for `hour` and `since` (naive UTC).

    Folders are listed whole when only `since` is given: that costs nothing there.

    Raises:
        FileNotFoundError: a place does not exist.
        AccessDenied, StoreUnavailable: a bucket cannot be listed.
    """
    listing = Listing()
    folders = [Path(each) for each in places if not is_bucket_url(each)]
    if folders:
        listing.add(list_objects(contract, folders, hour))
    urls = [each for each in places if is_bucket_url(each)]
    if urls:
        from ingest.transports import bucket  # loads boto3, which folders do without

        listing.add(bucket.list_objects(contract, urls, access, hour, since))
    return listing
