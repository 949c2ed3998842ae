"""What Snowflake is told at login and sent afterwards: settings, credentials, statements."""

import base64
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lake.export.destination import Partition, configured
from lake.export.destinations.snowflake import sql
from lake.export.destinations.snowflake.columns import columns_of, plain_type
from lake.export.errors import BadDeclaration, DestinationDenied, ExportError, SchemaConflict
from lake.export.evolution import Evolution
from lake.export.json_sql import Column as Given
from lake.export.json_sql import columns_of as given_columns
from tests.integration.export.snowflake_there import SnowflakeThere
from tests.unit.export.lakes import SmallLake, export

PASSPHRASE_ENV, TOKEN_ENV = "HEADWATER_TEST_SNOWFLAKE_PASSPHRASE", "HEADWATER_TEST_SNOWFLAKE_TOKEN"
PARTITION = Partition(datetime(2026, 3, 2, 4))


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, rsa.RSAPublicKey]:
    """A private key in a file, its passphrase in the environment; and its public key."""
    made = rsa.generate_private_key(65537, 2048)
    shut = serialization.BestAvailableEncryption(b"opens it")
    file = tmp_path / "key.p8"
    file.write_bytes(made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, shut))
    monkeypatch.setenv(PASSPHRASE_ENV, "opens it")
    return file, made.public_key()


def test_a_push_logs_in_with_its_key_pair_and_says_what_it_is_for(
    lake: SmallLake, snowflake_there: SnowflakeThere, key: tuple[Path, rsa.RSAPublicKey]
) -> None:
    file, public = key
    lake.silver(rows=1)
    there = snowflake_there.open(
        lake,
        password_env=None,
        private_key_file=str(file),
        private_key_passphrase_env=PASSPHRASE_ENV,
        role="LOADER",
        warehouse="LOADING",
    )

    assert lake.push(there, export()).matches

    told = snowflake_there.server.logins()[-1]
    assert "SNOWFLAKE_JWT" == told["AUTHENTICATOR"] and not told.get("PASSWORD")
    head, claims, signature = told["TOKEN"].split(".")
    public.verify(_unpacked(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert "ACME-PROD.HEADWATER" == json.loads(_unpacked(claims))["sub"]
    session = {name: str(value).lower() for name, value in told["SESSION_PARAMETERS"].items()}
    assert {"app": "headwater", "destination": "warehouse", "table": "authentication", "hour": "2026-03-02t04"} == (
        json.loads(session["QUERY_TAG"])
    )
    assert {"AUTOCOMMIT": "true", "TIMEZONE": "utc", "LOCK_TIMEOUT": "1800"}.items() <= session.items()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_token_is_sent_as_what_it_is(
    lake: SmallLake, snowflake_there: SnowflakeThere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_ENV, "a token")

    snowflake_there.open(lake, password_env=None, token_env=TOKEN_ENV).read_back("authentication", PARTITION)

    told = snowflake_there.server.logins()[-1]
    assert ("OAUTH", "a token") == (told["AUTHENTICATOR"], told["TOKEN"])


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
    there = SnowflakeThere(server=None, database="D").open(lake, port=1, password_env=None, **given)  # type: ignore[arg-type]

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
    there = SnowflakeThere(server=None, database="D").open(lake, port=1)  # type: ignore[arg-type]

    with pytest.raises(ExportError, match=r"pip install 'headwater\[snowflake\]'"):
        there.read_back("authentication", PARTITION)


def given(select: str) -> list[Given]:
    with duckdb.connect() as con:
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
