"""Older versions of objects in a bucket that keeps them: an erasure is not one while they are there.

What belongs here: finding and removing versions that are not the current one. What does not: which keys are meant.
"""

from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from lake import ledger
from lake.ledger.receipts import ErasureReceipt
from lake.storage import paths
from lake.storage.s3 import S3Store
from lake.storage.store import Store

_AT_ONCE = 1000  # S3's limit


def forget_versions(store: Store, receipt: ErasureReceipt) -> tuple[str, ...]:
    """Remove older versions wherever an erasure's records may have been; return what remains, in words.

    These are the hours it rewrote, what was built of them, receipts with samples, and everything that was prepared.
    Nothing is done for a folder, which keeps no versions.
    """
    if not isinstance(store, S3Store):
        return ()
    try:
        for folder in _folders(store, receipt):
            _forget(store, folder)
    except (ClientError, BotoCoreError) as problem:
        why = problem.response.get("Error", {}).get("Code", "") if isinstance(problem, ClientError) else str(problem)
        return (
            f"older versions in {store.root} ({why}): s3:ListBucketVersions and s3:DeleteObjectVersion are needed, and"
            " no object lock; allow that and run the same command again, or let the bucket's lifecycle end them",
        )
    return ()


def _folders(store: Store, receipt: ErasureReceipt) -> Iterator[str]:
    source = receipt.source
    built = [paths.dispositions_folder(source)]
    built += [paths.silver_folder(table, source) for table in store.folders(paths.SILVER)]
    built += [paths.index_folder(table, source) for table in store.folders(paths.INDEX)]
    built += [paths.gold_folder(mart) for mart in store.folders(paths.GOLD)]
    for room, hour in sorted({(file.room, file.hour) for file in receipt.files}):
        filed = paths.hour_folder(ledger.hour(hour))
        yield f"{room}/{source}/{filed}"
        if room == paths.BRONZE:
            yield from (f"{folder}/{filed}" for folder in built)
    yield f"{paths.LEDGER}/landing/{source}"
    yield from (
        f"{paths.LEDGER}/build/{model}" for model in ledger.built_models(store) if model.endswith(f"__{source}")
    )
    yield from (paths.ERASURES, "iceberg", paths.STAGING, paths.JOURNAL)


def _forget(store: S3Store, folder: str) -> int:
    """Remove the versions of what lies under a folder that are not current; return how many there were.

    Markers of what was deleted stay: they hold nothing, and without one an older version would be current again.
    """
    pages = store.client.get_paginator("list_object_versions").paginate(
        Bucket=store.bucket, Prefix=f"{store.prefix}{folder}/"
    )
    versions = (each for page in pages for each in page.get("Versions", ()))
    old = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions if not each["IsLatest"]]
    for at in range(0, len(old), _AT_ONCE):
        wanted = {"Objects": old[at : at + _AT_ONCE], "Quiet": True}
        refused = store.client.delete_objects(Bucket=store.bucket, Delete=wanted).get("Errors")
        if refused:
            raise ClientError({"Error": {"Code": refused[0].get("Code", "")}}, "DeleteObjects")
    return len(old)
