"""Whatever the bytes: each record read is in bronze or in quarantine, counted from the files, and nothing raises."""

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.landing import land
from lake.storage.open import open_store
from tests.unit.ingest.landing.landed import GOOD, raw, strange

LINES = st.one_of(
    st.just(json.dumps(GOOD).encode()),
    st.binary(max_size=30),
    st.text(max_size=30).map(lambda text: json.dumps({**GOOD, "label": text}).encode()),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=5,
    ).map(lambda value: json.dumps({**GOOD, "open": value, "count": value, "targets": value}).encode()),
    st.integers(1, 5000).map(lambda depth: b'{"open": ' + b"[" * depth + b"]" * depth + b"}"),
    st.just(json.dumps(GOOD).encode("utf-16")),
    st.just(b'{"host": "a\x00", "number": 1e999, "number": 2, "at": "9999-99-99T99:99:99Z"}'),
)
OBJECTS = st.one_of(
    st.binary(max_size=200),
    st.lists(LINES, max_size=12).map(b"\n".join),
    st.lists(LINES, max_size=6).map(lambda found: b'{"Records": [' + b",".join(found) + b"]}"),
    st.lists(LINES, max_size=6).map(lambda found: gzip.compress(b"\n".join(found))[:-5]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OBJECTS, min_size=1, max_size=4))
def test_what_is_read_is_landed_or_quarantined(datas: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "lake")
        receipt = land(strange(), [raw(data, f"{at}") for at, data in enumerate(datas)], store, "b")
        landed, quarantined = (
            sum(pq.read_metadata(store.url(entry.key)).num_rows for entry in store.list(room))
            for room in ("bronze", "quarantine")
        )
    assert receipt.read == landed + quarantined
    assert (receipt.landed, receipt.quarantined) == (landed, quarantined)
    assert receipt.read == sum(mark.read for mark in receipt.objects)
    assert (
        receipt.quarantined
        == sum(mark.quarantined for mark in receipt.objects)
        == sum(receipt.quarantined_by_reason.values())
    )
