import ipaddress

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.ocsf.rules import IP_ADDRESS

GOOD = [
    "0.0.0.0",
    "10.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "1::",
    "2001:db8::7",
    "2001:db8:0:0:0:0:0:7",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1::8",
    "1:2:3::7:8",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::192.0.2.33",
    "1:2:3:4:5:6:10.0.0.1",
    "1::5:10.0.0.1",
    "FE80::A%eth0",
    "fe80::1%12",
]
BAD = [
    "256.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.4:",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "g::",
    ":1",
    "1:",
    "::1%",
    "1:2:3:4:5:6:7:10.0.0.1",
    "10.0.0.1::",
    "10a0b0c1",
    "s3.amazonaws.com",
    "AWS",
    "-",
    "",
    " 10.0.0.1",
    "10.0.0.1\n",
    "10.0.0.1 10.0.0.2",
]


def accepted(texts: list[str]) -> list[bool]:
    rows = duckdb.execute(
        "select regexp_matches(text, $pattern) from (select unnest($texts::varchar[]) as text)",
        {"pattern": IP_ADDRESS, "texts": texts},
    ).fetchall()
    return [row[0] for row in rows]


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def test_addresses_are_accepted_in_every_notation() -> None:
    assert [text for text, good in zip(GOOD, accepted(GOOD), strict=True) if not good] == []


def test_what_is_no_address_is_refused() -> None:
    assert [text for text, good in zip(BAD, accepted(BAD), strict=True) if good] == []


groups = st.lists(st.sampled_from(["", "0", "1", "db8", "ffff", "10.0.0.1", "12345"]), min_size=1, max_size=9)
near_addresses = st.one_of(
    groups.map(":".join),
    st.text("0123456789af:.", max_size=20),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(near_addresses, min_size=50, max_size=200))
def test_the_expression_and_the_standard_library_agree(texts: list[str]) -> None:
    assert [is_ip(text) for text in texts] == accepted(texts)
