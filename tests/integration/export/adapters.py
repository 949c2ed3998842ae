"""The destinations that this environment can run with: files, Amazon Security Lake, Elasticsearch, Splunk."""

import base64
import io
import json
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.export import ecs, files_store
from lake.export.destination import Destination
from lake.storage import duck
from lake.storage.store import AwsAccess
from orchestration.demo.simulators import s3
from orchestration.demo.simulators.splunk.hec import Request, SplunkSimulator
from orchestration.demo.simulators.splunk.index import Token
from tests.integration.export.contract import Adapter
from tests.simulators.elastic import ElasticServer
from tests.simulators.faulty_http import Fault
from tests.unit.export.lakes import EVENT, HOUR


def as_json(value: Any, listed: bool = False) -> Any:
    """A value as `lake.export.json_sql` writes it: NULL is left out of objects, not of lists and of their objects."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: as_json(inner, listed) for name, inner in value.items() if listed or inner is not None}
    return [as_json(each, listed=True) for each in value] if isinstance(value, list) else value


def json_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `KINDS` as its JSON object: `unmapped` is JSON, `tags` is a map."""
    told = {name: as_json(value) for name, value in row.items() if value is not None}
    if row["tags"] is not None:
        told["tags"] = dict(row["tags"])
    return told | ({"unmapped": json.loads(row["unmapped"])} if row["unmapped"] else {})


