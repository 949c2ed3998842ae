"""What a server must not talk a fetch into: sending its token elsewhere, going in circles, following redirects."""

from collections.abc import Callable
from pathlib import Path

import pytest
from requests.exceptions import SSLError

from ingest.transports.authorization import Credentials
from ingest.transports.fetch_errors import RequestRefused, UnexpectedAnswer, Unreachable
from ingest.transports.http import HttpPoller, Patience, Window
from tests.unit.lake.base.answers import Answers, Given, Naps

URL = "https://api.example.com/logs"


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, naps: Naps) -> Callable[[Answers], list[bytes]]:
    monkeypatch.setenv("SOME_TOKEN", "s3cr3t")

    def run(network: Answers) -> list[bytes]:
        poller = HttpPoller(
            Credentials("SOME_TOKEN", "Bearer"), patience=Patience(max_attempts=3), clock=naps.clock, adapter=network
        )
        return [path.read_bytes() for path, _ in poller.fetch(Window(URL, {"a": "1 2"}), tmp_path / "spool")]

    return run


def page(body: bytes, next: str = "", **headers: str) -> Given:
    link = {"Link": f'<{next}>; rel="next"'} if next else {}
    return 200, {"Content-Length": str(len(body)), **link, **headers}, body


def asked(network: Answers) -> list[tuple[str, str]]:
    return [(str(each.url), each.headers.get("Authorization", "")) for each in network.asked]


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ([page(b"[1]", "https://elsewhere.example/logs")], UnexpectedAnswer, "leads to another server"),
        ([page(b"[1]", "http://api.example.com/logs")], UnexpectedAnswer, "leads to another server"),
        ([page(b"[1]", "https://[/logs")], UnexpectedAnswer, "no address"),
        ([(302, {"Location": "https://elsewhere.example/"}, b"")], RequestRefused, "302"),
        (
            [page(b"[1]", "?after=1"), page(b"[2]", "?after=2"), page(b"[3]", "?after=1")],
            UnexpectedAnswer,
            "already read",
        ),
    ],
    ids=["another-host", "another-scheme", "no-address", "redirect", "circle"],
)
def test_the_token_goes_to_no_other_place_and_in_no_circle(fetch, answers, error, words):
    network = Answers(*answers)
    with pytest.raises(error, match=words):
        fetch(network)
    assert len(network.asked) == len(answers)


def test_relative_links_and_many_relations_are_understood(fetch):
    links = '</logs?self>; rel="self", </logs?b=2>; rel="next last"'
    network = Answers(page(b"[1]", Link=links), page(b"[]"))
    assert fetch(network) == [b"[1]", b"[]"]
    assert asked(network) == [(f"{URL}?a=1+2", "Bearer s3cr3t"), (f"{URL}?b=2", "Bearer s3cr3t")]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(fetch, naps, status):
    assert fetch(Answers((status, {"Retry-After": "44"}, b""), page(b"[1]"))) == [b"[1]"]
    assert naps == [44]


def test_an_endless_page_that_is_no_page_ends_in_an_error(fetch):
    network = Answers((200, {"Content-Type": "text/html"}, b"<html>"))
    with pytest.raises(Unreachable, match=r"after 3 attempts.* not a JSON array \(text/html, 6 bytes\)"):
        fetch(network)
    assert len(network.asked) == 3


def test_half_a_page_of_no_announced_length_is_not_taken_for_a_whole_one(fetch):
    assert fetch(Answers((200, {}, b'[{"a": [1]'), (200, {}, b'[{"a": [1]}]'))) == [b'[{"a": [1]}]']


def test_a_broken_record_inside_a_whole_page_is_left_to_landing(fetch):
    assert fetch(Answers(page(b'[{"a": 1}, {"b": }]'))) == [b'[{"a": 1}, {"b": }]']


@pytest.mark.parametrize(("reason", "tries"), [("CERTIFICATE_VERIFY_FAILED", 1), ("UNEXPECTED_EOF", 3)])
def test_a_certificate_is_not_healed_by_waiting_but_a_broken_handshake_may_be(fetch, reason, tries):
    network = Answers(SSLError(f"[SSL: {reason}] …"))
    with pytest.raises(Unreachable):
        fetch(network)
    assert len(network.asked) == tries
