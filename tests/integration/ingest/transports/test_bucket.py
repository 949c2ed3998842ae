"""Objects of a bucket: an hour costs a listing of that hour, new accounts are found, the listed object is read."""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from ingest.contracts import Contract, load_contracts
from ingest.contracts.model import read_template
from ingest.objects import Listing, ObjectGone, ObjectRefused, RawObject
from ingest.transports import bucket
from lake.storage.aws import AccessDenied, NoSuchBucket, StoreUnavailable, explained
from lake.storage.store import AwsAccess
from orchestration.demo.simulators.s3 import S3Server, put_all
from tests.simulators.faulty_http import Fault, FaultyProxy

HOUR = datetime(2026, 3, 2, 5)
ACCOUNTS, REGIONS = ("111122223333", "444455556666"), ("eu-west-1", "us-east-1", "ap-south-1")
BODY = gzip.compress(b'{"Records": []}', mtime=0)


def key(at: datetime, account: str = ACCOUNTS[0], region: str = REGIONS[0], above: str = "AWSLogs/") -> str:
    name = f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%M}Z_AbCdEfGhIjKlMnOp.json.gz"
    return f"{above}{account}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}"


def names(listing: Listing) -> list[str]:
    return [each.name.split("/", 3)[3] for each in listing.objects]


@pytest.fixture
def trail() -> Contract:
    return load_contracts()["aws_cloudtrail"]


@pytest.fixture
def put(s3_server: S3Server, s3_bucket: str) -> Iterator["Put"]:
    yield Put(s3_server, s3_bucket)


class Put:
    """A bucket and what is put into it."""

    def __init__(self, server: S3Server, name: str) -> None:
        self.client, self.name = server.client(), name

    def __call__(self, *keys: str, body: bytes = BODY) -> str:
        put_all(self.client, self.name, dict.fromkeys(keys, body))
        return f"s3://{self.name}/"


@pytest.fixture(scope="module")
def year(s3_server: S3Server) -> str:
    """A bucket with every other day of a year of two accounts and three regions, and 36 objects in one of its hours."""
    client, name = s3_server.client(), s3_server.bucket()
    first = datetime(2025, 6, 1, 12, 5)
    keys = [key(first + timedelta(days=day), a, r) for day in range(0, 366, 2) for a in ACCOUNTS for r in REGIONS]
    keys += [key(HOUR + timedelta(minutes=10 * n), a, r) for n in range(6) for a in ACCOUNTS for r in REGIONS]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda each: client.put_object(Bucket=name, Key=each, Body=b""), keys))
    return name


def test_one_hour_of_a_bucket_with_a_year_of_objects_lists_tens_of_keys(
    year: str, s3_server: S3Server, s3_environment: str, trail: Contract
) -> None:
    with FaultyProxy(s3_server.url) as proxy:
        access = AwsAccess(endpoint_url=proxy.url, addressing_style="path")
        found = bucket.list_objects(trail, [f"s3://{year}/"], access, HOUR)
        seen = [each.target for each in proxy.exchanges]
    assert 36 == len(found.objects)
    assert {HOUR} == {each.arrived_at.replace(minute=0, tzinfo=None) for each in found.objects}
    assert len(seen) == found.requests < 40
    assert found.keys < 80  # the hour's objects, and the folders on the way to them
    assert all("list-type=2" in each for each in seen)
    assert [] == found.notes
    whole = bucket.list_objects(trail, [f"s3://{year}/"], access_to(s3_environment))
    assert (1134, 1134) == (len(whole.objects), whole.keys)


def access_to(url: str) -> AwsAccess:
    return AwsAccess(endpoint_url=url, addressing_style="path")


def test_a_new_account_a_new_region_and_an_organisation_are_found_by_themselves(
    put: Put, s3_environment: str, trail: Contract
) -> None:
    root, access = put(key(HOUR)), access_to(s3_environment)
    assert [key(HOUR)] == names(bucket.list_objects(trail, [root], access, HOUR))
    new = [key(HOUR, ACCOUNTS[1]), key(HOUR, region="me-south-1"), key(HOUR, above="AWSLogs/o-abc123def4/")]
    put(*new)
    assert sorted([key(HOUR), *new]) == names(bucket.list_objects(trail, [root], access, HOUR))


@pytest.mark.parametrize("root", ["", "logs/", "logs/AWSLogs/", f"logs/AWSLogs/{ACCOUNTS[0]}/CloudTrail/eu-west-1"])
def test_a_root_may_lie_above_a_layout_or_inside_it(root: str, put: Put, s3_environment: str, trail: Contract) -> None:
    url = put(key(HOUR, above="AWSLogs/" if not root else "logs/AWSLogs/"), key(HOUR - timedelta(days=40)))
    found = bucket.list_objects(trail, [url + root], access_to(s3_environment), HOUR)
    assert (1, []) == (len(found.objects), found.notes)
    assert found.keys < 6


