"""Plain lists: a line is an entry, a reject or counted; nothing is guessed wrong."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.reference.formats import FormatError
from ingest.reference.observables import NotObservable, observables, refanged
from tests.unit.ingest.reference.formats.reading import read_feed, read_text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("192.0.2.1", [("ip", "192.0.2.1")]),
        ("192.0.2.0/24 ; SBL1", [("ip", "192.0.2.0/24")]),
        ("192.0.2.1:8080", [("ip", "192.0.2.1")]),
        ("[2001:db8::1]:443", [("ip", "2001:db8::1")]),
        ("2001:DB8::/32", [("ip", "2001:db8::/32")]),
        ("192.0.2.1 - 192.0.2.3", [("ip", "192.0.2.1"), ("ip", "192.0.2.2/31")]),
        ("1[.]2[.]3[.]4", [("ip", "1.2.3.4")]),
        ("hxxps://Evil[.]example/A?b=[.]", [("url", "https://evil.example/A?b=.")]),
        ("hxxp[://]evil(dot)example/x", [("url", "http://evil.example/x")]),
        ("http://evil.example/a(dot)b[.]c", [("url", "http://evil.example/a(dot)b[.]c")]),
        ("evil.example.", [("domain", "evil.example")]),
        ("bücher.example", [("domain", "xn--bcher-kva.example")]),
        ("user[@]evil[.]example", [("email", "user@evil.example")]),
        ("D41D8CD98F00B204E9800998ECF8427E", [("hash", "d41d8cd98f00b204e9800998ecf8427e")]),
        ("CVE-2024-12345", [("cve", "cve-2024-12345")]),
        ("http://evil.example/a#b //note", [("url", "http://evil.example/a")]),
        ("0.0.0.0 ads.example trk.example # two", [("domain", "ads.example"), ("domain", "trk.example")]),
    ],
)
def test_what_a_line_names(tmp_path: Path, line: str, expected: list[tuple[str, str]]) -> None:
    found = read_text(tmp_path, "plain", "indicators", line)
    assert (expected, []) == (found.observables, found.rejects)


@pytest.mark.parametrize(
    "line", ["1.2.3", "1.2.3.4.5", "word", "256.1.1.1", "192.0.2.9-192.0.2.1", "1.2.3.4-::1", "a@b@"]
)
def test_what_names_nothing_is_rejected(tmp_path: Path, line: str) -> None:
    found = read_text(tmp_path, "plain", "indicators", line)
    assert ([], 1) == (found.entries, len(found.rejects))


@pytest.mark.parametrize(
    "line",
    ["x" + " " * 500_000 + "y", "a" * 500_000, "1." * 300_000, "[" * 500_000, "ü" * 100_000],
    ids=["blanks", "one word", "numbers", "brackets", "letters"],
)
def test_a_line_made_to_keep_the_reader_busy_does_not(tmp_path: Path, line: str) -> None:
    found = read_text(tmp_path, "plain", "indicators", line + "\n192.0.2.1\n")
    assert ([("ip", "192.0.2.1")], 1) == (found.observables, len(found.rejects))


def test_a_url_may_be_long_but_not_endless(tmp_path: Path) -> None:
    lines = [f"http://e.example/{'a' * length}" for length in (8_000, 20_000)]
    found = read_text(tmp_path, "plain", "indicators", "\n".join(lines))
    assert (1, True) == (len(found.entries), "more than an observable has" in found.reasons[0])


def test_a_declared_kind_is_kept_to(tmp_path: Path) -> None:
    found = read_text(tmp_path, "plain", "indicators", "intranet\n192.0.2.300\n", kind="domain")
    assert [("domain", "intranet"), ("domain", "192.0.2.300")] == found.observables


def test_comments_and_local_names_are_counted_not_rejected(tmp_path: Path) -> None:
    text = "# one\n; two\n// three\n! four\n\n127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
    found = read_text(tmp_path, "plain", "indicators", text)
    assert ([], [], {"comment": 4, "local name": 2}) == (found.entries, found.rejects, found.skipped)


def test_trailing_columns_fill_what_they_are_declared_to(tmp_path: Path) -> None:
    text = "192.0.2.1\t9\tscanner\n192.0.2.2\t20\t\n192.0.2.3\tmany\n"
    options = {"columns": ["confidence", "category"], "confidence_times": 10, "separator": "\t"}
    found = read_text(tmp_path, "plain", "indicators", text, constants={"tlp": "clear"}, **options)
    assert [{"confidence": 90, "category": "scanner", "tlp": "clear"}, {"confidence": 100, "tlp": "clear"}] == [
        found.payload(0),
        found.payload(1),
    ]
    assert ["confidence: 'many' is no number"] == found.reasons


def test_unknown_columns_and_kinds_are_told(tmp_path: Path) -> None:
    for options in ({"columns": ["colour"]}, {"kind": "mutex"}):
        with pytest.raises(FormatError, match=r"colour: no column of indicators|kind 'mutex' is none of"):
            read_text(tmp_path, "plain", "indicators", "192.0.2.1", **options)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=40), max_size=20))
def test_every_line_is_an_entry_a_reject_or_counted(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "list"
    path.write_text(
        "# a comment, so that no line is taken for JSON\n" + "\n".join(lines), encoding="utf-8", newline="\n"
    )
    found = read_feed("plain", "indicators", path)
    read = 1 + sum(bool(line.strip(" \t")) for line in lines)
    lines_with_entries = len({id(entry.payload) for entry in found.entries})  # one payload a line
    behind = found.skipped.pop("text behind the observable", 0)
    assert behind <= lines_with_entries
    assert read == lines_with_entries + len(found.rejects) + sum(found.skipped.values())


NAMES = st.from_regex(r"\A[a-z]{1,8}[.][a-z]{2,6}\Z")


@settings(deadline=None)
@given(
    NAMES,
    st.sampled_from(["[.]", "(.)", "{.}", "[dot]", "(dot)", "[ . ]"]),
    st.sampled_from(["", "hxxp://", "hXXps://"]),
)
def test_what_was_defanged_is_refanged(name: str, dot: str, scheme: str) -> None:
    written = scheme + name.replace(".", dot)
    plain = scheme.lower().replace("xx", "tt") + name
    assert plain == refanged(written)
    assert list(observables(plain)) == list(observables(written))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_observables(text: str) -> None:
    try:
        assert all(key.value for key in observables(text))
    except NotObservable as problem:
        assert "\n" not in str(problem)
