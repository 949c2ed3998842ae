"""What never leaves the house: the same list in Python, before a request, and in SQL, before an event waits."""

import duckdb
import pytest

from ingest.lookups.egress_policy import never_sent
from ingest.reference.observables import observable_key

PRIVATE = {
    "ip": [
        "0.0.0.0",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.251",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "192.0.66.255",
        "2a00:1450::5",
    ],
    "domain": [
        "dc01",
        "localhost",
        "db.internal",
        "printer.local",
        "files.corp",
        "nas.lan",
        "router.home.arpa",
        "1.0.168.192.in-addr.arpa",
        "abc.onion",
        "www.example",
        "host.test",
        "larkspur.com",
        "vpn.larkspur.com",
        "10.0.0.1",
        "8.8.8.8",
    ],
    "url": [
        "http://intranet/",
        "https://wiki.internal/page",
        "http://10.0.0.1/x",
        "http://192.168.1.1:8080/x",
        "https://user:password@evil.com/",
        "https://user@evil.com",
        "HTTPS://:password@Evil.com:443/#fragment",
        "https://evil.com/?next=https://user:password@8.8.8.8/",
        "https://vpn.larkspur.com/login",
        "ftp://evil.com/",
        "http://[2001:db8::1]/",
        "http://dc01:8080/",
        f"https://evil.com/{'a' * 2000}",
    ],
    "hash": ["aa" * 28, "aa" * 48, "aa" * 64],
}
PUBLIC = {
    "ip": ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.67.1", "2606:4700::1111", "::ffff:9.9.9.9"],
    "domain": [
        "evil.com",
        "a.b.evil.co.uk",
        "xn--e1afmkfd.xn--p1ai",
        "notlarkspur.com",
        "local.evil.com",
        "my_host.io",
    ],
    "url": ["https://evil.com/", "http://evil.com:8080/a?b=c", "http://8.8.8.8/x", "https://evil.com/login@home"],
    "hash": ["aa" * 16, "aa" * 20, "aa" * 32],
}
OURS = ["192.0.66.0/24", "2a00:1450::/32", "*.larkspur.com"]


@pytest.mark.parametrize("kind", sorted(PRIVATE))
def test_what_is_not_public_is_never_sent(kind: str) -> None:
    guard = never_sent(OURS)
    assert [text for text in PRIVATE[kind] if guard.may_send(observable_key(kind, text), text)] == []
    assert [text for text in PUBLIC[kind] if not guard.may_send(observable_key(kind, text), text)] == []


@pytest.mark.parametrize("kind", sorted(PRIVATE))
def test_sql_and_python_never_send_the_same(kind: str) -> None:
    guard = never_sent(OURS)
    keys = [(observable_key(kind, text), text) for text in (*PRIVATE[kind], *PUBLIC[kind])]
    with duckdb.connect() as con:
        con.execute("create table t (value varchar, key varchar, written varchar)")
        con.executemany("insert into t values (?, ?, ?)", [(key.value, key.hex, written) for key, written in keys])
        sent = con.execute(f"select written from t where {guard.sql(kind, 'value', 'key', 'written')}").fetchall()
    assert sorted(written for (written,) in sent) == sorted(text for key, text in keys if guard.may_send(key, text))
    assert len(sent) == len(PUBLIC[kind])


def test_networks_are_not_asked_about() -> None:
    assert not never_sent().may_send(observable_key("ip", "8.8.8.0/24"), "8.8.8.0/24")


def test_what_is_neither_a_network_nor_a_domain_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.0/99' is neither a network nor a domain"):
        never_sent(["10.0.0.0/99"])
