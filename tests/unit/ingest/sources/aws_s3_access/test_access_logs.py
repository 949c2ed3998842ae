"""S3 server access logs: every documented field, lines of every age, and what clients put into them."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.objects import list_objects
from tests.unit.ingest.landing.landed import landed

CONTRACT = load_contracts()["aws_s3_access"]
OWNER = "79a59df900b949e5"


def line(
    uri: str = '"GET /a HTTP/1.1"', referer: str = '"-"', agent: str = '"curl/8"', behind: str = "", request: str = "R1"
) -> str:
    """A line; `behind` are the fields behind the version id, with the blank before them."""
    head = f"{OWNER} bucket [02/Mar/2026:05:00:38 +0000] 192.0.2.3 - {request} REST.GET.OBJECT a/b"
    return f"{head} {uri} 200 - 113 5000 7 5 {referer} {agent} v1{behind}"


SIX = " hostid= SigV4 TLS_AES AuthHeader bucket.s3.amazonaws.com"


def test_every_documented_field_has_its_column(tmp_path: Path) -> None:
    behind = f"{SIX} TLSv1.3 arn:aws:s3:eu-west-1:111122223333:accesspoint/x Yes eu-west-1"
    text = line(behind=behind).replace("192.0.2.3 - R1", "192.0.2.3 arn:aws:iam::111122223333:user/a R1")
    text = text.replace("200 - 113", "404 NoSuchKey 113").replace('"-"', '"https://r/"')
    found = landed(tmp_path, f"{text}\n".encode(), CONTRACT)
    names = ", ".join(f'"{each.name}"::varchar' for each in CONTRACT.fields)
    assert [
        (
            *(OWNER, "bucket", "02/Mar/2026:05:00:38 +0000", "192.0.2.3", "arn:aws:iam::111122223333:user/a", "R1"),
            *("REST.GET.OBJECT", "a/b", "GET /a HTTP/1.1", "404", "NoSuchKey", "113", "5000", "7", "5"),
            *("https://r/", "curl/8", "v1", "hostid=", "SigV4", "TLS_AES", "AuthHeader", "bucket.s3.amazonaws.com"),
            *("TLSv1.3", "arn:aws:s3:eu-west-1:111122223333:accesspoint/x", "Yes", "eu-west-1"),
        )
    ] == found.bronze(names)
    assert [(text, datetime(2026, 3, 2, 5, 0, 38), [])] == found.bronze("_raw, _event_at, _violations")
    assert () == found.receipt.drift


@pytest.mark.parametrize(
    ("behind", "known"),
    [
        ("", (None, None, None, None)),
        (SIX, ("hostid=", None, None, None)),
        (f"{SIX} TLSv1.2", ("hostid=", "TLSv1.2", None, None)),
        (f"{SIX} TLSv1.2 -", ("hostid=", "TLSv1.2", None, None)),
        (f"{SIX} TLSv1.2 - Yes", ("hostid=", "TLSv1.2", "Yes", None)),
        (f"{SIX} TLSv1.2 - - us-east-1", ("hostid=", "TLSv1.2", None, "us-east-1")),
        (" hostid= - - - -", ("hostid=", None, None, None)),
    ],
    ids=["before 2019", "2019", "TLS version", "access point", "ACL required", "source region", "nothing known"],
)
def test_lines_of_every_age_land(tmp_path: Path, behind: str, known: tuple[object, ...]) -> None:
    found = landed(tmp_path, f"{line(behind=behind)}\n".encode(), CONTRACT)
    assert [("v1", *known)] == found.bronze("version_id, host_id, tls_version, acl_required, source_region")


def test_fields_that_aws_adds_at_the_end_are_drift_and_no_loss(tmp_path: Path) -> None:
    text = line(behind=f'{SIX} TLSv1.2 - - - new "and newer"')
    found = landed(tmp_path, f"{text}\n".encode(), CONTRACT)
    assert [("further", 1, 'new "and newer"')] == [(d.field, d.records, d.sample) for d in found.receipt.drift]
    assert [(text, "curl/8")] == found.bronze("_raw, user_agent")


@pytest.mark.parametrize(
    ("part", "given", "expected"),
    [
        ("uri", '"GET /a?q="x" y HTTP/1.1"', 'GET /a?q="x" y HTTP/1.1'),
        ("uri", "-", None),
        ("uri", '"-"', None),
        ("uri", '"GET /a\\"b HTTP/1.1"', 'GET /a\\"b HTTP/1.1'),
        ("referer", '"https://r/?a="b" c"', 'https://r/?a="b" c'),
        ("referer", '""', None),
        ("agent", '"a "quoted" agent"', 'a "quoted" agent'),
        ("agent", '"Mozilla/5.0 (X11; "Linux") " - x"', 'Mozilla/5.0 (X11; "Linux") " - x'),
        ("agent", '"\u200bäö€"', "\u200bäö€"),
        ("agent", "-", None),
    ],
)
def test_what_clients_write_ends_where_the_next_field_begins(
    tmp_path: Path, part: str, given: str, expected: str | None
) -> None:
    found = landed(tmp_path, f"{line(**{part: given}, behind=SIX)}\n".encode(), CONTRACT)
    column = {"uri": "request_uri", "referer": "referer", "agent": "user_agent"}[part]
    assert [(expected, 200, "hostid=")] == found.bronze(f"{column}, http_status, host_id")


def test_a_line_of_another_shape_is_quarantined_whole(tmp_path: Path) -> None:
    found = landed(tmp_path, f"{line()}\nno access log\n{line(request='R2')}\n".encode(), CONTRACT)
    assert [("no_match", "no access log", 2)] == found.quarantine("reason, _raw, _source_row")
    assert [("R1", 1), ("R2", 3)] == found.bronze("request_id, _source_row")
    assert found.receipt.conserved


def test_a_user_agent_made_to_confuse_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    """Processor time, for lines that match nothing: a matcher that goes back and tries again needs hours for one."""
    nasty = line(uri='"' + '" 200 - ' * 500, referer='"' + '" "' * 2000, agent='" "' * 2000, behind=' "')
    before = time.process_time()
    found = landed(tmp_path, f"{nasty}\n".encode() * 20, CONTRACT)
    assert 20 == found.receipt.quarantined + found.receipt.landed
    assert time.process_time() - before < 60


def test_a_record_delivered_twice_has_one_key_and_each_object_of_a_batch_its_own(tmp_path: Path) -> None:
    one = line().replace("REST.GET.OBJECT a/b", "BATCH.DELETE.OBJECT a/b")
    other = line().replace("REST.GET.OBJECT a/b", "BATCH.DELETE.OBJECT a/c")
    listing = line().replace("REST.GET.OBJECT a/b", "REST.GET.BUCKET -")
    found = landed(tmp_path, f"{one}\n{other}\n{one}\n{listing}\n{listing}\n".encode(), CONTRACT)
    keys = [key for (key,) in found.bronze("_event_key")]
    assert ["R1|BATCH.DELETE.OBJECT|a/b", "R1|BATCH.DELETE.OBJECT|a/c", "R1|BATCH.DELETE.OBJECT|a/b"] == keys[:3]
    assert keys[3] == keys[4]  # without an object, the line's hash
    assert 3 == len(set(keys))


@pytest.mark.parametrize(
    "key",
    [
        "2026-03-02-05-21-32-E568B2907131C0C0",
        "111122223333/eu-west-1/bucket/2026/03/02/2026-03-02-05-21-32-E568B2907131C0C0",
    ],
    ids=["simple prefix", "date partitions"],
)
def test_the_vendors_keys_fit_a_layout_and_tell_the_delivery(tmp_path: Path, key: str) -> None:
    assert any(each.fits(key) for each in CONTRACT.key_layouts)
    path = tmp_path / "logs" / key
    path.parent.mkdir(parents=True)
    path.write_text(line() + "\n")
    (found,) = list_objects(CONTRACT, [tmp_path / "logs"]).objects
    assert "2026-03-02T05:21:32+00:00" == found.arrived_at.isoformat()


def test_json_renditions_fill_the_same_columns(shared_data: Path, tmp_path: Path) -> None:
    """Panther's samples: those without a time are quarantined, all others have their fields."""
    data = (shared_data / "panther_samples" / "AWS.S3ServerAccess.ndjson").read_bytes()
    found = landed(tmp_path, data, CONTRACT)
    assert (16, 11, {"missing_field": 5}) == (
        found.receipt.read,
        found.receipt.landed,
        found.receipt.quarantined_by_reason,
    )
    expected = ("54.159.198.108", "SignatureDoesNotMatch", 403, "TLSv1.2", datetime(2020, 6, 21, 20, 41, 25))
    assert expected == found.bronze("remote_ip, error_code, http_status, tls_version, _event_at")[0]
