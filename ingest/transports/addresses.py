"""Addresses that secrets are sent to: one host, spelt in full, and encrypted unless it is this machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def checked_address(url: str, *, may_have_path: bool = False) -> str:
    """Return an address without a slash at its end. Raises ValueError when a secret must not be sent there."""
    parts = urlsplit(url)
    if parts.username or parts.password:  # first, for the other messages show the address
        raise ValueError("expected an address without a user name or password in it")
    has_path = parts.path not in ("", "/") and not may_have_path
    if parts.scheme not in ("http", "https") or not parts.hostname or has_path or parts.query or parts.fragment:
        wanted = "https://host/path" if may_have_path else "https://host with nothing behind it"
        raise ValueError(f"expected {wanted}, found {url!r}")
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ValueError(f"expected https, found http to {parts.hostname}: secrets would travel in clear")
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """Whether a host is reached without leaving this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
