"""Snowflake without a server: settings, credentials, the statements that it is sent, and what its errors mean."""

import sys
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lake.base.sql import at_hand
from lake.export.destination import Partition, configured
from lake.export.destinations.snowflake import sql
from lake.export.destinations.snowflake.columns import columns_of, plain_type
from lake.export.destinations.snowflake.session import error_of
from lake.export.errors import (
    BadDeclaration,
    DestinationDenied,
    DestinationUnavailable,
    ExportError,
    RowsRefused,
    SchemaConflict,
)
from lake.export.evolution import Evolution
from lake.export.json_sql import Column as Given
from lake.export.json_sql import columns_of as given_columns
from lake.export.rows import checksum_over
from tests.unit.export.lakes import SmallLake, export

PASSPHRASE_ENV, TOKEN_ENV = "HEADWATER_TEST_SNOWFLAKE_PASSPHRASE", "HEADWATER_TEST_SNOWFLAKE_TOKEN"
PARTITION = Partition(datetime(2026, 3, 2, 4))


def opened(lake: SmallLake, **said: Any) -> Any:
    given = {
        "account": "acme-prod",
        "user": "headwater",
        "database": "D",
        "schema": "S",
        "host": "127.0.0.1",
        "port": 1,
    }
    return lake.destination("snowflake", "warehouse", **{**given, "port": 1, "protocol": "http", **said})


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, rsa.RSAPublicKey]:
    """A private key in a file, its passphrase in the environment; and its public key."""
    made = rsa.generate_private_key(65537, 2048)
    shut = serialization.BestAvailableEncryption(b"opens it")
    file = tmp_path / "key.p8"
    file.write_bytes(made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, shut))
    monkeypatch.setenv(PASSPHRASE_ENV, "opens it")
    return file, made.public_key()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"private_key_file": "{folder}/absent.p8"}, "private_key_file .*absent.p8: No such file"),
        ({"private_key_passphrase_env": None}, "is no private key in PEM, or needs a passphrase"),
        ({"private_key_passphrase_env": TOKEN_ENV}, f"or the passphrase in {TOKEN_ENV} is not its own"),
        ({"private_key_passphrase_env": "HEADWATER_TEST_UNSET"}, "the variable HEADWATER_TEST_UNSET is not set"),
    ],
    ids=["absent", "shut", "wrong", "unset"],
)
def test_a_key_that_cannot_be_used_is_named_and_nothing_of_it_told(
    lake: SmallLake,
    key: tuple[Path, rsa.RSAPublicKey],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.setenv(TOKEN_ENV, "another secret")
    given = {"private_key_file": str(key[0]), "private_key_passphrase_env": PASSPHRASE_ENV} | change
    given["private_key_file"] = given["private_key_file"].format(folder=key[0].parent)
    there = opened(lake, **given)

    with pytest.raises(DestinationDenied, match=words) as told:
        there.read_back("authentication", PARTITION)

    assert "PRIVATE" not in str(told.value) and "another secret" not in str(told.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "expected exactly one of private_key_file, password_env, token_env"),
        ({"password_env": "A", "token_env": "B"}, "expected exactly one of"),
        ({"password_env": "A", "protocol": "http", "host": "acme.snowflakecomputing.com"}, "expected https"),
        ({"password": "in the clear"}, "unknown field `password`"),
    ],
)
def test_settings_that_cannot_work_are_named(said: dict[str, Any], words: str) -> None:
    given = {"type": "snowflake", "account": "a", "user": "u", "database": "d", "schema": "s", **said}

    with pytest.raises(BadDeclaration, match=f"destinations.warehouse: .*{words}") as told:
        configured("warehouse", given)

    assert "in the clear" not in str(told.value)


