"""The HTTP client over real sockets: what breaks there is told apart as `tests.unit.lake.base` takes it for granted."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lake.base.http import Clock, FailedTry, HttpClient, Retry
from tests.simulators.faulty_http import Fault, FaultyProxy

PAGE = b"0123456789" * 20_000


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """A server with one page."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def proxy(upstream: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(upstream) as running:
        yield running


def client(**options) -> HttpClient:
    naps: list[float] = []
    return HttpClient(clock=Clock(sleep=naps.append), retry=Retry(attempts=3), **options)


@pytest.mark.parametrize(
    ("fault", "repeated"),
    [
        (Fault("reset", at_bytes=70_000), True),
        (Fault("cut", at_bytes=70_000), True),
        (Fault("lost"), True),
        (Fault("hang", seconds=5), True),
        (Fault("error", status=503), True),
        (Fault("error", status=429), False),
    ],
    ids=lambda given: given.kind if isinstance(given, Fault) else "",
)
def test_a_fault_on_the_way_is_healed_by_another_try(proxy, fault, repeated):
    proxy.inject(fault)
    answer = client(timeout_seconds=0.3).send("GET", f"{proxy.url}/page")
    assert (answer.body, answer.tries, answer.repeated) == (PAGE, 2, repeated)


def test_an_answer_that_drips_is_given_up(proxy):
    proxy.inject(Fault("slow", seconds=2, times=None))
    with pytest.raises(FailedTry, match=r"took longer than 0.3 s"):
        client(answer_seconds=0.3).exchange("GET", f"{proxy.url}/page")


def test_silence_in_the_middle_of_an_answer_is_no_answer(proxy):
    proxy.inject(Fault("slow", seconds=20, times=None))
    with pytest.raises(FailedTry, match=r"no answer within 0.2 s"):
        client(timeout_seconds=0.2).exchange("GET", f"{proxy.url}/page")


def test_a_port_where_nobody_listens_has_not_got_the_request():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FailedTry, match="no connection") as failed:
        client().exchange("POST", f"http://127.0.0.1:{port}/")
    assert not failed.value.may_have_arrived


def test_threads_share_a_client(proxy):
    http, bodies = client(connections=2), []
    threads = [threading.Thread(target=lambda: bodies.append(http.send("GET", proxy.url).body)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert bodies == [PAGE] * 8
