"""What feeds write of addresses: networks that hold everything are refused, and IPv4 and IPv6 are kept apart."""

import pytest

from ingest.reference.observables import NotObservable, network_of, observables
from ingest.reference.rows import NoRow, row_maker
from ingest.reference.tables import Entry


def rows(table: str, text: str) -> list[str]:
    """The networks that a table takes of a text, in the spelling of Python."""
    found = [*observables(text, "ip")]
    make = row_maker(table)
    for each in found:
        make(Entry(each.value, {}, each.kind, each.value))
    return [str(network_of(each)) for each in found]


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0/0", "::/0", "::/8", "0.0.0.0-255.255.255.255", "::ffff:0:0/96", "::ffff:0.0.0.0/96", "128.0.0.0/1",
        "10.0.0.0/7", "2000::/3", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4/0", "0.0.0.0/00",
        "1.0.0.0-223.255.255.255", "1.2.3.0-9.0.0.0", "64:ff9b::/16", "1.2.3.4/0.0.0.0",
    ],
)  # fmt: skip
def test_an_indicator_that_holds_nearly_everything_is_refused(text: str) -> None:
    with pytest.raises((NoRow, NotObservable), match=r"nearly every address|too many addresses"):
        rows("indicators", text)


@pytest.mark.parametrize(
    ("table", "text", "network"),
    [
        ("indicators", "10.0.0.0/8", "10.0.0.0/8"),
        ("indicators", "2001::/19", "2001::/19"),
        ("indicators", "::ffff:1.2.3.0/120", "1.2.3.0/24"),
        ("indicators", "::ffff:1.2.3.4", "1.2.3.4/32"),
        ("indicators", "2002:102:304::/48", "2002:102:304::/48"),
        ("indicators", "64:ff9b::1.2.3.4", "64:ff9b::102:304/128"),
        ("indicators", "1.2.3.4:8080", "1.2.3.4/32"),
        ("indicators", "[2001:db8::1]:443", "2001:db8::1/128"),
        ("warning_lists", "224.0.0.0/4", "224.0.0.0/4"),
        ("warning_lists", "224.0.0.0-239.255.255.255", "224.0.0.0/4"),
        ("warning_lists", "fc00::/7", "fc00::/7"),
    ],
)
def test_what_a_table_takes(table: str, text: str, network: str) -> None:
    assert [network] == rows(table, text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("010.1.1.1", "leading zeros are octal to some"),
        ("1.2.3.4:70000", "neither an address"),
        ("*.evil.example", "a wildcard, which only warning lists may have"),
        ("ba\u200dd.example", "neither an address"),
        ("1.2.3.4/33", "neither an address"),
        ("256.1.1.1", "neither an address"),
    ],
)
def test_why_a_text_is_no_observable(text: str, why: str) -> None:
    with pytest.raises(NotObservable, match=why):
        [*observables(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("hxxps://EVIL[.]example:443/a", "https://evil.example/a"),
        ("evil[.]example.", "evil.example"),
        ("evil.example:8080", "evil.example"),
        ("faß[.]de", "xn--fa-hia.de"),
        ("user[at]faß.de", "user@xn--fa-hia.de"),
    ],
)
def test_defanged_spellings(text: str, value: str) -> None:
    assert [value] == [each.value for each in observables(text)]


def test_a_machine_does_not_own_every_address() -> None:
    _, unusable = row_maker("assets")(Entry("ws1", {"addresses": ["0.0.0.0/0", "10.1.0.0/16"]}))
    assert [("0.0.0.0/0", True)] == [(text, "nearly every address" in why) for text, why in unusable]
