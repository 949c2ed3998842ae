"""fakesnow's server with what Snowflake answers and fakesnow leaves out; runs in fakesnow's own environment.

What Snowflake's client needs of an answer, and what the service does to sessions that are left alone; every statement
is fakesnow's to understand.

Snowflake's Python client from version 5 on takes no login without a master token and no stage without a region;
fakesnow 0.12 leaves both out, and tells every upload not to overwrite. A transaction that is idle for five minutes
while another waits for it is rolled back by Snowflake; fakesnow keeps it for ever: `/counterpart/end-sessions` ends it.
A statement that is sent again with the id of its request is answered by Snowflake as it was and not run again; so here.
`/counterpart/logins` tells what the last logins said, for tests.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import shutil
import socket
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fakesnow.server import app, sessions
from fakesnow.transforms import stage

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LOGIN, QUERY = "/session/v1/login-request", "/queries/v1/query-request"
END, LOGINS = "/counterpart/end-sessions", "/counterpart/logins"
_logins: deque[dict[str, Any]] = deque(maxlen=100)
_running: set[str] = set()
_answers: OrderedDict[str, tuple[int, dict[str, Any]]] = OrderedDict()


async def amended(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request."""
    path = scope.get("path")
    if path == END:
        await _answer(send, await _end_sessions())
    elif path == LOGINS:
        await _answer(send, {"logins": list(_logins)})
    elif path == LOGIN:
        status, body = await _asked(scope, _remembering(scope, receive))
        await _answer(send, _complete(path, body), status)
    elif path == QUERY:
        request = parse_qs(scope["query_string"].decode()).get("requestId", [""])[0]
        if request not in _answers:
            _running.add(request)
            try:
                status, body = await _asked(scope, receive)
            finally:
                _running.discard(request)
            _answers[request] = status, _complete(path, body)
            while len(_answers) > 100:
                _answers.popitem(last=False)
        await _answer(send, _answers[request][1], _answers[request][0])
    else:
        await app(scope, receive, send)


async def _asked(scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
    status, parts = 200, []

    async def hold(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, hold)
    return status, json.loads(b"".join(parts))


def _remembering(scope: Scope, receive: Receive) -> Receive:
    """Return a `receive` that keeps what a login says."""
    parts: list[bytes] = []

    async def kept() -> MutableMapping[str, Any]:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            packed = dict(scope["headers"]).get(b"content-encoding") == b"gzip"
            _logins.append(json.loads(gzip.decompress(b"".join(parts)) if packed else b"".join(parts))["data"])
        return message

    return kept


def _complete(path: str, body: dict[str, Any]) -> dict[str, Any]:
    data = body.get("data") or {}
    if path == LOGIN and "token" in data:
        lives = {"validityInSeconds": 3600, "masterValidityInSeconds": 14400}
        data |= {"masterToken": f"master of {data['token']}", "sessionId": len(sessions), **lives}
    if data.get("command") == "UPLOAD":
        data["overwrite"] = True
        data["stageInfo"] |= {"region": "us-central1", "path": "", "isClientSideEncrypted": False}
    return body


async def _end_sessions() -> dict[str, Any]:
    while _running:  # what was begun for a client that is gone is finished first
        await asyncio.sleep(0.02)
    ended = [sessions.pop(token) for token in list(sessions)]
    for each in ended:
        each.close()
    return {"ended": len(ended)}


async def _answer(send: Send, body: dict[str, Any], status: int = 200) -> None:
    given = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(given)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": given})


def main() -> None:
    """Serve until stdin closes; the address is the first line."""
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    logging.disable(logging.WARNING)
    server = uvicorn.Server(uvicorn.Config(amended, log_level="critical", access_log=False))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    shutil.rmtree(stage.LOCAL_BUCKET_PATH, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
