"""Elasticsearch, by a server that holds to its published behaviour: an hour is there once, what is refused is kept."""

import threading
from typing import Any

import pytest

from lake.export import ecs as documents
from lake.export.destination import Destination, configured
from lake.export.errors import BadDeclaration, DestinationDenied, DestinationUnavailable, ExportError, RowsRefused
from lake.export.status import CHANGED, NEVER
from lake.ledger.export_receipts import ExportReceipt
from tests.integration.export.warm import Warm, WarmProcess
from tests.simulators.elastic import ElasticServer, Index
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import (
    EVENT,
    HOUR,
    OKTA,
    SmallLake,
    event_ids,
    export,
    gold_export,
)

INDEX = "headwater-authentication-2026.03"


@pytest.fixture
def server(elastic_server: ElasticServer, monkeypatch: pytest.MonkeyPatch) -> ElasticServer:
    monkeypatch.setenv("HEADWATER_ELASTIC_API_KEY", "key")
    return elastic_server


def there(lake: SmallLake, server: ElasticServer | FaultyProxy, **options: Any) -> Destination:
    return lake.destination("elastic", url=server.url, **{"retry_seconds": 3, **options})


def streamed(lake: SmallLake, server: ElasticServer | FaultyProxy, **options: Any) -> Destination:
    return there(lake, server, data_stream=True, index="logs-headwater.{table}-default", **options)


def ids(server: ElasticServer, index: str = INDEX) -> list[str]:
    return sorted(document["headwater"]["event_id"] for document in server.documents(index))


def check(lake: SmallLake, server: ElasticServer, receipt: ExportReceipt, index: str = INDEX) -> None:
    assert receipt.matches, receipt.mismatch
    assert sorted(event_ids(lake.read(export()))) == ids(server, index)


def as_stream(server: ElasticServer) -> str:
    server.stream("logs-headwater.authentication-default", documents.mapping())
    return "logs-headwater.authentication-default"


