"""Listing where objects are: folders of this machine and buckets, by one call.

What belongs here: from the settings of a source, or what a user typed, to a listing. What does not: how either is
listed (`ingest.transports`).
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ingest.contracts import Contract
from ingest.transports import bucket, folder
from ingest.transports.listing import Listing
from lake.storage.aws import AwsAccess
from orchestration.settings import ObjectSource, Settings


def access_of(settings: Settings, source: str) -> AwsAccess:
    """Return how a source's bucket and queue are reached: by its own `s3` settings, else by the lake's."""
    place = settings.sources.get(source)
    own = place.s3 if isinstance(place, ObjectSource) else None
    return (own or settings.s3).access()


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
    folders = [Path(each) for each in places if not bucket.is_bucket_url(each)]
    if folders:
        listing.add(folder.list_objects(contract, folders, hour))
    urls = [each for each in places if bucket.is_bucket_url(each)]
    if urls:
        listing.add(bucket.list_objects(contract, urls, access, hour, since))
    return listing
