"""What the demo's company knows beside its logs: settings of its reference feeds, and loading them.

The feeds are those of `orchestration.demo.estate.context.reference`. What does not belong here: the order
of the demo (`orchestration.demo.tour`), or how a feed is loaded (`orchestration.steps.feeds`).
"""

from typing import Any

from ingest.reference.geoip.load import databases_of, load_geoip
from lake.storage.store import Store
from orchestration.settings import load_settings
from orchestration.steps.feeds import load_configured

_REFERENCE = "estate/reference"
_WARNINGS = {
    "cloud_ranges": ("cloud", "Ranges of cloud providers"),
    "vpn_providers": ("vpn", "VPN providers"),
    "public_resolvers": ("public-dns", "Public DNS resolvers"),
}


def context_settings() -> dict[str, Any]:
    """Return what the settings file of a demo says of GeoIP and of reference feeds; paths are relative to it."""
    databases = {"city": "city", "asn": "asn", "anonymous": "anonymous-ip", "isp": "isp"}
    return {
        "geoip": {name: [f"{_REFERENCE}/geoip-{file}.mmdb"] for name, file in databases.items()},
        "reference": {"feeds": _feeds()},
    }


def _feeds() -> dict[str, dict[str, Any]]:
    context = {
        "cmdb": ("assets", "assets/assets-*.csv", "Larkspur CMDB"),
        "directory": ("identities", "identities/identities-*.csv", "Larkspur directory"),
        "threatdesk": ("indicators", "intel/threatdesk-*.csv", "Threatdesk"),
        "coldcase": ("indicators", "intel/coldcase-*.csv", "Coldcase"),
    }
    feeds: dict[str, dict[str, Any]] = {
        name: {"table": table, "format": "csv", "path": f"{_REFERENCE}/{path}", "provider": provider}
        for name, (table, path, provider) in context.items()
    }
    for name, (list_, title) in _WARNINGS.items():
        feeds[name] = {"table": "warning_lists", "format": "plain", "path": f"{_REFERENCE}/warning/{list_}-*.txt"}
        feeds[name] |= {"constants": {"name": title, "category": list_}}
    return feeds


def load_context(store: Store) -> list[str]:
    """Load GeoIP and every snapshot of every feed that is news; return a line a feed of what there is."""
    settings = load_settings()
    geoip = load_geoip(store, databases_of(settings.geoip.databases))
    lines = [f"GeoIP: {', '.join(sorted({receipt.table.removeprefix('geoip_') for receipt in geoip}))}"]
    for name, feed in settings.reference.feeds.items():
        loaded = list(load_configured(settings, store, name))
        if loaded:
            last = loaded[-1].receipt
            changed = sum(each.receipt.changes for each in loaded)
            lines.append(
                f"{name}: {len(loaded)} snapshots up to {last.as_of[:16]}, {last.rows_open:,} {feed.table} now,"
                f" {last.rows:,} rows with their times, {changed:,} changes"
            )
    return lines