def test_without_the_client_the_error_names_the_extra(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snowflake.connector", None)
    there = opened(lake, password_env="HEADWATER_TEST_UNSET")

    with pytest.raises(ExportError, match=r"pip install 'headwater\[snowflake\]'"):
        there.read_back("authentication", PARTITION)


def given(select: str) -> list[Given]:
    with at_hand() as con:
        return given_columns(con.sql(select))


def test_the_statements_are_those_that_snowflake_documents() -> None:
    columns = columns_of(
        given(
            "select 'a' as _event_id, now()::timestamp as time_dt, {'a': 1} as user, 'x'::blob as raw, 1 as \"order\""
        )
    )
    where = '"DATE" = \'2026-03-02\'::DATE AND "HOUR" = 4'

    assert sql.create("logons", columns) == (
        'CREATE TABLE IF NOT EXISTS "LOGONS" ("_EVENT_ID" VARCHAR, "TIME_DT" TIMESTAMP_NTZ(6), "USER" VARIANT,'
        ' "RAW" BINARY, "ORDER" NUMBER(38,0), "DATE" DATE, "HOUR" NUMBER(38,0)) CLUSTER BY ("DATE", "HOUR")'
        " COMMENT = 'Event hours that Headwater exports: each push replaces one (DATE, HOUR) as a whole'"
    )
    assert sql.create_staged("S", columns) == (
        "CREATE OR REPLACE TEMPORARY TABLE S"
        " (C0 VARCHAR, C1 NUMBER(38,0), C2 VARCHAR(134217728), C3 VARCHAR, C4 NUMBER(38,0))"
    )
    assert sql.create_stage("S") == "CREATE OR REPLACE TEMPORARY STAGE S"
    assert sql.put(Path("/a folder/it's.parquet"), "S") == (
        "PUT 'file:///a folder/it''s.parquet' @S"
        " AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE PARALLEL = 4"
    )
    assert sql.copy("S", columns[:2]) == (
        "COPY INTO S (C0, C1) FROM (SELECT $1:C0::VARCHAR, $1:C1::NUMBER(38,0) FROM @S)"
        " FILE_FORMAT = (TYPE = PARQUET) ON_ERROR = ABORT_STATEMENT PURGE = TRUE"
    )
    assert sql.delete("logons", PARTITION) == f'DELETE FROM "LOGONS" WHERE {where}'
    assert sql.insert("logons", PARTITION, "S", columns) == (
        'INSERT INTO "LOGONS" ("_EVENT_ID", "TIME_DT", "USER", "RAW", "ORDER", "DATE", "HOUR")'
        " SELECT C0, TO_TIMESTAMP_NTZ(C1, 6), PARSE_JSON(C2, 'd'), TO_BINARY(C3, 'HEX'), C4, '2026-03-02'::DATE, 4"
        " FROM S"
    )
    assert sql.evolve("logons", Evolution({"NEW": "TIMESTAMP_NTZ"}, {"COST": "NUMBER(18,2)"})) == [
        'ALTER TABLE "LOGONS" ADD COLUMN IF NOT EXISTS "NEW" TIMESTAMP_NTZ(6)',
        'ALTER TABLE "LOGONS" ALTER COLUMN "COST" SET DATA TYPE NUMBER(18,2)',
    ]


def test_a_string_constant_escapes_backslashes_too() -> None:
    assert r"'it''s C:\\x'" == sql.text(r"it's C:\x")


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("VARCHAR(16777216)", "VARCHAR"),
        ("VARCHAR(134217728)", "VARCHAR"),
        ("VARCHAR", "VARCHAR"),
        ("VARCHAR(100)", "VARCHAR(100)"),
        ("TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ"),
        ("TIMESTAMP_NTZ(3)", "TIMESTAMP_NTZ(3)"),
        ("BINARY(67108864)", "BINARY"),
        ("NUMBER(38,0)", "NUMBER(38,0)"),
    ],
)
def test_a_size_that_holds_everything_is_no_size(said: str, plain: str) -> None:
    assert plain == plain_type(said)


def test_two_names_that_differ_only_in_case_are_named() -> None:
    (text,) = given("select 'x' as a")

    with pytest.raises(SchemaConflict, match="'Uid' and 'uid' are one name in Snowflake, UID"):
        columns_of([Given("uid", text.type), Given("Uid", text.type)])


@pytest.mark.parametrize(
    ("code", "words", "kind", "told"),
    [
        (390100, "Incorrect username or password was specified.", DestinationDenied, "390100"),
        (390318, "OAuth access token expired.", DestinationDenied, "renew what has expired"),
        (390114, "Authentication token has expired.", DestinationDenied, "390114"),
        (606, "No active warehouse selected.", DestinationDenied, "name a `warehouse`"),
        (3001, "Insufficient privileges.", DestinationDenied, "grant the role"),
        (90106, "This session does not have a current schema.", DestinationDenied, "`schema` of the settings"),
        (90073, "Resource monitor has exceeded its quota.", DestinationUnavailable, "quota is used up"),
        (625, "Statement has locked table.", DestinationUnavailable, "another transaction"),
        (390111, "Session no longer exists.", DestinationUnavailable, "the session ended"),
        (250001, "Could not connect: error status: 403", DestinationDenied, "check `account` and `host`"),
        (250001, "Could not connect: Connection refused", DestinationUnavailable, "Push again when it answers"),
        (100069, "Error parsing JSON: unknown keyword.", RowsRefused, "nothing of the hour was changed"),
        (1003, "SQL compilation error", RowsRefused, "001003: SQL compilation error"),
    ],
)
def test_what_snowflake_says_is_passed_on_and_means_what_it_means(
    code: int, words: str, kind: type[ExportError], told: str
) -> None:
    from snowflake.connector import errors

    found = error_of(errors.ProgrammingError(words, errno=code), "warehouse", "loading")

    assert type(found) is kind and "\n" not in str(found)
    assert told in str(found) and str(found).startswith(f"warehouse: loading: Snowflake says {code:06d}: {words}")


