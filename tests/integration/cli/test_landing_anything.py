"""Whatever bytes a file holds: `land` counts them, puts them somewhere, and never gives a traceback."""

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.ledger.balance import balance
from lake.storage.store import LocalStore
from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE, event

_LINES = st.one_of(
    st.binary(max_size=60).map(lambda line: line.replace(b"\n", b" ")),
    st.sampled_from([event("a"), "{", "[]", "null", '"text"', "1e999", "[" * 600, '{"uuid": "a", "uuid": "b"}']).map(
        str.encode
    ),
    st.builds(lambda uid, at: event(uid, at).encode(), st.text(max_size=8), st.text(max_size=12)),
    st.builds(lambda n: event("n", severity=n).encode(), st.integers(-(10**40), 10**40) | st.floats()),
)
_FILES = st.one_of(st.binary(max_size=300), st.lists(_LINES, max_size=8).map(b"\n".join))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_FILES, squeezed=st.booleans(), cut=st.integers(0, 40))
def test_arbitrary_bytes_are_landed_or_quarantined(
    content: bytes, squeezed: bool, cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{len(list(tmp_path.iterdir()))}"
    file = tmp_path / f"{name}.json{'.gz' if squeezed else ''}"
    packed = gzip.compress(content, mtime=0) if squeezed else content
    file.write_bytes(packed[: len(packed) - cut] if squeezed else packed)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / f"{name}-lake"))
    answer = headwater("land", SOURCE, file, "--json")
    assert answer.code == (1 if answer.json["quarantined"] and not answer.json["landed"] else 0), answer.err
    assert answer.json["read"] == answer.json["landed"] + answer.json["quarantined"]
    sheet = balance(LocalStore(tmp_path / f"{name}-lake")).sources
    assert [row.read for row in sheet] == [answer.json["read"]]
    assert not any("missing" in row.why or "bytes, its receipt" in row.why for row in sheet)
