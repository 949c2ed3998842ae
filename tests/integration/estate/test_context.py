"""Events carry what was known at their time: who had the address, who the account was, what was on a list."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.lakes import headwater


def _entries(uid: str, kind: str) -> dict[str, dict[str, Any]]:
    """The enrichments of a type of one sign-in, by what they are of."""
    said = headwater(
        "query",
        "--json",
        "select unnest(enrichments, recursive := true) from silver.authentication"
        f" where metadata.uid = '{uid}' and len(enrichments) > 0",
    )
    assert said.code == 0, said.err
    return {row["name"]: row["data"] for row in said.json if row["type"] == kind}


def test_an_address_belongs_to_whoever_had_it_then(estate: Path, truth: dict[str, Any]) -> None:
    for uid, told in truth["context"]["assets"].items():
        found = [data for name, data in _entries(uid, "asset").items() if name.startswith("src_endpoint")]
        assert [(each["name"], each["owner"]) for each in found] == (
            [(told["asset"], told["owner"])] if told["asset"] else []
        )


def test_an_account_is_who_it_was_then(estate: Path, truth: dict[str, Any]) -> None:
    for uid, told in truth["context"]["identities"].items():
        found = [data for name, data in _entries(uid, "identity").items() if name == "user"]
        assert [(each["username"], each["department"], each["status"]) for each in found] == (
            [(told["username"], told["department"], told["status"])] if told["status"] else []
        )


# The data of a DNS answer is plain text to OCSF: matching reads it, the context of events does not.
@pytest.mark.parametrize(("at", "in_answers"), [(0, 1), (1, 0), (2, 0), (3, 0)])
def test_an_indicator_is_on_the_events_that_came_after_it_was_learned(
    at: int, in_answers: int, estate: Path, truth: dict[str, Any]
) -> None:
    match = truth["retro"][at]
    held = " union all ".join(
        f"select metadata.uid as uid, unnest(enrichments) as entry from silver.{table.name}"
        for table in sorted((estate / "lake/silver").iterdir())
    )
    said = headwater(
        "query",
        "--json",
        f"with held as ({held}) select count(distinct uid) as events from held"
        f" where entry.type = 'threat_intelligence' and (entry.data->>'indicator') = '{match['indicator']}'",
    )
    assert said.code == 0, said.err
    assert said.json == [{"events": match["known_at_the_time"] - in_answers}]