def test_an_object_that_is_filed_under_the_neighbouring_day_is_found(
    put: Put, s3_environment: str, trail: Contract
) -> None:
    midnight = datetime(2026, 3, 2)
    root = put(key(midnight + timedelta(minutes=1)).replace("2026/03/02", "2026/03/01"))
    assert 1 == len(bucket.list_objects(trail, [root], access_to(s3_environment), midnight).objects)


def test_digests_are_passed_over_and_insights_are_read(put: Put, s3_environment: str, trail: Contract) -> None:
    insight = key(HOUR).replace("CloudTrail", "CloudTrail-Insight")
    root = put(key(HOUR).replace("CloudTrail", "CloudTrail-Digest"), insight, f"{key(HOUR).rsplit('/', 1)[0]}/")
    assert [insight] == names(bucket.list_objects(trail, [root], access_to(s3_environment), HOUR))
    ((name, why),) = bucket.list_objects(trail, [root], access_to(s3_environment)).ignored
    assert ("CloudTrail-Digest" in name, "no event data by the contract") == (True, why)


def test_a_name_whose_time_stands_behind_an_unknown_part_is_still_narrowed_to_the_hour(
    put: Put, s3_environment: str, trail: Contract
) -> None:
    template = "AWSLogs/{account}/vpcflowlogs/{yyyy}/{mm}/{dd}/{account}_vpcflowlogs_{flow_log}_{yyyy}{mm}{dd}T{hh}"
    flows = replace(trail, key_layouts=(read_template(template),), arrival_pattern=None, arrival_format=None)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    keys = [
        f"AWSLogs/{ACCOUNTS[0]}/vpcflowlogs/{at:%Y/%m/%d}/{ACCOUNTS[0]}_vpcflowlogs_{fl}_{at:%Y%m%dT%H%M}Z_1.log.gz"
        for fl in ("fl-1", "fl-2")
        for at in (now, now - timedelta(hours=30))
    ]
    root = put(*keys)
    found = bucket.list_objects(flows, [root], access_to(s3_environment), now)
    assert sorted(each for each in keys if f"{now:%Y%m%dT%H}" in each) == names(found)


def test_layouts_and_places_that_overlap_give_an_object_once(put: Put, s3_environment: str, trail: Contract) -> None:
    days = "AWSLogs/{account}/flows/day={yyyy}-{mm}-{dd}/"
    both = replace(trail, key_layouts=(read_template(days), read_template(days + "hour={hh}/")))
    root = put(f"AWSLogs/{ACCOUNTS[0]}/flows/day=2026-03-02/hour=05/{key(HOUR).rsplit('/', 1)[1]}")
    access = access_to(s3_environment)
    found = bucket.list_objects(both, [root], access, HOUR)
    assert (1, 2) == (len(found.objects), found.keys)  # the key and the account's folder
    assert 1 == len(bucket.list_objects(both, [root, f"{root}AWSLogs"], access).objects)


def test_without_a_layout_everything_is_listed_and_the_listing_says_so(
    put: Put, s3_environment: str, trail: Contract
) -> None:
    plain = replace(trail, key_layouts=())
    root = put(key(HOUR), "README.md", key(HOUR + timedelta(hours=1)))
    for contract, why in ((plain, "no time is in keyLayouts"), (trail, "")):
        found = bucket.list_objects(contract, [root], access_to(s3_environment), HOUR)
        assert [key(HOUR)] == names(found)
        assert bool(why) == any(why in note for note in found.notes)
    elsewhere = put("flat/" + key(HOUR).rsplit("/", 1)[1]) + "flat"
    (note,) = bucket.list_objects(trail, [elsewhere], access_to(s3_environment), HOUR).notes
    assert "no folder there is laid out as the contract" in note


def test_without_a_time_in_the_name_the_hour_is_that_of_last_modified(
    put: Put, s3_environment: str, trail: Contract
) -> None:
    untold = replace(trail, arrival_pattern=None, arrival_format=None, key_layouts=())
    root = put("one.json")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    hours = [now, now - timedelta(hours=1)]  # the second one in case the hour ended in between
    assert 1 == sum(len(bucket.list_objects(untold, [root], access_to(s3_environment), at).objects) for at in hours)


def test_a_place_may_be_one_object_whatever_it_is_called(put: Put, s3_environment: str, trail: Contract) -> None:
    root, access = put("odd name+1.txt", "odd name+1.txt.json"), access_to(s3_environment)
    assert ["odd name+1.txt"] == names(bucket.list_objects(trail, [f"{root}odd name+1.txt"], access))
    with pytest.raises(FileNotFoundError, match="no object is there"):
        bucket.list_objects(trail, [f"{root}nowhere"], access)


def only(put: Put, access: AwsAccess, trail: Contract, body: bytes) -> RawObject:
    (found,) = bucket.list_objects(trail, [put(key(HOUR), body=body)], access, HOUR).objects
    return found


