"""From an OCSF row back to the raw text, the object and row it came in, and the batch: whatever became of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE


def _trace(uid: str) -> dict[str, Any]:
    answer = headwater("trace", uid, "--json")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize(
    ("uid", "classes", "became"),
    [
        ("in-0-4", ["authentication"], ["published"]),
        ("plain", ["base_event"], ["published"]),
        ("copied", ["authentication"], ["duplicate", "duplicate", "published"]),
        ("noise", [], ["filtered by noise"]),
        ("torn", ["authentication", "authentication"], ["published (key collision)"] * 2),
    ],
)
def test_an_event_is_followed_to_every_record_of_it(
    uid: str, classes: list[str], became: list[str], okta_lake: Path
) -> None:
    found = _trace(uid)
    assert [event["class"] for event in found["events"]] == classes
    assert sorted(record["disposition"] for record in found["records"]) == became
    delivered = okta_lake.parent / "delivered"
    for record in found["records"]:
        line = Path(record["object"]).read_text().splitlines()[record["row"] - 1]
        assert record["raw"] == line
        assert Path(record["object"]).parent == delivered
    assert [batch["read"] for batch in found["batches"]] == [22]
    assert {record["batch"] for record in found["records"]} == {batch["batch"] for batch in found["batches"]}


def test_an_ocsf_row_names_the_record_it_was_made_of(okta_lake: Path) -> None:
    [event], [record] = (_trace("in-1-3")[key] for key in ("events", "records"))
    assert (event["source"], event["object"], event["row"]) == (SOURCE, record["object"], record["row"])
    assert event["event"]["metadata"]["uid"] == "in-1-3"


def test_people_see_the_raw_text_whole(okta_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = headwater("trace", "in-1-3").out
    assert _trace("in-1-3")["records"][0]["raw"] in said
