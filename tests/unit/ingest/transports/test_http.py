"""What a server must not talk a fetch into: sending its token elsewhere, going in circles, following redirects."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from ingest.transports.clock import Clock
from ingest.transports.credentials import Credentials
from ingest.transports.fetch_errors import RequestRefused, UnexpectedAnswer, Unreachable
from ingest.transports.http import HttpCursor, Patience, Window

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def serve() -> Iterator[Callable[[list[Answer]], tuple[str, list[tuple[str, str]]]]]:
    """Serves the given answers one after the other, the last one for ever; gives the address and what was asked."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: list[Answer]) -> tuple[str, list[tuple[str, str]]]:
        asked: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                asked.append((self.path, self.headers.get("Authorization", "")))
                status, headers, body = answers[min(len(asked), len(answers)) - 1]
                self.send_response(status)
                self.close_connection = "Connection" in headers
                length = {} if self.close_connection else {"Content-Length": str(len(body))}
                for name, value in {**length, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/logs", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, naps: list[float]) -> Callable[[str], list[bytes]]:
    monkeypatch.setenv("SOME_TOKEN", "s3cr3t")

    def run(url: str) -> list[bytes]:
        cursor = HttpCursor(
            Credentials("SOME_TOKEN", "Bearer"),
            patience=Patience(max_attempts=3),
            clock=Clock(lambda: 0.0, naps.append),
        )
        return [path.read_bytes() for path, _ in cursor.fetch(Window(url, {"a": "1 2"}), tmp_path / "spool")]

    return run


def link(target: str) -> dict[str, str]:
    return {"Link": f'<{target}>; rel="next"'}


def test_a_link_to_another_server_is_not_followed(serve, fetch):
    elsewhere, asked = serve([(200, {}, b"[2]")])
    url, _ = serve([(200, link(elsewhere), b"[1]")])
    with pytest.raises(UnexpectedAnswer, match="leads to another server"):
        fetch(url)
    assert asked == []


def test_a_redirect_is_not_followed(serve, fetch):
    elsewhere, asked = serve([(200, {}, b"[2]")])
    url, _ = serve([(302, {"Location": elsewhere}, b"")])
    with pytest.raises(RequestRefused, match="302"):
        fetch(url)
    assert asked == []


def test_links_that_lead_in_a_circle_are_found_out(serve, fetch):
    url, asked = serve(
        [(200, link("?after=1"), b"[1]"), (200, link("?after=2"), b"[2]"), (200, link("?after=1"), b"[3]")]
    )
    with pytest.raises(UnexpectedAnswer, match="already read"):
        fetch(url)
    assert len(asked) == 3


def test_relative_links_and_many_relations_are_understood(serve, fetch):
    url, asked = serve(
        [(200, {"Link": '</logs?self>; rel="self", </logs?b=2>; rel="next last"'}, b"[1]"), (200, {}, b"[]")]
    )
    assert fetch(url) == [b"[1]", b"[]"]
    assert asked == [("/logs?a=1+2", "Bearer s3cr3t"), ("/logs?b=2", "Bearer s3cr3t")]


def test_a_netrc_file_does_not_replace_the_token(serve, fetch, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url, asked = serve([(200, {}, b"[]")])
    fetch(url)
    assert asked == [("/logs?a=1+2", "Bearer s3cr3t")]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(serve, fetch, naps, status):
    url, _ = serve([(status, {"Retry-After": "44"}, b""), (200, {}, b"[1]")])
    assert fetch(url) == [b"[1]"]
    assert naps == [44]


def test_an_endless_page_that_is_no_page_ends_in_an_error(serve, fetch):
    url, asked = serve([(200, {"Content-Type": "text/html"}, b"<html>")])
    with pytest.raises(Unreachable, match=r"not a JSON array \(text/html, 6 bytes\)"):
        fetch(url)
    assert len(asked) == 3


def test_half_a_page_of_no_announced_length_is_not_taken_for_a_whole_one(serve, fetch):
    url, _ = serve([(200, {"Connection": "close"}, b'[{"a": [1]'), (200, {"Connection": "close"}, b'[{"a": [1]}]')])
    assert fetch(url) == [b'[{"a": [1]}]']


def test_a_broken_record_inside_a_whole_page_is_left_to_landing(serve, fetch):
    url, _ = serve([(200, {}, b'[{"a": 1}, {"b": }]')])
    assert fetch(url) == [b'[{"a": 1}, {"b": }]']


@pytest.mark.parametrize(("reason", "naps_taken"), [("CERTIFICATE_VERIFY_FAILED", 0), ("UNEXPECTED_EOF", 2)])
def test_a_certificate_is_not_healed_by_waiting_but_a_broken_handshake_may_be(
    fetch, naps, monkeypatch, reason, naps_taken
):
    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.SSLError(f"[SSL: {reason}] …")

    monkeypatch.setattr(requests.Session, "get", refuse)
    with pytest.raises(Unreachable):
        fetch("https://127.0.0.1/logs")
    assert len(naps) == naps_taken