def test_a_body_that_breaks_off_is_read_on_from_where_it_broke(put: Put, s3_server: S3Server, trail: Contract) -> None:
    body = bytes(range(256)) * 4000
    with FaultyProxy(s3_server.url) as proxy:
        found = only(put, access_to(proxy.url), trail, body)
        proxy.inject(Fault("cut", "GET", "_CloudTrail_", at_bytes=300_000, times=2))
        with found.open() as file:
            assert body == file.read()
        reads = [each for each in proxy.exchanges if "_CloudTrail_" in each.target and "list-type" not in each.target]
    assert [("cut", 200), ("cut", 206), (None, 206)] == [(each.fault, each.status) for each in reads]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("error", "GET", "_CloudTrail_", status=503, code="SlowDown", times=3),
        Fault("error", "GET", "_CloudTrail_", status=500, times=2),
        Fault("cut", "GET", "_CloudTrail_", at_bytes=10, times=2),
    ],
    ids=["slow down", "internal error", "cut short"],
)
def test_a_request_that_is_refused_for_a_while_is_repeated(
    fault: Fault, put: Put, s3_server: S3Server, trail: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with FaultyProxy(s3_server.url) as proxy:
        found = only(put, access_to(proxy.url), trail, BODY)
        proxy.inject(fault)
        with found.open() as file:
            assert BODY == file.read()
        assert fault.times == fault.made


def test_a_connection_that_always_breaks_is_given_up_with_the_place(
    put: Put, s3_server: S3Server, trail: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with FaultyProxy(s3_server.url) as proxy:
        found = only(put, access_to(proxy.url), trail, BODY)
        proxy.inject(Fault("reset", "GET", "_CloudTrail_", at_bytes=0, times=None))
        with pytest.raises(
            StoreUnavailable, match=rf"s3:GetObject on s3://{put.name}/AWSLogs.* broke 6 times at byte 0"
        ):
            found.open()


def test_an_object_that_is_deleted_or_replaced_after_the_listing_is_gone(
    put: Put, s3_environment: str, trail: Contract
) -> None:
    found = only(put, access_to(s3_environment), trail, BODY)
    put(key(HOUR), body=BODY + b"x")
    with pytest.raises(ObjectGone, match="replaced after it was listed"):
        found.open()
    put.client.delete_object(Bucket=put.name, Key=key(HOUR))
    with pytest.raises(ObjectGone, match="deleted after it was listed"):
        found.open()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", ObjectRefused),
        (403, "InvalidObjectState", ObjectRefused),  # archived since it was listed
        (400, "KMS.DisabledException", ObjectRefused),
        (403, "InvalidAccessKeyId", AccessDenied),  # these four are about who asks, or about the server
        (400, "ExpiredToken", AccessDenied),
        (403, "RequestTimeTooSkewed", AccessDenied),
        (503, "ServiceUnavailable", StoreUnavailable),
    ],
)
def test_what_is_about_one_object_is_told_apart_from_what_is_about_all(
    put: Put, s3_server: S3Server, trail: Contract, status: int, code: str, kind: type[Exception]
) -> None:
    with FaultyProxy(s3_server.url) as proxy:
        found = only(put, replace(access_to(proxy.url), attempts=1), trail, BODY)
        proxy.inject(Fault("error", "GET", "_CloudTrail_", status=status, code=code, times=None))
        with pytest.raises(kind, match=f"s3:GetObject on {found.name} .*{code}"):
            found.open()


def test_the_permission_that_aws_names_is_named() -> None:
    said = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: kms:Decrypt on the resource …"
    problem = ClientError({"Error": {"Code": "AccessDenied", "Message": said}}, "GetObject")
    told = "s3:GetObject on s3://b/k was denied (AccessDenied): allow the permission kms:Decrypt on the KMS key"
    assert f"{told} of the object" == str(explained(problem, "s3:GetObject", "b", "k"))


def test_denied_access_names_bucket_key_and_permission(put: Put, s3_server: S3Server, trail: Contract) -> None:
    with FaultyProxy(s3_server.url) as proxy:
        access = access_to(proxy.url)
        found = only(put, access, trail, BODY)
        proxy.inject(Fault("error", "GET", "_CloudTrail_", status=403, code="AccessDenied", times=None))
        with pytest.raises(ObjectRefused, match=rf"s3:GetObject on {found.name} was denied .* without s3:ListBucket"):
            found.open()
        proxy.inject(Fault("error", "GET", "list-type=2", status=403, code="AccessDenied", times=None))
        with pytest.raises(AccessDenied, match=rf"s3:ListBucket on s3://{put.name}/AWSLogs/ was denied"):
            bucket.list_objects(trail, [f"s3://{put.name}/"], access, HOUR)
    with pytest.raises(NoSuchBucket, match="there is no bucket no-such-bucket"):
        bucket.list_objects(trail, ["s3://no-such-bucket/"], access_to(s3_server.url), HOUR)
