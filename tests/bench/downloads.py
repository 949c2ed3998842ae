"""Bare downloads: every object of a bucket listed and read, many at once, and thrown away. The yardstick of landing.

boto3 in threads is what most people write; pyarrow's client reads outside of Python, which no client in Python beats.
"""

from concurrent.futures import ThreadPoolExecutor


def with_boto3(endpoint: str, bucket: str, at_once: int) -> int:
    """Return the bytes read by boto3 in so many threads."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=at_once, s3={"addressing_style": "path"})
    s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(lambda key: len(s3.get_object(Bucket=bucket, Key=key)["Body"].read()), keys))


def with_pyarrow(endpoint: str, bucket: str, at_once: int) -> int:
    """Return the bytes read by pyarrow's client in so many threads."""
    from pyarrow import fs

    s3 = fs.S3FileSystem(
        access_key="testing", secret_key="testing", endpoint_override=endpoint, scheme="http", region="us-east-1"
    )
    found = s3.get_file_info(fs.FileSelector(bucket, recursive=True))

    def read(info: fs.FileInfo) -> int:
        with s3.open_input_file(info.path) as file:
            return len(file.read())

    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(read, [info for info in found if info.type == fs.FileType.File]))
