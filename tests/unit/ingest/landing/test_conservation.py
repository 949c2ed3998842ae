"""Whatever the bytes: each record read is in bronze or in quarantine, counted from the files, and nothing raises."""

import gzip
import json
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.ingest.landing.landed import GOOD, landed_together

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


@settings(max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(OBJECTS)
def _gather(found: list[bytes], data: bytes) -> None:
    found.append(data)


def test_what_is_read_is_landed_or_quarantined(tmp_path: Path) -> None:
    """One landing of all objects: it is dear, and each object is accounted for by itself."""
    datas: list[bytes] = []
    _gather(datas)  # type: ignore[call-arg]
    found = landed_together(tmp_path, datas)
    bronze, quarantine = (
        Counter(name for (name,) in rows("_source_object")) for rows in (found.bronze, found.quarantine)
    )
    for mark in found.receipt.objects:
        data = datas[int(mark.name)]
        assert (mark.read - mark.quarantined, mark.quarantined) == (bronze[mark.name], quarantine[mark.name]), data
    receipt = found.receipt
    assert receipt.landed and receipt.quarantined  # else nothing is shown
    assert receipt.read == receipt.landed + receipt.quarantined == sum(mark.read for mark in receipt.objects)
    assert (receipt.landed, receipt.quarantined) == (bronze.total(), quarantine.total())
    assert receipt.quarantined == sum(receipt.quarantined_by_reason.values())
