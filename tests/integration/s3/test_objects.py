"""Objects of a bucket that are broken, or change under a run: what is there lands, the rest is told and healed."""

import gzip
import json
from collections.abc import Callable, Iterator

import pytest

from orchestration.demo.simulators.s3 import S3Server
from tests.integration.lakes import Said, headwater
from tests.integration.okta_logs import SOURCE, event
from tests.integration.s3.conftest import Way
from tests.simulators.faulty_http import Fault


def whole(name: str) -> bytes:
    """400 events."""
    return gzip.compress("".join(f"{event(f'{name}-{n}')}\n" for n in range(400)).encode(), mtime=0)


WHOLE = whole("w")
OTHER = gzip.compress(f"{event('other')}\n".encode(), mtime=0)
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda body: body[: len(body) // 2],
    "truncated in its header": lambda body: body[:6],
    "without its checksum": lambda body: body[:-8],
    "corrupt in the middle": lambda body: body[:600] + bytes(byte ^ 0x55 for byte in body[600:640]) + body[640:],
    "corrupt in its checksum": lambda body: body[:-8] + b"\0\0\0\0" + body[-4:],
    "no gzip at all": lambda body: b"<html>Sign in to the proxy</html>\n",
}


@pytest.fixture
def bucket(s3_server: S3Server, way: Way) -> Iterator[str]:
    """A bucket of its own with a whole object and a place for another; `way` lands it."""
    name = s3_server.bucket()
    s3_server.client().put_object(Bucket=name, Key="in/other.ndjson.gz", Body=OTHER)
    way.delivered = f"s3://{name}/in"
    yield name


def _balanced(way: Way) -> dict[str, int]:
    assert way.build().code == 0
    sheet = headwater("balance", "--json")
    assert sheet.code == 0, sheet.out
    total = sheet.json["total"]
    state = way.lake.state()
    assert (state.unnamed, state.leftovers) == ([], [])
    return {name: total[name] for name in ("read", "landed", "quarantined", "published", "duplicates")}


def _landed(said: Said) -> str:
    assert said.code == 0, said.err
    return said.out + said.err


def test_broken_objects_are_told_and_their_whole_successors_are_published_once(
    way: Way, bucket: str, s3_server: S3Server
) -> None:
    """What could be read of a broken one stays on the record, as copies, and so does what could not."""
    for number, spoil in enumerate(BROKEN.values()):
        s3_server.client().put_object(Bucket=bucket, Key=f"in/{number}.ndjson.gz", Body=spoil(whole(f"w{number}")))
    _landed(way.land())
    assert len(BROKEN) <= sum(each["records"] for each in headwater("quarantine", "list", SOURCE, "--json").json)
    first = _balanced(way)
    assert first["read"] == first["landed"] + first["quarantined"]
    assert first["quarantined"] >= len(BROKEN), "what cannot be read is in quarantine"
    found = headwater("query", "--json", f"select count(*)::int as n from bronze.{SOURCE} where uuid = 'other'")
    assert found.json == [{"n": 1}], "a broken object keeps no other from landing"
    for number in range(len(BROKEN)):
        s3_server.client().put_object(Bucket=bucket, Key=f"in/{number}.ndjson.gz", Body=whole(f"w{number}"))
    _landed(way.land())
    then = _balanced(way)
    assert then["published"] == then["landed"] - then["duplicates"]
    uids = "select count(*)::int as n, count(distinct metadata.uid)::int as m from silver.authentication"
    found = headwater("query", "--json", f"{uids} where regexp_full_match(metadata.uid, 'w[0-9]-[0-9]+')")
    assert found.json == [{"n": 400 * len(BROKEN), "m": 400 * len(BROKEN)}]
    assert then["read"] == first["read"] + 400 * len(BROKEN), "every record of both is accounted for"


def test_an_object_that_goes_between_listing_and_reading_is_told_and_comes_back(
    way: Way, bucket: str, s3_server: S3Server
) -> None:
    s3 = s3_server.client()
    s3.put_object(Bucket=bucket, Key="in/w.ndjson.gz", Body=WHOLE)
    way.spoil(Fault("act", "GET", r"/in/w", act=lambda: s3.delete_object(Bucket=bucket, Key="in/w.ndjson.gz")))
    said = _landed(way.land())
    assert "w.ndjson.gz" in said and "deleted" in said
    assert _balanced(way) == {"read": 1, "landed": 1, "quarantined": 0, "published": 1, "duplicates": 0}
    s3.put_object(Bucket=bucket, Key="in/w.ndjson.gz", Body=WHOLE)
    _landed(way.land())
    assert _balanced(way)["published"] == 401


def test_an_object_that_is_replaced_between_listing_and_reading_lands_once_as_it_is_now(
    way: Way, bucket: str, s3_server: S3Server
) -> None:
    s3 = s3_server.client()
    s3.put_object(Bucket=bucket, Key="in/w.ndjson.gz", Body=OTHER)
    way.spoil(Fault("act", "GET", r"/in/w", act=lambda: s3.put_object(Bucket=bucket, Key="in/w.ndjson.gz", Body=WHOLE)))
    assert "replaced" in _landed(way.land())
    _landed(way.land())
    assert _balanced(way) == {"read": 401, "landed": 401, "quarantined": 0, "published": 401, "duplicates": 0}


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(
    way: Way, bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection breaks, and when the rest is asked for, the object is another."""
    s3 = s3_server.client()
    s3.put_object(Bucket=bucket, Key="in/w.ndjson.gz", Body=WHOLE)
    other = gzip.compress("".join(f"{event(f'v-{n}')}\n" for n in range(400)).encode(), mtime=0)
    way.spoil(
        Fault("reset", "GET", r"/in/w", at_bytes=1000),
        Fault("act", "GET", r"/in/w", act=lambda: s3.put_object(Bucket=bucket, Key="in/w.ndjson.gz", Body=other)),
    )
    _landed(way.land())
    _landed(way.land())
    _balanced(way)
    found = headwater("query", "--json", f"select distinct left(uuid, 2) as kind from bronze.{SOURCE} order by 1")
    assert [row["kind"] for row in found.json] == ["ot", "v-"]


def test_nothing_that_a_command_prints_is_a_key(way: Way, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI0SECRET")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0IDENTIFIER")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzTOKEN")
    said = [way.land(), way.build(), headwater("doctor"), headwater("query", "select * from duckdb_secrets()")]
    way.spoil(Fault("error", times=None, status=403, code="InvalidAccessKeyId"))
    said += [way.land(), way.build(), headwater("doctor"), headwater("query", f"select * from bronze.{SOURCE}")]
    printed = "".join(each.out + each.err for each in said)
    assert not any(key in printed for key in ("0SECRET", "dzTOKEN")), printed
    assert json.dumps(printed).count("AKIA0IDENTIFIER") <= 1, "DuckDB's own listing of secrets may name the key's id"
