"""The balance sheet says yes only of what is built as the project is now, and of no more than that at destinations."""

import msgspec
import pytest

from lake.ledger.balance import BALANCED, NOT_BUILT, balance, surplus
from lake.ledger.staleness import Mappings
from lake.storage.store import LocalStore
from tests.unit.lake.held import MAPPINGS, SOURCE, build, landing

NEWER = {**MAPPINGS.fingerprints, f"authentication__{SOURCE}": "edited"}
MORE = {**MAPPINGS.fingerprints, f"api_activity__{SOURCE}": "new"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """One batch of two hours, built."""
    made = LocalStore(tmp_path_factory.mktemp("built"))
    landing(made, "a", [(3, "a1"), (3, "a2"), (4, "a3")])
    build(made)
    return made


@pytest.mark.parametrize(
    ("mappings", "state", "why"),
    [
        (None, BALANCED, ""),
        (MAPPINGS, BALANCED, ""),
        (Mappings(NEWER), NOT_BUILT, f"what authentication__{SOURCE} is made by has changed since it was built"),
        (Mappings(MORE), NOT_BUILT, f"not built: api_activity__{SOURCE}"),
    ],
)
def test_an_hour_that_another_mapping_built_is_not_balanced(
    store: LocalStore, mappings: Mappings | None, state: str, why: str
) -> None:
    sheet = balance(store, [SOURCE], mappings=mappings)
    assert [(row.state, row.why) for row in sheet.hours] == [(state, why)] * 2
    assert sheet.balanced == (state == BALANCED)


@pytest.mark.parametrize(("delivered", "expired", "told"), [(2, 0, 0), (3, 0, 1), (3, 1, 0)])
def test_more_than_the_lake_publishes_at_a_destination_is_told(
    store: LocalStore, delivered: int, expired: int, told: int
) -> None:
    row = balance(store, [SOURCE]).hours[0]
    found = list(surplus(msgspec.structs.replace(row, expired=expired, delivered={"siem": delivered, "other": 1})))
    assert len(found) == told and all(f"siem holds 3 events of {SOURCE} 2026-03-02T03" in each for each in found)
