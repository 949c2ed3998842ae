"""Regular expressions for the formats of OCSF's text types, for engines whose `\\z` is the end of the text (RE2, Java).

What belongs here: one expression per type. They accept nothing that the official expression refuses.
What does not: where they are applied (rules.py).
"""

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}([.]{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"
_ZONE = "(%[0-9A-Za-z_.-]+)?"


def _ipv6() -> str:
    """IPv6 text as in RFC 4291: eight groups, one `::` for one or more of them, the last two as IPv4 if wanted.

    RFC 4007 adds a zone (`fe80::1%eth0`), which Windows writes too.
    """
    forms = [f"({_GROUP}:){{7}}{_GROUP}", f"({_GROUP}:){{6}}{_IPV4}", f"({_GROUP}:){{1,7}}:"]
    forms += [f"({_GROUP}:){{1,{7 - after}}}(:{_GROUP}){{1,{after}}}" for after in range(1, 7)]
    forms += [f":(:{_GROUP}){{1,7}}", "::"]
    forms += [f"({_GROUP}:){{1,{5 - after}}}(:{_GROUP}){{0,{after}}}:{_IPV4}" for after in range(5)]
    forms += [f":(:{_GROUP}){{0,5}}:{_IPV4}"]
    return "(" + "|".join(forms) + ")" + _ZONE


# The official expression lets any character stand for the dots of an IPv4 address, and blanks around it; this does not.
IP_ADDRESS = rf"^({_IPV4}|{_ipv6()})\z"


def expression(type_name: str, official_pattern: str) -> str:
    """Return the expression that a text of an OCSF type must match."""
    if type_name == "ip_t":
        return IP_ADDRESS
    return official_pattern[:-1] + r"\z" if official_pattern.endswith("$") else official_pattern
