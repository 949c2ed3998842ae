"""CloudTrail's ListPublicKeys on loopback, in the documented wire shape, which the S3 test server does not speak.

Belongs here: the one call, held to the service's own model (botocore's service description): JSON 1.1, keys as base64
blobs, times as epoch seconds. Not here: key pairs (tests make their own).
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys"


@dataclass
class KeyService:
    """Keys (fingerprint, PKCS#1 DER) by region; `calls` holds (region, request) of every call; `denied` refuses all."""

    keys: dict[str, list[tuple[str, bytes]]]
    url: str = ""
    denied: bool = False
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, target: str, region: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body."""
        self.calls.append((region, request))
        if target != TARGET or set(request) - {"StartTime", "EndTime", "NextToken"}:
            return 400, {"__type": "UnsupportedOperationException", "message": f"{target} {sorted(request)}"}
        if self.denied:
            return 400, {"__type": "AccessDeniedException", "message": "not authorized: cloudtrail:ListPublicKeys"}
        listed = self.keys.get(region, [])
        at = int(request.get("NextToken", 0))
        page: dict[str, Any] = {"PublicKeyList": [_told(*each, request) for each in listed[at : at + 1]]}
        return 200, page | ({"NextToken": str(at + 1)} if at + 1 < len(listed) else {})


def _told(fingerprint: str, der: bytes, request: dict[str, Any]) -> dict[str, Any]:
    valid = {"ValidityStartTime": request["StartTime"], "ValidityEndTime": request["EndTime"]}
    return {"Value": base64.b64encode(der).decode(), "Fingerprint": fingerprint, **valid}


@contextmanager
def key_service(keys: dict[str, list[tuple[str, bytes]]]) -> Iterator[KeyService]:
    """Serve keys until the block ends."""
    service = KeyService(keys)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            region = self.headers["Authorization"].split("/")[2]  # Credential=<key>/<date>/<region>/cloudtrail/…
            status, told = service.answer(self.headers["X-Amz-Target"], region, body)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