class Session:
    """Keeps the statements of a session, and answers as a Snowflake does whose table is as it is said."""

    def __init__(self, table: dict[str, str] | None, rows: int, counts: list[tuple[int, int]]) -> None:
        self.table, self.rows, self.counts = table, rows, counts
        self.statements: list[str] = []
        self.queries: dict[str, str] = {}

    def run(self, statement: str, doing: str) -> list[tuple[Any, ...]]:
        self.statements.append(statement)
        self.queries[statement.split()[0].lower()] = f"q{len(self.statements)}"
        if "MD5" in statement:
            return [self.counts.pop(0)]
        return [(self.rows,)] if statement.startswith("SELECT COUNT(*)") else []

    def run_unless_missing(self, statement: str, doing: str) -> list[tuple[Any, ...]] | None:
        self.statements.append(statement)
        return None if self.table is None else list(self.table.items())


def pushed(lake: SmallLake, session: Session, patch: pytest.MonkeyPatch, rows: int = 4) -> Any:
    there = opened(lake, password_env="HEADWATER_TEST_UNSET")
    patch.setattr(there, "_session", lambda *_: nullcontext(session))
    lake.silver(rows=rows, columns="began as time_dt, {'uid': 'm' || n} as metadata")
    return there.push("logons", PARTITION, lake.read(export()))


def words_of(session: Session) -> list[str]:
    return [" ".join(each.replace("OR REPLACE ", "").split()[:2]) for each in session.statements]


LOADED = ["CREATE TEMPORARY", "CREATE TEMPORARY", "PUT 'file", "COPY INTO", "SELECT COUNT(*)"]
REPLACED = ["BEGIN TRANSACTION", "DELETE FROM", "INSERT INTO", "COMMIT", "SELECT COUNT(*),"]


def test_a_push_loads_apart_makes_the_table_and_replaces_the_hour_in_one_transaction(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(None, rows=4, counts=[(4, checksum_over(f"okta_system_log:m{n}" for n in range(4)))])
    delivery = pushed(lake, session, monkeypatch)
    found = [each if not each.startswith("PUT") else "PUT 'file" for each in words_of(session)]
    assert ["DESCRIBE TABLE", *LOADED, "CREATE TABLE", *REPLACED] == found
    assert (4, {"copy", "delete", "insert", "commit"}) == (delivery.held.rows, set(delivery.remote))


def test_an_hour_that_another_push_doubled_is_replaced_again(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    right = (4, checksum_over(f"okta_system_log:m{n}" for n in range(4)))
    table = {"_EVENT_ID": "VARCHAR", "TIME_DT": "TIMESTAMP_NTZ(6)", "DATE": "DATE", "HOUR": "NUMBER(38,0)"}
    session = Session(table, rows=4, counts=[(8, 2 * right[1]), right])
    delivery = pushed(lake, session, monkeypatch)
    assert (2, 4) == (words_of(session).count("COMMIT"), delivery.held.rows)
    assert any(each.startswith('ALTER TABLE "LOGONS" ADD COLUMN') for each in session.statements)


def test_an_hour_without_rows_is_emptied_and_makes_no_table(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(None, rows=0, counts=[])
    assert 0 == pushed(lake, session, monkeypatch, rows=0).held.rows
    assert ["DESCRIBE TABLE"] == words_of(session)


def test_what_was_not_loaded_whole_changes_nothing(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(None, rows=3, counts=[])
    with pytest.raises(DestinationUnavailable, match="4 rows were uploaded and 3 loaded; nothing of the hour was"):
        pushed(lake, session, monkeypatch)
    assert "BEGIN TRANSACTION" not in words_of(session)
