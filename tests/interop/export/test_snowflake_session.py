"""What Snowflake is told at login."""

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lake.export.destination import Partition
from tests.interop.export.snowflake_there import SnowflakeThere
from tests.unit.export.lakes import SmallLake, export

pytestmark = pytest.mark.interop

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
