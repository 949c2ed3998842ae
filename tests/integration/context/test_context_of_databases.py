"""Every GeoIP table that has rows says its own of an event's addresses, all of its columns."""

import pytest

from ingest.reference.geoip.records import TABLES
from lake.ocsf.context.plan import GEOIP
from tests.integration.context.context_events import events, facts, geoip, of, reference

TYPES = {
    "geoip_anonymous": "anonymous_ip",
    "geoip_isp": "isp",
    "geoip_connection": "connection_type",
    "geoip_domain": "domain",
}
SAMPLES = {"bool": "true", "int64": "99", "string": "'x'"}


def test_every_table_is_asked() -> None:
    assert set(TABLES) == set(GEOIP)


@pytest.mark.parametrize("table", TYPES)
def test_what_a_database_says_stands_in_the_event(table: str) -> None:
    con = reference()
    geoip(con, table, "81.2.69.0/24", {name: SAMPLES[of_] for name, of_ in TABLES[table].items()}, "v1")
    hit, miss = events(
        con,
        "network_activity",
        [("2026-03-01 10:00", f"{{'ip': '{ip}'}} as src_endpoint") for ip in ("81.2.69.1", "81.2.70.1")],
    )
    (entry,) = of(hit, "src_endpoint.ip", TYPES[table])
    assert set(TABLES[table]) | {"version", "built_at"} == set(entry["data"])
    assert facts(miss, "src_endpoint.ip", TYPES[table], "version") == []
