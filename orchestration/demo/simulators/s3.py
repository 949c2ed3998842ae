"""An S3-compatible server (moto) on this machine, as a process of its own, with fresh buckets for tests.

It speaks SQS and STS at the same address, holds everything in memory and checks no signatures. From the shell: `python
-m orchestration.demo.simulators.s3`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import cache, lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import JSONFileLoader, Loader

from orchestration.demo.simulators.loopback import ServerProcess

REGION = "us-east-1"
# moto takes any; these belong to nobody.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
_NO_FILE = str(Path(os.devnull))
_numbers = count(1)


def environment(url: str) -> dict[str, str]:
    """What a process needs in its environment to reach the server and nothing else: no file of the user is read."""
    return {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": _NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": _NO_FILE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class S3Server(ServerProcess):
    """The server between `start` and `stop`, or inside a `with`."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "-m", "orchestration.demo.simulators.s3"], CREDENTIALS)

    def client(self, service: str = "s3") -> Any:
        """Return a boto3 client that talks to it, whatever the environment says."""
        return client(self.url, service)

    def bucket(self, name: str = "") -> str:
        """Make a bucket and return its name; a name of its own when none is given."""
        name = name or f"test-bucket-{os.getpid()}-{next(_numbers)}"
        self.client().create_bucket(Bucket=name)
        return name


@lru_cache(maxsize=64)
def client(url: str, service: str = "s3", read_timeout: float = 30.0) -> Any:
    """Return a boto3 client for a server or a proxy in front of it: path style, no retries."""
    session = boto3.session.Session(
        aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION, botocore_session=_bare()
    )
    config = Config(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        max_pool_connections=32,
        read_timeout=read_timeout,
    )
    return session.client(service, endpoint_url=url, config=config)


def _bare() -> botocore.session.Session:
    """A session that reads no file of the user."""
    session = botocore.session.Session()
    session.set_config_variable("config_file", _NO_FILE)
    session.set_config_variable("credentials_file", _NO_FILE)
    return session


@cache
def keep_descriptions() -> None:
    """Read botocore's descriptions of services once a process; every client that is made would read them anew."""
    read, find = JSONFileLoader.load_file, Loader.list_available_services
    kept: dict[str, Any] = {}
    found: dict[str, Any] = {}

    def load_file(self: JSONFileLoader, file_path: str) -> Any:
        if file_path not in kept:
            kept[file_path] = read(self, file_path)
        return kept[file_path]

    def list_available_services(self: Loader, type_name: str) -> Any:
        if type_name not in found:
            found[type_name] = find(self, type_name)
        return found[type_name]

    JSONFileLoader.load_file, Loader.list_available_services = load_file, list_available_services
    client("http://127.0.0.1:1")


def put_all(client: Any, bucket: str, objects: dict[str, bytes]) -> None:
    """Put objects, key by key, in the order given."""
    for key, body in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)


def keys(client: Any, bucket: str, prefix: str = "") -> list[str]:
    """All keys under a prefix, sorted."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))


def main() -> None:
    """Serve until stdin closes; the address is the first line."""
    import moto.core.serialize
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Handler(MotoRequestHandler):
        # Connections are kept, as S3 keeps them; nothing is held back for a client that waits.
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

    class Dispatcher(DomainDispatcherApplication):
        # Half of moto's time goes into looking through its folders at every request, and into times it read before.
        get_backend_for_host = lru_cache(maxsize=64)(DomainDispatcherApplication.get_backend_for_host)

    serialize: Any = moto.core.serialize
    serialize.parse_to_aware_datetime = lru_cache(maxsize=4096)(serialize.parse_to_aware_datetime)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Dispatcher(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
