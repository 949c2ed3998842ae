"""Messages of the replicator: the parts of a batch land once, those of secondary feeds are passed over."""

import gzip
import json
from pathlib import Path
from typing import Any

from ingest.contracts import load_contracts
from ingest.landing.queue import drain
from ingest.transports.queue import Queue
from lake.storage.publish import open_store
from lake.storage.store import AwsAccess
from orchestration.demo.simulators.s3 import S3Server, put_all


def part(*numbers: int) -> bytes:
    events = (
        {"event_simpleName": "X", "id": f"e{n}", "aid": "a1", "timestamp": str(1772427900000 + n)} for n in numbers
    )
    return gzip.compress(b"".join(json.dumps(each).encode() + b"\n" for each in events), mtime=0)


def message(bucket: str, folder: str, parts: dict[str, bytes]) -> dict[str, Any]:
    """A message as the replicator writes it, for a finished batch."""
    files = [{"path": f"{folder}/{name}", "size": len(data), "checksum": "0"} for name, data in parts.items()]
    total = sum(map(len, parts.values()))
    told = {"cid": "c1", "timestamp": 1772427967000, "fileCount": len(files), "totalSize": total}
    return told | {"bucket": bucket, "pathPrefix": folder, "files": files}


def test_a_batch_lands_once_however_often_it_is_told_and_secondary_feeds_do_not(
    tmp_path: Path, s3_server: S3Server, s3_bucket: str, s3_environment: str
) -> None:
    batch, hosts = "c9ec-ec39/data/0b1c", "c9ec-ec39/fdrv2/aidmaster/77aa"
    parts = {"part-00000.gz": part(1, 2), "part-00001.gz": part(3)}
    put_all(
        s3_server.client(),
        s3_bucket,
        {f"{folder}/{name}": data for folder in (batch, hosts) for name, data in parts.items()},
    )
    sqs = s3_server.client("sqs")
    queue = f"{s3_environment}/{sqs.create_queue(QueueName=s3_bucket)['QueueUrl'].split('/', 3)[3]}"
    for folder in (batch, batch, hosts):
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(message(s3_bucket, folder, parts)))
    access, store = AwsAccess(endpoint_url=s3_environment, addressing_style="path"), open_store(str(tmp_path / "lake"))
    done = drain(load_contracts()["crowdstrike_fdr"], Queue(queue, access), None, access, store)
    assert [(receipt.read, receipt.landed, receipt.quarantined) for receipt in done.receipts] == [(3, 3, 0)]
    left = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (left["ApproximateNumberOfMessages"], left["ApproximateNumberOfMessagesNotVisible"]) == ("0", "0")