class Files(Adapter):
    """NDJSON in a folder of this machine."""

    kind, proof, server, credentials = "files", "file", False, False
    format = "ndjson"

    def start(self, request: pytest.FixtureRequest) -> str:
        return ""

    @property
    def root(self) -> Path:
        return self.lake.scratch / "there"

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        return {"root": str(self.root), "format": self.format, **said}

    def elsewhere(self) -> dict[str, Any]:
        return {"format": "csv"}

    def file(self, table: str = "authentication", hour: str = HOUR) -> Path:
        return self.root / table / f"date={hour[:10]}/hour={hour[11:]}/part.{self.format}"

    def lines(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        file = self.file(table, hour)
        return file.read_text().split("\n")[:-1] if file.exists() else []

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        return sorted(json.loads(line)["_event_id"] for line in self.lines(hour, table))

    def values(self) -> dict[str, Any]:
        return {row["_event_id"]: row for row in map(json.loads, self.lines())}

    def expected(self, row: dict[str, Any]) -> Any:
        return json_row(row)

    def remove_one(self) -> None:
        self.file().write_text("".join(f"{line}\n" for line in self.lines()[1:]))

    def nobody(self) -> Destination:
        there = self.open(root=str(self.lake.scratch / "a file"))
        (self.lake.scratch / "a file").write_text("where a folder is expected")
        return there


class _InABucket(Adapter):
    """Objects of Parquet in a bucket, reached as the environment says, or by `endpoint_url`."""

    proof = "file"
    write = ("PUT", r"\.parquet")
    folder = ""

    def start(self, request: pytest.FixtureRequest) -> str:
        self.bucket: str = request.getfixturevalue("s3_bucket")
        self.client = s3.client(address := request.getfixturevalue("s3_server").url)
        self.patch.setattr(files_store, "AwsAccess", partial(AwsAccess, attempts=2))
        self.patch.setattr(duck, "_RETRIES", 1)
        return str(address)

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        given = {"root": f"s3://{self.bucket}/{self.folder}".rstrip("/"), "region": "eu-central-1"}
        return {**given, **({"endpoint_url": url} if url else {}), **said}

    def keys(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        """The keys of the hour's objects."""
        found = s3.keys(self.client, self.bucket)
        return [key for key in found if f"{table}/" in key and self.hour_in_key(hour) in key]

    def hour_in_key(self, hour: str) -> str:
        raise NotImplementedError

    def rows(self, key: str) -> pq.ParquetFile:
        body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return pq.ParquetFile(pa.BufferReader(body))

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        found = [self.rows(key).read(["_event_id"]).column(0).to_pylist() for key in self.keys(hour, table)]
        return sorted(each for some in found for each in some)

    def values(self) -> dict[str, Any]:
        return {row["_event_id"]: row for key in self.keys() for row in self.rows(key).read().to_pylist()}

    def remove_one(self) -> None:
        sink, (key, *_) = io.BytesIO(), self.keys()
        pq.write_table(self.rows(key).read().slice(1), sink)
        self.client.put_object(Bucket=self.bucket, Key=key, Body=sink.getvalue())

    def deny(self) -> str:
        self.proxy.inject(Fault("error", "PUT", status=403, code="AccessDenied", times=None))
        return "s3:PutObject"


class FilesInABucket(_InABucket):
    kind, folder = "files", "some where"

    def elsewhere(self) -> dict[str, Any]:
        return {"root": f"s3://{self.bucket}/elsewhere"}

    def hour_in_key(self, hour: str) -> str:
        return f"date={hour[:10]}/hour={hour[11:]}/"


class SecurityLake(_InABucket):
    kind, gold = "security_lake", False

    def elsewhere(self) -> dict[str, Any]:
        return {"account": "999999999999"}

    def hour_in_key(self, hour: str) -> str:
        return f"-{hour}.parquet"


class Elastic(Adapter):
    kind, refuses = "elastic", True
    write, quick = ("POST", "_bulk"), {"retry_seconds": 0.5}
    index = "headwater-{table}-2026.03"

    def start(self, request: pytest.FixtureRequest) -> str:
        self.patch.setenv("HEADWATER_ELASTIC_API_KEY", "key")
        self.server_ = request.getfixturevalue("elastic_server")
        self.prepare()
        return str(self.server_.url)

    def prepare(self) -> None:
        """Make what a user makes first."""

    @property
    def simulator(self) -> ElasticServer:
        return self.server_

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        return {"url": url or self.url, "retry_seconds": 3, **said}

    def elsewhere(self) -> dict[str, Any]:
        return {"index": "elsewhere"}

    def documents(self, hour: str = HOUR, table: str = "authentication") -> list[dict[str, Any]]:
        name = self.index.format(table=table)
        held = self.simulator.documents(name) if name in self.simulator.indices else []
        return [each for each in held if each["headwater"]["hour"] == hour]

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        return sorted(each["headwater"]["event_id"] for each in self.documents(hour, table))

    def values(self) -> dict[str, Any]:
        return {each["headwater"]["event_id"]: self._looked_at(each) for each in self.documents()}

    def expected(self, row: dict[str, Any]) -> Any:
        held = json_row(row)
        at = held.get("time_dt", "2026-03-02T04:00:00.000Z")
        placed = {*ecs.ecs()["placed"], "_event_id"}
        return (
            at,
            held.get("message") or None,
            held.get("severity_id"),
            {name: value for name, value in held.items() if name not in placed},
        )

    @staticmethod
    def _looked_at(document: dict[str, Any]) -> Any:
        event = document["event"]
        return document["@timestamp"], document.get("message"), event.get("severity"), document["ocsf"]

    def remove_one(self) -> None:
        self.simulator.indices[self.index.format(table="authentication")].documents.popitem()

    def refusal(self) -> tuple[str, str, str]:
        wrong = EVENT.replace("'192.0.2.' || n % 3", "case when n = 3 then '999.1.1.1' else '192.0.2.1' end")
        return wrong, "document_parsing_exception", "'999.1.1.1' is not an IP string literal."

    def deny(self) -> str:
        self.patch.setenv("HEADWATER_ELASTIC_API_KEY", self.secret)
        return "401 security_exception"

    def allow(self) -> None:
        self.patch.setenv("HEADWATER_ELASTIC_API_KEY", "key")

    def nobody(self) -> Destination:
        return self.open("http://127.0.0.1:1", retry_seconds=0.3)


class ElasticDataStream(Elastic):
    index = "logs-headwater.{table}-default"

    def prepare(self) -> None:
        for table in ("authentication", "logons_daily"):
            self.simulator.stream(self.index.format(table=table), ecs.mapping())

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        return super().options(url, **{"data_stream": True, "index": self.index, **said})


TOKEN = "8f6c1b7e-secret-token"


class Splunk(Adapter):
    kind, proof, answers, removes, refuses = "splunk", "acknowledgements", False, False, True
    write, quick = ("POST", "/event"), {"retry_seconds": 0.5}
    secret = TOKEN
    acknowledges = True

    def start(self, request: pytest.FixtureRequest) -> str:
        self.patch.setenv("HEADWATER_SPLUNK_TOKEN", TOKEN)
        self.hec = SplunkSimulator([Token(TOKEN, acknowledges=self.acknowledges, indexes=("main", "security"))])
        self.hec.start()
        return str(self.hec.url)

    def stop(self) -> None:
        super().stop()
        self.hec.stop()

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        quick = {"acknowledge_seconds": 2, "retry_seconds": 2, "timeout_seconds": 2}
        return {"url": url or self.url, **quick, **said}

    def elsewhere(self) -> dict[str, Any]:
        return {"index": "security"}

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        """Each once, as the documented search finds them."""
        place = (f"headwater:{table}", hour)
        found = [each for each in self.hec.events if (each.source, each.fields["event_hour"]) == place]
        return sorted({each.fields["event_id"] for each in found})

    def values(self) -> dict[str, Any]:
        return {id_: event.event for id_, event in self.hec.index.newest().items()}

    def expected(self, row: dict[str, Any]) -> Any:
        return {name: value for name, value in json_row(row).items() if name != "_event_id"}

    def refusal(self) -> tuple[str, str, str]:
        self.hec.max_content_length = 20_000
        large = EVENT.replace(
            "'signed in as u' || n % 5", "repeat(md5(n::varchar), case n when 3 then 1000 else 1 end)"
        )
        return large, "413", ""

    def deny(self) -> str:
        self.patch.setenv("HEADWATER_SPLUNK_TOKEN", "not-in-any-message")
        return "code 4"

    def allow(self) -> None:
        self.patch.setenv("HEADWATER_SPLUNK_TOKEN", TOKEN)

    def nobody(self) -> Destination:
        return self.open("http://127.0.0.1:1", retry_seconds=0.3)

    @property
    def progress(self) -> list[str]:
        """The files of progress in the lake."""
        return [each.key for each in self.lake.store.list("_exporting") if "/begun/" not in each.key]

    def posts(self) -> list[Request]:
        """The requests that carried events."""
        return [each for each in self.hec.requests if each.path.endswith("/event")]


ADAPTERS: list[type[Adapter]] = [Files, FilesInABucket, SecurityLake, Elastic, ElasticDataStream, Splunk]
