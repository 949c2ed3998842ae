"""The one spelling of an observable: what feeds and events write, made the same by one function for both.

Python calls `normal_text`; SQL calls it as `observable_text(kind, text)` on connections that `prepare` has seen, and
only for texts that are not plain (see `lake/ocsf/keys.py`, which spells plain ones itself).

Host names are those of DNS by UTS 46, non-transitional: `faß.de` is `xn--fa-hia.de`. A label that UTS 46 can map and
IDNA 2008 does not allow (☃) has its Punycode, as it stands in DNS. URLs are normalised by RFC 3986, section 6.2.2 and
6.2.3: case of scheme, host and percent-encoding, unreserved characters decoded, dot segments, default port, empty path.
A user name in it and a fragment are left out: they are not what is asked of a server.
"""

import re
import unicodedata
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

_ARROW: Any = "arrow"  # DuckDB's stubs want members of its enumerations, which texts stand for
_NULLS: Any = "special"

VERSION = 1  # raise when a text gets another spelling: what was built with the old one is then built again
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?[.])*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z"
)
_EMAIL = re.compile(r"[^@ \t\n\r\x0b\x0c]+@[^@ \t\n\r\x0b\x0c]+\Z")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]+)([^?#]*)(\?[^#]*)?(?:#.*)?\Z", re.DOTALL)
_BLANK = re.compile(r"[ \t\n\r\x0b\x0c]")
_PORT = re.compile(r"(.*?)(?::([0-9]*))?\Z", re.DOTALL)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_OTHER = re.compile(r"[^\x21-\x7e]+")  # what a URL holds percent-encoded only


def normal_text(kind: str, text: str) -> str | None:
    """Return the spelling of an observable of a kind (domain, url, email, name); None where it is none of that kind."""
    try:
        if kind == "domain":
            return domain_name(text)
        if kind == "url":
            return url(text)
        if kind == "email":
            return _email(text)
        return unicodedata.normalize("NFC", text.strip()).lower() or None if kind == "name" else None
    except UnicodeError:  # a lone surrogate
        return None


def domain_name(text: str) -> str | None:
    """Return a host name as DNS has it, without a dot at its end; None where it is none."""
    name = text.strip()
    name = name.lower() if name.isascii() else _ascii_name(name)
    return name if name and _DOMAIN.match(name := name.rstrip(".")) else None


def _ascii_name(name: str) -> str:
    import idna  # takes 10 ms, and few names need it

    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    except idna.IDNAError:
        return ""
    labels = [_ascii_label(label) for label in mapped.rstrip(".").split(".")]
    return ".".join(labels) if all(labels) else ""


def _ascii_label(label: str) -> str:
    import idna

    if label.isascii():
        return label
    try:
        return idna.alabel(label).decode()
    except (idna.InvalidCodepointContext, idna.IDNABidiError):
        return ""  # joiners where none may be, and directions that mix, are there to deceive
    except idna.InvalidCodepoint:
        made = f"xn--{label.encode('punycode').decode()}"
        return made if len(made) <= 63 and not label.startswith("-") and not label.endswith("-") else ""
    except idna.IDNAError:
        return ""


def _email(text: str) -> str | None:
    name, at, domain = unicodedata.normalize("NFC", text.strip()).lower().rstrip(".").rpartition("@")
    if not domain.isascii():
        domain = domain_name(domain) or ""
    whole = f"{name}{at}{domain}"
    return whole if _EMAIL.match(whole) else None


def url(text: str) -> str | None:
    """Return a URL as it is asked of a server; None where it has no scheme and host, or blanks."""
    found = _URL.match(text.strip())
    if not found or _BLANK.search(found[0]):
        return None
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4] or ""
    host = _host(authority.rpartition("@")[2], scheme)
    return f"{scheme}://{host}{_path(path)}{_encoded(query)}" if host else None


def _host(given: str, scheme: str) -> str:
    """Return host and port, without a default port; empty where there is none."""
    bare, bracket, rest = given.partition("]")
    host, port = (bare + bracket, rest.removeprefix(":")) if bracket else _PORT.match(given).groups(default="")  # type: ignore[union-attr]
    if port and (not port.isascii() or not port.isdigit() or int(port[:9]) > 65535 or len(port) > 9):
        return ""
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1].partition('%')[0])}]" if bracket else ""
        except AddressValueError:
            host = host.lower()
    else:
        host = "" if ":" in host else _ENCODED.sub(_decoded, host)
        host = (host.lower() if host.isascii() else domain_name(host) or "").rstrip(".")
    if not host:
        return ""
    return host if not port or int(port) == _DEFAULT_PORTS.get(scheme) else f"{host}:{int(port)}"


def _decoded(found: re.Match[str]) -> str:
    """Return an unreserved character as it is, any other percent-encoded in capitals."""
    byte = int(found[1], 16)
    return chr(byte) if byte in _UNRESERVED else f"%{found[1].upper()}"


def _encoded(text: str) -> str:
    text = _ENCODED.sub(_decoded, text)
    return _OTHER.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def _path(path: str) -> str:
    """Return a path without dot segments (RFC 3986, section 5.2.4)."""
    path = _encoded(path) or "/"
    if "/." not in path:
        return path
    kept: list[str] = []
    steps = path.split("/")[1:]
    for step in steps:
        if step == "..":
            del kept[-1:]
        elif step != ".":
            kept.append(step)
    if steps[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def prepare(con: "duckdb.DuckDBPyConnection") -> None:
    """Give a connection, and all cursors of its DuckDB, the SQL function `observable_text(kind, text)`."""
    types: Any = ["VARCHAR", "VARCHAR"]
    con.create_function("observable_text", _column, types, "VARCHAR", type=_ARROW, null_handling=_NULLS)


def _column(kinds: Any, texts: Any) -> Any:
    """`normal_text` over columns of Arrow: a call for each row from DuckDB takes 500 times as long."""
    import pyarrow as pa

    pairs = zip(kinds.to_pylist(), texts.to_pylist(), strict=True)
    return pa.array(
        [normal_text(kind, text) if kind and text is not None else None for kind, text in pairs], pa.string()
    )
