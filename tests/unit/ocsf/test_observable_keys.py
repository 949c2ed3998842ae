"""Keys that SQL makes of what events say are those that Python makes for reference tables."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.reference.observables import KINDS, NotObservable, observable_key
from lake.ocsf.keys import key_of, networks_of, text_of
from tests.unit.ocsf.spelling import connection

_TEXTS = {
    "domain": [
        *(
            "bücher.example",
            "faß.de",
            "σοφός.example",
            "例子.测试",
            "例子。中国",
            "ba\u200dd.example",
            "ＥＶＩＬ2.example",
        ),
        *(
            "xn--fsqu00a.xn--0zwm56d",
            "_dmarc.faß.de",
            "☃.net",
            "-é.de",
            "é..b",
            "é.b..",
            "x" * 64 + ".é",
            "\u202eevil.com",
        ),
        *("e\u0301.com", "é.com.", "evil\u00ad.com", "a.b.", "\x0bA.b\x1f", "é" * 70, "É.EXAMPLE", "\u00a0é.de"),
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
        *(
            "http://u:p@faß.de:8080/a/./b/../c?x=%7e%2f#f",
            "https://x.com/%7Ea/%2e%2e/b",
            "http://x.com:80",
            "http://x.com.",
        ),
        *(
            "http://[2001:DB8:0::1]:80/",
            "http://[::1",
            "http://x:99999/",
            "http://x:/",
            "ftp://h:2121",
            "http://x.com/ü",
        ),
        *(
            "http://x.com/..a/.b",
            "http://x.com/a/..",
            "http://%65vil.com/",
            "http://x.com?q=1",
            "http://@/",
            "http:///x",
        ),
        *(
            "http://x.com/a%zz",
            "http://x.com/a\\b",
            "http://ba\u200dd.example/",
            "https://xn--fa-hia.de/",
            "\nhttp://a/",
        ),
        *(
            "http://a.b/c?d=/../e#",
            "http://a_b/(x)!*';:@&=+$,",
            "hTTps://a:443//b/",
            "http://a/\u3000",
            "http://a/b\tc",
        ),
        "HTTP://Example.com",
        "https://Example.com/A?B=c#D",
        "ftp://h:21/x",
        "http://u@H/p",
        "example.com/x",
        "http://",
        "http://a b/",
    ],
    "hash": ["D41D8CD98F00B204E9800998ECF8427E", "a" * 64, "a" * 63, "g" * 32, " " + "b" * 40],
    "email": ["Ada@Example.ORG", "a@b", "ab", "a@b@c", "a b@c", "Ada@faß.de", "jürgen@x.de.", "a@", "@b", "a@é..b"],
    "cve": ["CVE-2021-44228", "cve-2021-1", "2021-44228"],
    "name": ["Ärzte-1", "İpek", "e\u0301", "LARKSPUR\\Ada", " ws1 ", ""],
}


def in_sql(kind: str, texts: list[str]) -> list[tuple[str | None, int | None, int | None]]:
    """(normalised text, high, low) of texts of one kind."""
    return in_sql_of([(kind, text) for text in texts])


def in_sql_of(pairs: list[tuple[str, str]]) -> list[tuple[str | None, int | None, int | None]]:
    """(normalised text, high, low) of texts of any kinds: one statement takes as long for one as for all."""
    kinds, texts = map(list, zip(*pairs, strict=True))
    asked = "select unnest(range(len($1))) as i, unnest($2::varchar[]) as kind, unnest($1::varchar[]) as value"
    keyed = f"select i, kind, {text_of('kind', 'value')} as text from ({asked})"
    asking = f"select text, {key_of('kind', 'text')} from ({keyed}) order by i"
    return connection().execute(asking, [texts, kinds]).fetchall()


def in_python(kind: str, text: str) -> tuple[str | None, int | None, int | None]:
    try:
        key = observable_key(kind, text)
    except NotObservable:
        return None, None, None
    return key.value, key.high, key.low


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        ("domain", ["faß.de", "FASS.DE", "Faß.de."]),
        ("domain", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.Example.", "bu\u0308cher.example"]),
        ("url", ["http://faß.de", "HTTP://XN--FA-HIA.DE:80/#x", "http://me:pw@faß.de/./a/..", "http://faß.de."]),
        ("url", ["https://x.example/a%2Db?q=%c3%bc", "https://X.example:443/a-b?q=ü"]),
        ("email", ["Ann@faß.de", "ann@xn--fa-hia.de", "ANN@faß.de."]),
    ],
)
def test_spellings_of_one_thing_have_one_key(kind: str, spellings: list[str]) -> None:
    keys = {in_python(kind, each)[1:] for each in spellings if each != "FASS.DE"}
    assert len(keys) == 1, "and ß is not ss"
    assert "FASS.DE" not in spellings or in_python(kind, "FASS.DE")[1:] not in keys


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ip"])
def test_both_make_the_same_key_of_a_text_and_refuse_the_same(kind: str) -> None:
    texts = _TEXTS[kind]
    assert [in_python(kind, each) for each in texts] == in_sql(kind, texts)
    assert any(in_python(kind, each)[0] for each in texts)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(alphabet="aB1.-_@:/?# ", max_size=12), min_size=1, max_size=50))
def test_both_agree_on_whatever_is_written(texts: list[str]) -> None:
    pairs = [(kind, text) for kind in _TEXTS for text in texts]
    assert [in_python(*pair) for pair in pairs] == in_sql_of(pairs)


_URL_PARTS = st.sampled_from(
    [
        "http",
        "HTTPS",
        "://",
        "/",
        ".",
        "..",
        "a",
        "É",
        "ß",
        "%41",
        "%2f",
        ":80",
        ":",
        "@",
        "?",
        "#",
        "[",
        "]",
        "::1",
        "-",
    ]
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(_URL_PARTS, min_size=2, max_size=10).map("".join), min_size=1, max_size=100))
def test_urls_and_hosts_of_any_parts_have_one_spelling_which_stays_as_it_is(parts: list[str]) -> None:
    pairs = [
        *(("url", f"http://{each}") for each in parts),
        *((kind, each) for kind in ("domain", "email") for each in parts),
    ]
    found = [in_python(*pair) for pair in pairs]
    assert found == in_sql_of(pairs)
    spelt = [(kind, text) for (kind, _), (text, *_) in zip(pairs, found, strict=True)]
    assert found == [in_python(kind, text) if text else (None, None, None) for kind, text in spelt]


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
