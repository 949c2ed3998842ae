"""When the client tries again, how long it waits, when it gives up, and what its messages never hold."""

from pathlib import Path

import pytest
from requests import exceptions

from lake.base.http import Answer, Clock, FailedTry, GaveUp, HeaderAuth, HttpClient, Retry, Tries
from tests.unit.lake.base.answers import Answers, Naps

URL = "https://user:s3cr3t@api.example.com/v1/1.2.3.4?token=s3cr3t"
FINE = (200, {}, b"fine")
RESET = exceptions.ConnectionError("Connection aborted: s3cr3t")
REFUSED = exceptions.ConnectionError("Caused by NewConnectionError: s3cr3t")


@pytest.fixture
def naps() -> Naps:
    return Naps()


def client(naps: Naps, *given, **options) -> tuple[HttpClient, Answers]:
    network = Answers(*given)
    return HttpClient(clock=naps.clock, adapter=network, **options), network


def test_a_final_status_is_returned_at_once(naps):
    http, network = client(naps, (404, {"X-Some": "thing"}, b"nobody"))
    answer = http.send("GET", URL)
    assert (answer.status, answer.headers["x-some"], answer.body, answer.tries) == (404, "thing", b"nobody", 1)
    assert len(network.asked) == 1
    assert naps == []


@pytest.mark.parametrize("trouble", [(503, {}, b""), (429, {}, b""), (408, {}, b""), RESET, exceptions.ReadTimeout()])
def test_what_may_pass_is_tried_again_with_doubled_and_random_waits(naps, trouble):
    http, _ = client(naps, trouble, trouble, trouble, FINE, retry=Retry(first_wait=1.0))
    answer = http.send("GET", URL)
    assert (answer.body, answer.tries) == (b"fine", 4)
    assert [low <= nap <= 2 * low for nap, low in zip(naps, (0.5, 1.0, 2.0), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "44"}, 44),
        ({"Retry-After": "Thu, 01 Jan 1970 00:17:20 GMT"}, 40),
        ({"Retry-After": "Mon, 02 Mar 2026 10:00:30 GMT", "Date": "Mon, 02 Mar 2026 10:00:00 GMT"}, 30),
        ({"Retry-After": "99999"}, 50),
    ],
    ids=["seconds", "date", "date-against-the-answers-own", "longer-than-we-wait"],
)
def test_retry_after_is_waited(naps, headers, seconds):
    http, _ = client(naps, (503, headers, b""), FINE, retry=Retry(total_seconds=None, longest_asked=50))
    http.send("GET", URL)
    assert naps == [seconds]


@pytest.mark.parametrize("text", ["soon", "-3", "", "1e3", "Mon, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_left_aside(naps, text):
    http, _ = client(naps, (503, {"Retry-After": text}, b""), FINE)
    http.send("GET", URL)
    assert naps[0] <= 0.25


def test_the_bound_on_time_ends_the_tries_before_it_is_passed(naps):
    http, _ = client(naps, (503, {}, b""), retry=Retry(total_seconds=30))
    with pytest.raises(GaveUp, match=r"^https://api.example.com: status 503, after \d+ tries in \d+ s$"):
        http.send("GET", URL)
    assert 14 < sum(naps) <= 30


def test_a_clock_that_stands_still_does_not_lift_the_bound():
    naps: list[float] = []
    http = HttpClient(clock=Clock(lambda: 0.0, naps.append), adapter=Answers((503, {}, b"")))
    with pytest.raises(GaveUp):
        http.send("GET", URL)
    assert sum(naps) <= 60


def test_the_bound_on_tries(naps):
    http, network = client(naps, (503, {}, b""), retry=Retry(attempts=3))
    with pytest.raises(GaveUp) as gave_up:
        http.send("GET", URL)
    assert (gave_up.value.tries, len(network.asked), len(naps)) == (3, 3, 2)


def test_waiting_can_be_ended_from_outside():
    class Ended(Exception):
        pass

    def end(seconds: float) -> None:
        raise Ended

    with pytest.raises(Ended):
        HttpClient(clock=Clock(sleep=end), adapter=Answers(RESET)).send("GET", URL)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (exceptions.SSLError("CERTIFICATE_VERIFY_FAILED s3cr3t"), "certificate is not trusted"),
        (exceptions.InvalidHeader("s3cr3t"), r"no request \(InvalidHeader\)"),
    ],
)
def test_what_waiting_cannot_heal_is_not_tried_again(naps, problem, reason):
    http, network = client(naps, problem)
    with pytest.raises(FailedTry, match=reason):
        http.send("GET", URL)
    assert len(network.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "repeated"),
    [
        (RESET, True),
        (exceptions.ReadTimeout(), True),
        (exceptions.SSLError("UNEXPECTED_EOF"), True),
        ((502, {}, b""), True),
        ((429, {}, b""), False),
        (REFUSED, False),
        (exceptions.ConnectTimeout(), False),
        (exceptions.ProxyError(), False),
    ],
)
def test_an_answer_says_whether_an_earlier_try_may_have_arrived(naps, trouble, repeated):
    http, _ = client(naps, trouble, FINE)
    assert http.send("POST", URL, data=b"x").repeated is repeated


