"""Context changes no rows, whatever the reference tables hold, and is read by name, type and field."""

import random
from collections.abc import Iterable
from datetime import datetime

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.ocsf.keys import address_hexes
from tests.integration.context.context_events import (
    ACCOUNT_NAMES,
    ADA,
    DB1,
    Row,
    events,
    indicator,
    named,
    reference,
    whole_sql,
)
from tests.integration.context.macros import render

# --- rows ----------------------------------------------------------------------------------------------------------

HOSTS, NAMES, ADDRESSES = ("web", "db1", "web.example"), ("ada", "sam"), ("10.0.0.1", "10.0.0.0/24", "10.0.0.0/8")
MOMENTS = st.sampled_from([datetime(2026, 3, 1, hour, minute) for hour in (9, 10, 11) for minute in (0, 30)])
SPANS = st.fixed_dictionaries(
    {"valid_from": MOMENTS, "valid_to": MOMENTS, "learned_at": MOMENTS, "feed": st.sampled_from("ab")}
)


def _hostile(keys: st.SearchStrategy[Row]) -> st.SearchStrategy[list[Row]]:
    rows = st.tuples(keys, SPANS).map(lambda pair: {**pair[0], **pair[1]})
    return st.lists(rows, max_size=12).map(lambda found: [*found, *found[:3]])


def _names(kind: str, texts: Iterable[str], entries: str) -> st.SearchStrategy[Row]:
    return st.tuples(st.sampled_from(entries), st.sampled_from(list(texts))).map(
        lambda pair: named(pair[0], kind, pair[1])[0]
    )


HOSTILE = st.fixed_dictionaries(
    {
        "assets": _hostile(
            st.builds(
                lambda entry, owner: {"entry": entry, "owner": owner}, st.sampled_from("AB"), st.sampled_from("xy")
            )
        ),
        "asset_names": _hostile(_names("hostname", HOSTS, "ABC") | _names("ip", ADDRESSES, "ABC")),
        "identities": _hostile(st.builds(lambda entry: {"entry": entry}, st.sampled_from("AB"))),
        "identity_names": _hostile(_names("name", NAMES, "ABC")),
        "indicators": _hostile(st.sampled_from(ADDRESSES).map(lambda text: indicator("ip", text))),
        "warning_lists": _hostile(
            st.sampled_from(["example", "web.example"]).map(
                lambda text: indicator("domain", text, covers_subdomains=True)
            )
        ),
    }
)
EVENT = """{'ip': '10.0.0.1', 'hostname': 'web.example'} as src_endpoint, {'hostname': 'db1'} as dst_endpoint,
    {'name': 'ada'} as user, {'user': {'name': 'sam'}} as actor"""
EVENTS = [(f"2026-03-01 {hour:02}:{minute:02}", EVENT) for hour in (9, 10, 11) for minute in (0, 15, 30, 45)]


@settings(max_examples=4, deadline=None)
@given(HOSTILE, st.integers())
def test_no_reference_table_changes_the_number_of_rows_nor_its_order_what_is_found(
    tables: dict[str, list[Row]], seed: int
) -> None:
    """Overlapping, repeated, ambiguous and empty times of validity; entities without names and names without any."""
    found = events(reference(**tables), "authentication", EVENTS)
    assert [each["metadata"]["uid"] for each in found] == [f"k{i}" for i in range(len(EVENTS))]
    mixed = {name: random.Random(seed).sample(rows, len(rows)) for name, rows in tables.items()}
    assert events(reference(**mixed), "authentication", EVENTS) == found


MAPPED = f"""select 1 as activity_id, {{'product': {{'name': 'p', 'vendor_name': 'v'}}}} as metadata, {EVENT},
    'k' as _event_key, timestamp '2026-03-01 10:00' as _event_at, timestamp '2026-03-01 10:00' as _arrived_at,
    'b' as _batch, 'o' as _source_object, 1 as _source_row from range(1000)"""


def test_events_that_are_the_same_stay_as_many_as_they_were() -> None:
    con = reference(indicators=[indicator("ip", "10.0.0.1"), indicator("ip", "10.0.0.0/8", feed="b")])
    rows = con.execute(
        f"select len(enrichments), count(*) from ({whole_sql(con, 'authentication', MAPPED)}) group by 1"
    )
    assert rows.fetchall() == [(2, 1000)]


def test_without_reference_tables_nothing_is_joined() -> None:
    sql = whole_sql(reference(), "authentication", MAPPED)
    assert " join " not in sql
    assert "reference." not in sql


# --- reading -------------------------------------------------------------------------------------------------------


def test_analysts_read_context_by_name_type_and_field() -> None:
    con = reference(
        assets=[DB1 | {"tags": ["pci", "prod"]}],
        asset_names=named("DB1", "hostname", "db1"),
        identities=[ADA],
        identity_names=ACCOUNT_NAMES,
    )
    events(
        con, "authentication", [("2026-03-01 10:00", "{'hostname': 'db1'} as dst_endpoint, {'name': 'ada'} as user")]
    )
    asked = {
        "department": render("enrichment", "user", "identity", "department"),
        "privileged": render("enrichment", "user", "identity", "is_privileged", "whole"),
        "value": render("enrichment", "dst_endpoint", "asset", "value"),
        "tags": render("enrichment_list", "dst_endpoint", "asset", "tags"),
        "none": render("enrichment", "src_endpoint", "asset", "uid"),
        "no_tags": render("enrichment_list", "src_endpoint", "asset", "tags"),
        "any": f"len({render('enrichments_of', '', 'asset')})",
    }
    row = con.execute(
        f"select {', '.join(f'{sql} as {name}' for name, sql in asked.items())} from main.whole"
    ).fetchone()
    assert dict(zip(asked, row or (), strict=True)) == {
        "department": "Finance",
        "privileged": "false",
        "value": "db1",
        "tags": ["pci", "prod"],
        "none": None,
        "no_tags": [],
        "any": 1,
    }


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(alphabet="012fF:.%ag", max_size=14), min_size=1, max_size=200))
def test_mappings_read_addresses_as_context_does(texts: list[str]) -> None:
    plain, mapped = ["1.2.3.4", "1:2:3:4:5:6:7:8", "1::", "::", "ABCD::1.2.3.4"], "::ffff:1.2.3.4"
    texts += [
        *plain,
        mapped,
        "1:2:3:4:5:6:1.2.3.4",
        "fe80::1%eth0",
        "1::2::3",
        "1:2:3:4:5:6:7::8",
        "::1.2.3.4.5",
        "1.2%0",
    ]
    hexes = address_hexes("(select unnest($1::varchar[]) as value)")
    sql = f"select value, hex, {render('ip_hex', 'value')}, {render('ip_or_null', 'value')} from ({hexes})"
    rows = duckdb.execute(sql, [texts]).fetchall()
    assert [(text, hex_, ip is None) for text, hex_, _, ip in rows] == [
        (text, hex_, hex_ is None) for text, _, hex_, _ in rows
    ]
    found = {text: ip for text, _, _, ip in rows}
    assert {text: found[text] for text in plain} == {text: text for text in plain}
    assert found[mapped] == "1.2.3.4" and found["fe80::1%eth0"] == "fe80::1"


def test_the_views_may_be_absent_altogether() -> None:
    con = duckdb.connect()
    (event,) = events(con, "authentication", [("2026-03-01 10:00", "{'name': 'ada'} as user")])
    assert "enrichments" not in event
