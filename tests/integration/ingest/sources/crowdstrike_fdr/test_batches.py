"""A folder of parts is read once _SUCCESS lies beside them; secondary feeds and markers are no events."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest import sources
from ingest.contracts import Contract, ContractError, load_contract, load_contracts
from ingest.objects import Listing, list_objects
from ingest.transports import bucket
from lake.storage.store import AwsAccess
from orchestration.demo.simulators.s3 import S3Server, put_all

BODY = b'{"event_simpleName": "X"}'
KEYS = (
    "data/0b1c/part-00000.gz",
    "data/0b1c/part-00001.gz",
    "data/0b1c/_SUCCESS",
    "data/9f2e/part-00000.gz",
    "data/single.gz",
    "fdrv2/aidmaster/77aa/part-00000.gz",
    "fdrv2/aidmaster/77aa/_SUCCESS",
)
COMPLETE = ["data/0b1c/part-00000.gz", "data/0b1c/part-00001.gz", "data/single.gz"]
NOTE = "without _SUCCESS beside them, left for later: 1 objects, 1 batches"
WAITING = ["data/9f2e/part-00000.gz"]


@pytest.fixture(scope="module")
def falcon() -> Contract:
    return load_contracts()["crowdstrike_fdr"]


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A copy of a feed on this machine, below a folder of the customer's."""
    for key in KEYS:
        path = tmp_path / "c9ec-ec39" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(BODY)
    return tmp_path / "c9ec-ec39"


def keys(listing: Listing) -> list[str]:
    return [each.name.split("c9ec-ec39/")[1] for each in listing.objects]


def test_a_folder_waits_for_the_marker_of_each_batch(falcon: Contract, feed: Path) -> None:
    found = list_objects(falcon, [feed])
    waiting = [name.split("c9ec-ec39/")[1] for name, why in found.ignored if "_SUCCESS" in why]
    assert (keys(found), waiting) == (COMPLETE, WAITING)
    assert found.notes == [NOTE]


def test_a_batch_is_read_when_its_marker_has_come(falcon: Contract, feed: Path) -> None:
    (feed / "data/9f2e/_SUCCESS").touch()
    assert keys(list_objects(falcon, [feed])) == sorted(COMPLETE + WAITING)


def test_a_part_that_is_named_itself_is_read_without_a_marker(falcon: Contract, feed: Path) -> None:
    assert keys(list_objects(falcon, [feed / WAITING[0]])) == WAITING


def test_a_bucket_waits_for_the_marker_of_each_batch(
    falcon: Contract, s3_server: S3Server, s3_bucket: str, s3_environment: str
) -> None:
    put_all(s3_server.client(), s3_bucket, {f"c9ec-ec39/{key}": BODY for key in KEYS})
    place, access = f"s3://{s3_bucket}/c9ec-ec39/", AwsAccess(endpoint_url=s3_environment)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    for found in (bucket.list_objects(falcon, [place], access), bucket.list_objects(falcon, [place], access, hour=now)):
        assert keys(found) == COMPLETE
        assert NOTE in found.notes


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{pattern: 'data/[^/]+/part-', marker: _SUCCESS}", "a group named batch"),
        ("{pattern: '(?P<batch>data/[^/]+', marker: _SUCCESS}", "not a regular expression"),
        ("{pattern: '(?P<batch>data)/part-', marker: a/_SUCCESS}", "marker: found 'a/_SUCCESS'"),
        ("{pattern: '(?P<batch>data)/part-', mark: _SUCCESS}", "unknown key 'mark'"),
    ],
)
def test_a_wrong_rule_is_one_line_that_names_the_property(rule: str, said: str, tmp_path: Path) -> None:
    text = (Path(sources.__file__).parent / "crowdstrike_fdr" / "contract.yaml").read_text()
    right = next(line for line in text.splitlines() if "(?P<batch>" in line)
    (tmp_path / "contract.yaml").write_text(text.replace(right, f"    value: {rule}"))
    with pytest.raises(ContractError, match=re.escape(said)) as error:
        load_contract(tmp_path / "contract.yaml")
    assert "completeBatch" in str(error.value)
    assert "\n" not in str(error.value)
