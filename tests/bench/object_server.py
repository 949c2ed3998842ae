"""A bucket to read from that costs next to nothing: a folder's files by S3's protocol, on loopback, in one process.

`python -m tests.bench.object_server FOLDER` prints its address first and ends when its stdin closes. It exists because
moto answers some hundred requests a second at most, so that with moto both the yardstick and what is measured against
it would be moto's own time. It knows ListObjectsV2 (with pages of 1,000) and GetObject (with Range and If-Match).
"""

import asyncio
import hashlib
import os
import sys
import threading
from bisect import bisect_right
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "objects"
_PAGE = 1000


class Files:
    """The files of a folder by key: bytes, etag, time."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self.keys = sorted(self.files)
        self.etags = {key: hashlib.md5(key.encode(), usedforsecurity=False).hexdigest() for key in self.keys}

    def page(self, query: dict[str, list[str]]) -> bytes:
        """Return one page of a listing."""
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        found = [key for key in self.keys[bisect_right(self.keys, after) :] if key.startswith(prefix)]
        listed, more = found[:_PAGE], len(found) > _PAGE
        body = "".join(map(self._entry, listed))
        token = f"<NextContinuationToken>{escape(listed[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(listed)}</KeyCount>{token}"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{body}</ListBucketResult>"
        ).encode()

    def _entry(self, key: str) -> str:
        stat = self.files[key].stat()
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-03-02T12:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self.etags[key]}&quot;</ETag><Size>{stat.st_size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


class Connection(asyncio.Protocol):
    """One client's connection, kept for as many requests as it likes."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while b"\r\n\r\n" in self._held:
            head, _, self._held = self._held.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            self._answer(lines[0].split(" ")[1], headers)

    def _answer(self, target: str, headers: dict[str, str]) -> None:
        parts = urlsplit(target)
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        if not key:
            return self._send("200 OK", self._files.page(parse_qs(parts.query)), "application/xml")
        if key not in self._files.files:
            return self._send("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        etag = f'"{self._files.etags[key]}"'
        if headers.get("if-match", etag).strip('"') != etag.strip('"'):
            return self._send("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>", "")
        data, status, more = self._files.files[key].read_bytes(), "200 OK", f"ETag: {etag}\r\n"
        if "range" in headers:
            first, _, last = headers["range"].removeprefix("bytes=").partition("-")
            whole, data = len(data), data[int(first) : int(last or len(data)) + 1]
            status, more = "206 Partial Content", f"{more}Content-Range: bytes {first}-{last}/{whole}\r\n"
        self._send(status, data, "binary/octet-stream", more)

    def _send(self, status: str, body: bytes, kind: str, more: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: {kind}\r\n{more}"
        head += f"Last-Modified: Mon, 02 Mar 2026 12:00:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def _serve(folder: Path) -> None:
    files = Files(folder)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(files), "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
