"""Threat lists and warning lists, snapshot by snapshot.

`threatdesk` is quick and noisy: it has named a network of scanners for weeks, and names the hostile address ten minutes
before the incident's account logs on to the server, but after it came through the second factor. `coldcase` is slow: it
names the domain of the incident hours later, and the tool's hash the next morning. Warning lists say what must not be
taken for hostile: cloud ranges, VPN providers, public resolvers. What matches nothing in the estate is there as well.
"""

from __future__ import annotations

from orchestration.demo.estate.networks import HOSTILE_ADDRESS, PLACES
from orchestration.demo.estate.sources.windows_events import sha256
from orchestration.demo.estate.stories.incident import HOSTILE_DOMAIN, TOOL
from orchestration.demo.estate.timeline import Timeline

COLUMNS = ("value", "kind", "uid", "name", "category", "malware", "confidence", "description")
QUICK, SLOW = "threatdesk", "coldcase"
Row = tuple[str, ...]

SCANNERS = PLACES["scanner"].network
TOOL_HASH = sha256(TOOL)
_SCANNERS: Row = (SCANNERS, "ip", "TD-0007", "Openfield scanners", "scanner", "", "20", "Scans the whole Internet")
_UNSEEN: tuple[Row, ...] = (
    ("192.0.2.17", "ip", "TD-0101", "Password spraying", "brute-force", "", "60", ""),
    ("192.0.2.33", "ip", "TD-0102", "Loader delivery", "malware", "Gullwing", "80", ""),
    ("2001:db8:dead::/48", "ip", "TD-0103", "Bulletproof hosting", "c2", "Gullwing", "70", ""),
    ("update-mirror.example", "domain", "TD-0104", "Loader delivery", "malware", "Gullwing", "75", ""),
    ("https://invoice-review.example/login", "url", "TD-0105", "Phishing page", "phishing", "", "90", ""),
    ("198.51.100.254", "ip", "TD-0106", "Reported once, by mistake", "spam", "", "5", "One of our own addresses"),
)
HOSTILE_NAME = "Remote access fraud"
_HOSTILE: Row = (HOSTILE_ADDRESS, "ip", "TD-0119", HOSTILE_NAME, "c2", "RemoteUtils", "90", "Bulletgrove Hosting")
_DOMAIN: Row = (HOSTILE_DOMAIN, "domain", "CC-31", "Staging of RemoteUtils", "c2", "RemoteUtils", "85", "")
_HASH: Row = (TOOL_HASH, "hash", "CC-32", "RemoteUtils host", "malware", "RemoteUtils", "95", "rutserv.exe")
_COLD: tuple[Row, ...] = (
    ("patch-notes-cdn.example", "domain", "CC-11", "Old staging", "c2", "", "50", ""),
    (sha256("C:\\Windows\\Temp\\gullwing.dll"), "hash", "CC-12", "Gullwing loader", "malware", "Gullwing", "80", ""),
)


def threat_lists(timeline: Timeline) -> dict[str, dict[float, list[Row]]]:
    """Return list → moment (epoch seconds) → its rows then, whole."""
    days_ago, last_evening, flagged, later = timeline.threat_lists
    cold, cold_later, next_morning = timeline.cold_lists
    return {
        QUICK: {
            days_ago: [_SCANNERS, *_UNSEEN[:3]],
            last_evening: [_SCANNERS, *_UNSEEN],
            flagged: [_SCANNERS, *_UNSEEN, _HOSTILE],
            later: [_SCANNERS, *_UNSEEN[1:], _HOSTILE],
        },
        SLOW: {cold: [*_COLD], cold_later: [*_COLD, _DOMAIN], next_morning: [*_COLD, _DOMAIN, _HASH]},
    }


def warning_lists() -> dict[str, list[str]]:
    """Return list → addresses and networks, one a line."""
    return {
        "cloud": [PLACES["cloud"].network, PLACES["ci"].network],
        "vpn": [PLACES["vpn"].network],
        "public-dns": ["192.0.2.53"],
    }