@pytest.mark.parametrize("problem", [RESET, REFUSED, exceptions.ReadTimeout("s3cr3t"), exceptions.ProxyError("s3cr3t")])
def test_messages_hold_neither_credentials_nor_what_was_asked(naps, problem):
    http, _ = client(naps, problem, retry=Retry(attempts=1))
    for ask in (http.exchange, http.send):
        with pytest.raises((FailedTry, GaveUp)) as failed:
            ask("GET", URL)
        assert "s3cr3t" not in str(failed.value)
        assert "1.2.3.4" not in str(failed.value)


def test_a_judge_may_ask_for_another_try_or_end_them(naps):
    def judge(answer: Answer) -> None:
        if answer.body == b"busy":
            raise FailedTry("here", "busy", wait=7, may_have_arrived=False)
        if answer.status == 401:
            raise PermissionError("the token is wrong")

    http, _ = client(naps, (200, {}, b"busy"), (503, {}, b"final to this judge"))
    answer = http.send("GET", URL, judge=judge)
    assert (answer.status, answer.repeated, naps) == (503, False, [7])
    http, _ = client(naps, (401, {}, b""))
    with pytest.raises(PermissionError):
        http.send("GET", URL, judge=judge)


def test_any_call_can_be_tried_again(naps):
    tries = iter([FailedTry("there", "quota"), FailedTry("there", "quota"), "rows"])

    def attempt() -> str:
        if isinstance(given := next(tries), Exception):
            raise given
        return given

    assert Tries("there", Retry(), naps.clock).run(attempt) == "rows"
    assert len(naps) == 2


def test_an_answer_is_bounded_in_size_and_time(naps):
    http, network = client(naps, (200, {}, b"x" * 100_001), most_bytes=100_000)
    with pytest.raises(FailedTry, match="larger than 100,000 bytes"):
        http.send("GET", URL)
    assert len(network.asked) == 1
    times = iter(range(0, 10_000, 200))
    slow = HttpClient(clock=Clock(lambda: float(next(times))), adapter=Answers((200, {}, b"x" * 200_000)))
    with pytest.raises(FailedTry, match="longer than 300 s"):
        slow.exchange("GET", URL)


def test_secrets_go_into_their_header_and_no_netrc_is_asked(naps, tmp_path: Path, monkeypatch):
    (tmp_path / "netrc").write_text("machine api.example.com login someone password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    http, network = client(naps, FINE, auth=HeaderAuth("Authorization", lambda: "Bearer mine"))
    http.send("GET", "https://api.example.com/", headers={"Accept": "text/plain"})
    http.send("GET", "https://api.example.com/", auth=HeaderAuth("Key", lambda: "other"))
    nobody, anonymous = client(naps, FINE)
    nobody.send("GET", "https://api.example.com/")
    assert network.asked[0].headers["Authorization"] == "Bearer mine"
    assert {"Accept": "text/plain", "User-Agent": "headwater"}.items() <= network.asked[0].headers.items()
    assert (network.asked[1].headers["Key"], "Authorization" in network.asked[1].headers) == ("other", False)
    assert "Authorization" not in anonymous.asked[0].headers


def test_redirects_are_answers_and_certificates_are_those_of_the_settings(naps, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/another/bundle.pem")
    http, network = client(naps, (302, {"Location": "https://elsewhere.example/"}, b""), verify="/our/ca.pem")
    assert http.send("GET", URL).status == 302
    assert len(network.asked) == 1
    assert network.options[0]["verify"] == "/our/ca.pem"


def test_what_keeps_a_secret_from_being_read_reaches_the_caller(naps):
    def missing() -> str:
        raise KeyError("SOME_TOKEN is not set")

    http, network = client(naps, FINE, auth=HeaderAuth("Authorization", missing))
    with pytest.raises(KeyError):
        http.send("GET", URL)
    assert network.asked == []
