"""What scripts rely on: every command's JSON, and exit codes."""

from pathlib import Path

import pytest

from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE

BALANCE_KEYS = {"read", "landed", "quarantined", "duplicates", "filtered", "published", "collisions", "balanced"}
COMMANDS = {
    ("sources",): {"source", "title", "version", "owner", "configured", "batches", "landed", "quarantined"},
    ("balance",): {"hours", "sources", "total"},
    ("quarantine", "list"): {"source", "reason", "field", "records", "superseded", "expected", "found"},
    ("quarantine", "show", SOURCE): {"_raw", "reason", "field", "_source_object", "_source_row", "_batch"},
    ("query", "select 1 as one, 'x' as two"): {"one", "two"},
    ("trace", "copied"): {"uid", "events", "records", "batches"},
    ("doctor",): {"subject", "state", "found", "advice"},
    ("build", "--source", SOURCE): {"hours", "models"},
}


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_answers_in_json(words: tuple[str, ...], okta_lake: Path) -> None:
    said = headwater(*words, "--json")
    found = said.json[0] if isinstance(said.json, list) else said.json
    assert set(found) >= COMMANDS[words]
    assert said.code == 0, said.err


def test_landing_answers_in_json(okta_lake: Path) -> None:
    said = headwater("land", SOURCE, okta_lake.parent / "delivered", "--json")
    assert {name: said.json[name] for name in ("read", "landed", "quarantined")} == {
        "read": 22,
        "landed": 19,
        "quarantined": 3,
    }
    assert [batch["unchanged"] for batch in said.json["batches"]] == [True]


def test_the_balance_has_its_columns_in_every_row(okta_lake: Path) -> None:
    sheet = headwater("balance", "--json").json
    assert all(set(row) >= BALANCE_KEYS for row in [*sheet["hours"], *sheet["sources"], sheet["total"]])


def test_a_query_gives_an_array_of_objects(okta_lake: Path) -> None:
    rows = headwater("query", "--json", f"select _event_key, _event_at from bronze.{SOURCE} order by 1 limit 2").json
    assert [set(row) for row in rows] == [{"_event_key", "_event_at"}] * 2
    assert headwater("query", "--json", "select 1 where false").json == []


@pytest.mark.parametrize(
    "table",
    [
        "bronze.aws_cloudtrail",
        "silver.authentication",
        "silver.api_activity",
        "quarantine.windows_event",
        "ledger.landings",
        "ledger.builds",
        "ledger.balance",
        "ledger.dispositions",
        "reference.geoip_city",
    ],
)
def test_every_table_can_be_asked_even_an_empty_one(table: str, okta_lake: Path) -> None:
    said = headwater("query", "--json", f"select count(*)::int as n from {table}")
    assert said.code == 0, said.err
    assert said.json[0]["n"] >= 0


class TestExitCodes:
    """0 all is well, 1 something needs a look, 2 the call or the settings are wrong; one line, never a traceback."""

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (("trace", "no-such-uid"), 1, "no event with uid 'no-such-uid'"),
            (("land", "no_such_source", "."), 2, "no source 'no_such_source'; there are auth0, aws_cloudtrail"),
            (("land", SOURCE, "no/such/path"), 2, "no/such/path: no such file or folder"),
            (("land", SOURCE, ".", "--on-stall", "drop"), 2, "expected stall, quarantine or null"),
            (("balance", "--from", "yesterday"), 2, "'yesterday' is no day or hour"),
            (("balance", "--from", "2026-13-01"), 2, "is no day or hour"),
            (("build", "--source", "nobody"), 2, "no source 'nobody'"),
            (("quarantine", "show", "nobody"), 2, "no source 'nobody'"),
            (("query", "selekt 1"), 1, "syntax error"),
            (("query", "select * from nowhere"), 1, "nowhere"),
            (("no-such-command",), 2, "No such command"),
        ],
    )
    def test_a_wrong_call_says_what_is_wrong(
        self, words: tuple[str, ...], code: int, said: str, okta_lake: Path
    ) -> None:
        answer = headwater(*words)
        assert (answer.code, "Traceback" in answer.err) == (code, False)
        assert said in answer.err

    def test_an_error_is_json_too(self, okta_lake: Path) -> None:
        assert headwater("trace", "no-such-uid", "--json").json["kind"] == "NotFound"

    def test_an_unknown_setting_ends_with_2(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "headwater.yml").write_text("lak: here\n")
        answer = headwater("sources")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "lak: unknown setting" in answer.err
        (tmp_path / "headwater.yml").unlink()
        monkeypatch.setenv("HEADWATER_LAK", "here")
        answer = headwater("sources")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "unknown setting HEADWATER_LAK" in answer.err

    @pytest.mark.parametrize("command", [("sources",), ("land", SOURCE, "."), ("balance",), ("doctor",), ("build",)])
    def test_a_lake_of_an_unknown_kind_ends_with_2(
        self, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADWATER_LAKE", "gopher://lake")
        answer = headwater(*command)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "gopher://lake" in answer.err

    def test_a_lake_below_a_file_is_a_wrong_setting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a_file").write_text("in the way")  # holds for root as well, whom modes do not stop
        monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "a_file" / "lake"))
        (tmp_path / "logs.ndjson").write_text('{"uuid": "1"}\n')
        answer = headwater("land", SOURCE, tmp_path / "logs.ndjson")
        assert (answer.code, answer.err.count("\n"), "Traceback" in answer.err) == (2, 1, False)
        assert str(tmp_path / "a_file") in answer.err
        looked = headwater("doctor", "--json")
        assert (looked.code, str(tmp_path / "a_file") in looked.json["error"]) == (2, True)

    def test_a_receipt_that_was_damaged_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = tmp_path / f"lake/ledger/landing/{SOURCE}/files-1.json"
        broken.parent.mkdir(parents=True)
        broken.write_text('{"source": "okta')
        monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
        named = f"ledger/landing/{SOURCE}/files-1.json cannot be read"
        balance = headwater("balance")  # its answer is what does not balance, and why
        assert (balance.code, balance.out.count(named), balance.err) == (1, 1, "")
        sources = headwater("sources")
        assert (sources.code, sources.err.count(named), sources.err.count("\n")) == (1, 1, 1)


def test_doctor_finds_nothing_wrong_with_a_machine_where_nothing_is_set_up(tmp_path: Path) -> None:
    answer = headwater("doctor", "--json")
    assert answer.code == 0
    assert {each["state"] for each in answer.json} <= {"ok", "note"}
    assert "defaults" in next(each["found"] for each in answer.json if each["subject"] == "settings")


def test_commands_work_on_an_empty_lake(tmp_path: Path) -> None:
    assert headwater("balance", "--json").json["total"]["read"] == 0
    assert headwater("quarantine", "list", "--json").json == []
    assert headwater("query", "--json", f"select * from bronze.{SOURCE}").json == []
    assert headwater("query", "--json", "select * from silver.authentication").json == []
    assert "nothing is stale" in headwater("build").out