class TestHours:
    def test_documents_that_a_stream_took_twice_when_it_rolled_over_are_there_once_again(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        index = as_stream(server)
        lake.silver()
        lake.push(streamed(lake, server), export())
        held = server.indices[index]
        held.documents |= {f"of another backing index {id_}": each for id_, each in list(held.documents.items())[:4]}
        check(lake, server, lake.push(streamed(lake, server), export(), again=True), index)

    def test_two_tables_in_one_index_do_not_touch_each_other(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.silver()
        destination = there(lake, server, index="everything")
        failures = export(table="failures", filter="status_id = 2")
        lake.push(destination, export())
        lake.push(destination, failures)
        lake.silver(rows=3)
        assert lake.push(destination, export()).matches
        assert lake.push(destination, failures).matches
        assert 3 + 1 == len(server.documents("everything"))

    def test_the_index_follows_from_table_and_hour(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.silver(rows=1)
        lake.push(there(lake, server, index="ocsf-{table}-{day}"), export())
        assert ["ocsf-authentication-2026.03.02"] == list(server.indices)
        assert server.indices["ocsf-authentication-2026.03.02"].mappings == documents.mapping()

    def test_gold_has_no_place_in_ecs_and_goes_all_the_same(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.gold()
        assert lake.push(there(lake, server), gold_export()).matches
        (document, *_) = server.documents("headwater-logons_daily-2026.03")
        assert {"day": "2026-03-02", "user_name": "u0", "logons": 0, "share": 0.0, "cost": 0.0} == {
            name: value for name, value in document["ocsf"].items() if name != "time_dt"
        }

    def test_large_hours_go_in_bodies_of_the_size_that_is_set(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.silver(rows=300)
        receipt = lake.push(there(lake, server, batch_bytes=20_000), export())
        check(lake, server, receipt)
        assert 10 < int(receipt.remote["requests"]) == len([each for each in server.requests if "_bulk" in each])


class TestValues:
    def test_a_value_of_16_megabytes_goes_by_itself(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.silver(rows=3, columns=f"{EVENT}, case when n = 1 then repeat('ü', {8 << 20}) end as large")
        receipt = lake.push(there(lake, server), export())
        check(lake, server, receipt)
        assert "3" == receipt.remote["requests"]
        assert {8 << 20} == {len(each["ocsf"]["large"]) for each in server.documents(INDEX) if "large" in each["ocsf"]}


class TestRefused:
    WRONG = EVENT.replace("'192.0.2.' || n % 3", "case when n = 3 then '999.1.1.1' else '192.0.2.1' end")

    def test_a_document_that_the_server_takes_in_no_body_is_refused_by_itself(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        server.max_content_length = 9_000
        lake.silver(rows=20, columns=f"{EVENT}, repeat('x', case when n = 7 then 20_000 else 10 end) as large")
        receipt = lake.push(there(lake, server), export())
        assert (True, 19, {"413": 1}) == (receipt.matches, receipt.held_rows, receipt.refused_by_code)
        assert f"{OKTA}:m7" not in ids(server)

    def test_a_stream_that_refuses_documents_without_a_time_keeps_the_others(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        index = as_stream(server)
        no_time = EVENT.replace("as time_dt", "as _t, case when n <> 2 then began end as time_dt").replace(
            "as time, ", "as _ms, case when n <> 2 then epoch_ms(began) end as time, "
        )
        lake.silver(columns=no_time)
        receipt = lake.push(streamed(lake, server), export())
        assert (True, 9, {"illegal_argument_exception": 1}) == (
            receipt.matches,
            receipt.held_rows,
            receipt.refused_by_code,
        )
        assert 9 == len(ids(server, index))

    def test_an_index_with_another_mapping_loses_nothing(self, lake: SmallLake, server: ElasticServer) -> None:
        """By a mapping that takes words apart, a deletion would find every document."""
        server.indices[INDEX] = Index({"dynamic": True})
        lake.silver()
        with pytest.raises(RowsRefused, match=r"headwater\.push is text.* Nothing was deleted"):
            lake.push(there(lake, server, create_index=False), export())
        assert 10 == len(server.documents(INDEX))


class TestFaults:
    def test_documents_that_busy_shards_refuse_are_sent_again_alone(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        lake.silver(rows=50)
        seen: set[str] = set()

        def busy(id_: str) -> bool:
            first = id_ not in seen
            seen.add(id_)
            return first and int(id_[:2], 16) % 3 == 0

        server.busy = busy
        receipt = lake.push(there(lake, server), export())
        check(lake, server, receipt)
        assert "2" == receipt.remote["requests"]

    def test_a_cluster_that_stays_busy_is_given_up_within_the_bound(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        lake.silver()
        server.busy = lambda _: True
        with pytest.raises(
            DestinationUnavailable, match=r"10 documents of a body were not taken \(429 es_rejected_exec"
        ):
            lake.push(there(lake, server, retry_seconds=0.5), export())
        assert [(HOUR, NEVER)] == lake.behind(there(lake, server), export())
        server.busy = lambda _: False
        check(lake, server, lake.push(there(lake, server), export()))

    @pytest.mark.parametrize(
        ("privileges", "told"),
        [
            ({"read"}, r"403 security_exception: .*create_index.*The API key needs create_index"),
            (
                {"create_index", "index", "read"},
                r"action \[indices:(view_index_metadata|maintenance)\] is unauthorized",
            ),
        ],
    )
    def test_a_missing_privilege_is_named(
        self, lake: SmallLake, server: ElasticServer, privileges: set[str], told: str
    ) -> None:
        lake.silver()
        server.keys = {"key": privileges}
        with pytest.raises(DestinationDenied, match=told):
            lake.push(there(lake, server), export())

    @pytest.mark.parametrize(
        "stream", [False, pytest.param(True, marks=pytest.mark.storm)], ids=["index", "data stream"]
    )
    @pytest.mark.parametrize(
        "fault",
        [
            Fault("cut", "POST", "_bulk", at_bytes=20),
            Fault("error", "POST", "_bulk", status=429, body='{"error":"too many","status":429}', times=2),
            Fault("lost", "POST", "_delete_by_query"),
            Fault("lost", "PUT"),
            Fault("slow", "POST", "_search", seconds=0.5),
            Fault("lost", "POST", "_refresh"),
        ],
        ids=lambda fault: f"{fault.kind}-{fault.where or fault.method}-{fault.status}",
    )
    def test_what_is_asked_again_is_there_once(
        self, lake: SmallLake, server: ElasticServer, fault: Fault, stream: bool
    ) -> None:
        index = as_stream(server) if stream else INDEX
        lake.silver(rows=40)
        lake.push((streamed if stream else there)(lake, server), export())
        lake.silver(rows=list(range(10, 60)))
        with FaultyProxy(server.url) as proxy:
            fault.seen = fault.made = 0
            proxy.inject(fault)
            receipt = lake.push((streamed if stream else there)(lake, proxy, batch_bytes=30_000), export())
        check(lake, server, receipt, index)
        assert fault.made or (stream and fault.method == "PUT")

    def test_an_answer_that_is_not_elastics_is_told(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.silver()
        with FaultyProxy(server.url) as proxy:
            proxy.inject(Fault("error", "POST", "_bulk", status=200, body="<html>welcome</html>"))
            with pytest.raises(DestinationUnavailable, match="gave no answer of Elasticsearch's"):
                lake.push(there(lake, proxy), export())
            proxy.heal()
            check(lake, server, lake.push(there(lake, proxy), export()))

    def test_a_count_of_some_shards_is_no_count(self, lake: SmallLake, server: ElasticServer) -> None:
        lake.silver()
        server.failed_shards = 1
        with pytest.raises(DestinationUnavailable, match="some shards did not answer"):
            lake.push(there(lake, server), export())
        server.failed_shards = 0
        check(lake, server, lake.push(there(lake, server), export()))

    def test_what_is_written_and_not_refreshed_yet_is_replaced_all_the_same(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        """A push that died left documents that no search sees, and so no deletion would find."""
        lake.silver(rows=40)
        died = threading.Event()

        def die(path: str) -> None:
            if path.endswith("_delete_by_query"):
                died.set()
                raise ConnectionResetError

        server.act = die
        with pytest.raises(ExportError):
            lake.push(there(lake, server, retry_seconds=0.1), export())
        assert died.is_set()
        server.act = lambda _: None
        lake.silver(rows=4)
        check(lake, server, lake.push(there(lake, server), export()))

    def test_an_hour_that_another_lake_pushed_in_between_is_settled_by_pushing_again(
        self, lake: SmallLake, server: ElasticServer
    ) -> None:
        lake.silver(rows=10)
        destination, turns = there(lake, server), []

        def meanwhile(path: str) -> None:
            if path.endswith("_delete_by_query") and not turns:
                turns.append(path)
                server.indices[INDEX].documents.clear()

        server.act = meanwhile
        check(lake, server, lake.push(destination, export()))

    @pytest.mark.storm
    @pytest.mark.parametrize("stream", [False, True], ids=["index", "data stream"])
    def test_killed_at_any_request(
        self, lake: SmallLake, server: ElasticServer, warm: WarmProcess, stream: bool
    ) -> None:
        index = as_stream(server) if stream else INDEX
        options = {"url": server.url, "batch_bytes": 20_000, "retry_seconds": 3}
        if stream:
            options |= {"data_stream": True, "index": "logs-headwater.{table}-default"}
        killed = 0
        pushing = Warm(warm, lake, "elastic", options)
        for turn, (after, when) in enumerate([("_bulk", 1), ("_bulk", 3), ("_delete_by_query", 1), ("_search", 1)]):
            lake.silver(rows=list(range(turn * 10, turn * 10 + 60)))
            seen, reached = [], threading.Event()

            def watch(
                path: str, after: str = after, when: int = when, seen: list[str] = seen, reached: Any = reached
            ) -> None:
                seen.extend([path] if path.endswith(after) else [])
                if len(seen) >= when:
                    reached.set()
                    threading.Event().wait(0.05)

            server.act = watch
            pushing.start(HOUR)
            reached.wait(20)
            pushing.kill()
            killed += pushing.ended().code == -9
            server.act = lambda _: None
            assert [(HOUR, CHANGED if turn else NEVER)] == lake.behind(lake.destination("elastic", **options), export())
            check(lake, server, lake.push(lake.destination("elastic", **options), export()), index)
        assert 4 == killed


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "https://x.example", "api_key": "hunter2"}, "unknown field `api_key`"),
        ({"url": "http://x.example"}, "over http the credential would cross the network in clear"),
        ({"url": "https://u:hunter2@x.example"}, "holds a password"),
        ({"url": "x.example"}, "is no address"),
        ({"url": "https://x.example", "index": "Logs-{table}"}, "cannot be the name of an index"),
        ({"url": "https://x.example", "index": "a,b*"}, "cannot be the name of an index"),
        ({"url": "https://x.example", "batch_bytes": 5}, "batch_bytes"),
    ],
)
def test_what_is_wrong_with_the_settings_is_told_without_a_secret(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadDeclaration, match=f"destinations.siem: .*{told}") as raised:
        configured("siem", {"type": "elastic", **given})
    assert "hunter2" not in str(raised.value)
