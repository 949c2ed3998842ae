"""Observables of events get the same keys in SQL as indicators get in Python."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.reference.observables import NotObservable, observable_key
from lake.ocsf.keys import keyed
from tests.unit.ocsf.spelling import connection

SPELLINGS = {
    "ip": [
        "203.0.113.7", " 203.0.113.7\n", "::ffff:203.0.113.7", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "::", "::1",
        "1::", "fe80::1%eth0", "64:ff9b::203.0.113.7", "999.1.1.1", "1.2.3", "01.2.3.4", "1:2", "::1::", "x", "",
        "1:2:3:4:5:6:7::",
    ],
    "domain": ["Evil.EXAMPLE.", "evil.example", "a-b_c.example", "-a.example", "a..b", "x" * 64 + ".example",
        "", "a b"],
    "url": [
        "HTTP://Evil.Example/Path?Q=1#F", "https://evil.example", "http://user@evil.example:8080/", "hxxp:/x",
        "http://a b/",
        "http://[2001:db8::1]/x", "/only/path", "http://evil.example/a b",
    ],
    "email": ["Ann@Example.COM", "ann@", "a@b@c", "an n@x"],
    "hash": ["D41D8CD98F00B204E9800998ECF8427E", "a" * 40, "b" * 64, "c" * 63, "g" * 32],
    "cve": ["CVE-2024-12345", "cve-2024-1", "CVE-24-12345"],
}  # fmt: skip
WHAT = {"domain": "host"}


def keys_in_sql(kind: str, texts: list[str]) -> dict[str, tuple[str, int, int]]:
    con = connection()
    con.register("texts", pa.table({"what": [WHAT.get(kind, kind)] * len(texts), "text": texts, "given": texts}))
    rows = con.execute(f"select given, kind, key_high, key_low from ({keyed('texts', 'given')})").fetchall()
    return {given: (found, high, low) for given, found, high, low in rows if found == kind}


def key_in_python(kind: str, text: str) -> tuple[str, int, int] | None:
    try:
        key = observable_key(kind, text.strip().split("%")[0] if kind == "ip" else text)
    except NotObservable:
        return None
    return (key.kind, key.high, key.low)


@pytest.mark.parametrize("kind", SPELLINGS)
def test_every_spelling_has_the_same_key_in_sql_as_in_python(kind: str) -> None:
    expected = {text: key for text in SPELLINGS[kind] if (key := key_in_python(kind, text))}
    assert keys_in_sql(kind, SPELLINGS[kind]) == expected
    assert 0 < len(expected) < len(SPELLINGS[kind])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.ip_addresses(), min_size=1, max_size=50))
def test_any_address_has_the_same_key(addresses: list[object]) -> None:
    texts = sorted({form for each in addresses for form in (str(each), getattr(each, "exploded", ""))})
    assert keys_in_sql("ip", texts) == {text: key_in_python("ip", text) for text in texts}


def test_a_url_is_also_held_against_lists_by_its_host() -> None:
    con = connection()
    con.execute("create temp table texts as select * from (values ('url', 'https://u:p@Evil.Example:8443/x'),"
                " ('url', 'http://203.0.113.7/'), ('url', 'http://[2001:db8::7]:80/')) t(what, text)")  # fmt: skip
    found = {(kind, value) for kind, value, *_ in con.execute(keyed("texts")).fetchall() if kind != "url"}
    assert found == {("domain", "evil.example"), ("ip", "203.0.113.7"), ("ip", "2001:db8::7")}


def test_a_host_name_that_is_an_address_is_an_address() -> None:
    con = connection()
    con.execute("create temp table texts as select 'host' as what, '203.0.113.7' as text")
    assert [row[:2] for row in con.execute(keyed("texts")).fetchall()] == [("ip", "203.0.113.7")]
