"""Keys that SQL makes of what events say are those that Python makes for reference tables."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.reference.observables import KINDS, NotObservable, observable_key
from lake.base.sql import at_hand
from lake.ocsf.keys import key_of, networks_of, text_of

_TEXTS = {
    "domain": [
        "Example.COM.",
        "a-b.example.org",
        "_dmarc.example.org",
        "localhost",
        "-a.org",
        "a..b",
        "x" * 64,
        "a b",
        "",
    ],
    "url": [
        "HTTP://Example.com",
        "https://Example.com/A?B=c#D",
        "ftp://h:21/x",
        "http://u@H/p",
        "example.com/x",
        "http://",
        "http://a b/",
    ],
    "hash": ["D41D8CD98F00B204E9800998ECF8427E", "a" * 64, "a" * 63, "g" * 32, " " + "b" * 40],
    "email": ["Ada@Example.ORG", "a@b", "ab", "a@b@c", "a b@c"],
    "cve": ["CVE-2021-44228", "cve-2021-1", "2021-44228"],
    "name": ["LARKSPUR\\Ada", " ws1 ", ""],
}


def in_sql(kind: str, texts: list[str]) -> list[tuple[str | None, int | None, int | None]]:
    """(normalised text, high, low) of texts of one kind."""
    asked = "select unnest(range(len($1))) as i, $2 as kind, unnest($1::varchar[]) as value"
    keyed = f"select i, kind, {text_of('kind', 'value')} as text from ({asked})"
    return (
        at_hand().execute(f"select text, {key_of('kind', 'text')} from ({keyed}) order by i", [texts, kind]).fetchall()
    )


def in_python(kind: str, text: str) -> tuple[str | None, int | None, int | None]:
    try:
        key = observable_key(kind, text)
    except NotObservable:
        return None, None, None
    return key.value, key.high, key.low


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ip"])
def test_both_make_the_same_key_of_a_text_and_refuse_the_same(kind: str) -> None:
    texts = _TEXTS[kind]
    assert [in_python(kind, each) for each in texts] == in_sql(kind, texts)
    assert any(in_python(kind, each)[0] for each in texts)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(alphabet="aB1.-_@:/?# ", max_size=12), min_size=1, max_size=50))
def test_both_agree_on_whatever_is_written(texts: list[str]) -> None:
    for kind in _TEXTS:
        assert [in_python(kind, each) for each in texts] == in_sql(kind, texts)


def test_an_address_lies_in_the_networks_that_contain_it() -> None:
    addresses = ["203.0.113.77", "2001:db8::7", "255.255.255.255", "ffff::1", "0.0.0.0"]
    networks = ["203.0.113.77", "203.0.113.64/26", "203.0.0.0/16", "0.0.0.0/0", "2001:db8::/32", "2001:db8::7", "::/0"]
    keys = {text: observable_key("ip", text) for text in networks}
    con = duckdb.connect()
    con.execute("create table address (value varchar, key_high ubigint, key_low ubigint)")
    for text in addresses:
        key = observable_key("ip", text)
        con.execute("insert into address values (?, ?, ?)", [text, key.high, key.low])
    rows = con.execute(networks_of("address", sorted({key.prefix for key in keys.values()}))).fetchall()
    found = {(value, text) for value, *key in rows for text, held in keys.items() if tuple(key) == held[2:]}
    assert found == {
        ("203.0.113.77", "203.0.113.77"),
        ("203.0.113.77", "203.0.113.64/26"),
        ("203.0.113.77", "203.0.0.0/16"),
        ("203.0.113.77", "0.0.0.0/0"),
        ("255.255.255.255", "0.0.0.0/0"),
        ("0.0.0.0", "0.0.0.0/0"),
        ("2001:db8::7", "2001:db8::/32"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::7", "::/0"),
        ("ffff::1", "::/0"),
    }
