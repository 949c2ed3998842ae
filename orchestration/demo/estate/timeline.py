"""When the company learned what: the moments of its reference feeds, beside those of the stories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

INCIDENT, LOOK_ALIKE = 0.31, 0.64  # shares of the span at which the two stories begin
SERVER_AFTER_SECONDS = 810  # from a story's beginning to its first logon on the server
FLAGGED_BEFORE_SECONDS = 600  # the hostile address is on the list ten minutes before that logon
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """The moments of an estate that begins at `start` (epoch seconds) and lasts some hours."""

    start: float
    hours: int

    def at(self, share: float) -> float:
        """The whole second at a share of the span."""
        return float(int(self.start + share * self.hours * _HOUR))

    @property
    def server_logon(self) -> float:
        """When the incident's account first logs on to the server."""
        return self.at(INCIDENT) + SERVER_AFTER_SECONDS

    @property
    def flagged(self) -> float:
        """When the hostile address first stands on a threat list."""
        return self.server_logon - FLAGGED_BEFORE_SECONDS

    @property
    def lease_moved(self) -> float:
        """When a VPN address goes from one laptop to another."""
        return self.at(0.5)

    @property
    def lease_ended(self) -> float:
        """When that address belongs to nobody."""
        return self.at(0.8)

    @property
    def directory_changed(self) -> float:
        """When somebody has changed departments, somebody has left and somebody has joined."""
        return self.at(0.55)

    @property
    def inventories(self) -> tuple[float, float, float]:
        """The CMDB's snapshots."""
        return self.start - 6 * _HOUR, self.lease_moved, self.lease_ended

    @property
    def directories(self) -> tuple[float, float]:
        """The directory's snapshots."""
        return self.start - 24 * _HOUR, self.directory_changed

    @property
    def threat_lists(self) -> tuple[float, float, float, float]:
        """Snapshots of the list that is quick: the third is the first to name the hostile address."""
        return self.start - 36 * _HOUR, self.start - 12 * _HOUR, self.flagged, self.at(0.9)

    @property
    def cold_lists(self) -> tuple[float, float, float]:
        """Snapshots of the list that is slow: what it names has long happened."""
        return self.start - 20 * _HOUR, self.at(0.8), self.start + (self.hours + 8) * _HOUR

    @property
    def warning_lists(self) -> float:
        """The one snapshot of the warning lists."""
        return self.start - 720 * _HOUR


def stamp(at: float) -> str:
    """`20260302T072954Z`: a moment as names of snapshots carry it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def utc(at: float) -> str:
    """`2026-03-02T07:29:54Z`: a moment as the feeds write it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
