"""One random world of a vendor's API, fetched hour by hour through faults and crashes, and swept again.

`python -m tests.integration.ingest.transports.worlds SCHEDULES [SOURCE...]` runs many and prints how many passed.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from ingest.contracts import contract_of, source_names
from ingest.sources import api_of
from ingest.transports import page_spool
from ingest.transports.fetch_errors import FetchError
from lake.base.http import Clock
from orchestration.demo.simulators.audit_apis.server import AuditApis
from orchestration.demo.simulators.audit_apis.vendors import VENDORS
from orchestration.demo.simulators.audit_apis.world import random_world

START, HOURS = datetime(2026, 11, 20, 5, tzinfo=UTC), 3
FAULTS = ("throttle", "server_error", "reset", "cut", "html", "revoked", "lost_cursor", "loop", "empty", "denied")
KEYS: dict[str, Callable[[Any], str]] = {
    "okta_system_log": lambda record: record["uuid"],
    "github_audit": lambda record: record["_document_id"],
    "google_workspace": lambda record: record["id"]["uniqueQualifier"],
    "microsoft_365": lambda record: record["Id"],
    "duo": lambda record: next(record[name] for name in ("txid", "activity_id", "telephony_id") if name in record),
    "auth0": lambda record: record["log_id"],
    "onepassword": lambda record: record["uuid"],
}
SETTINGS: dict[str, dict[str, str]] = {
    "github_audit": {"account": "orgs/acme"},
    "entra_sign_in": {"tenant": "acme", "client_id": "c"},
    "entra_directory_audit": {"tenant": "acme", "client_id": "c"},
    "microsoft_365": {"tenant": "00000000-0000-0000-0000-00000000000a", "client_id": "c"},
    "duo": {"integration_key": "DIKEY"},
    "auth0": {"client_id": "c"},
    "cloudflare_audit": {"account": 32 * "a"},
    "google_workspace": {"admin": "admin@example.com"},
}


class Crash(BaseException):
    """The process ends here."""


def simulated() -> list[str]:
    """Return the sources whose contract declares an API that is simulated."""
    return [name for name in source_names() if name in VENDORS and contract_of(name).api is not None]


def run(source: str, seed: int, secret: Path) -> Counter[str]:
    """Live through one world; return the faults that were made. Raises AssertionError when an event is lost."""
    chance = random.Random(f"{source} {seed}")
    api, declared = api_of(source), contract_of(source).api
    assert api is not None and declared is not None
    by_arrival = declared.blobs is not None
    latest = timedelta(minutes=50) if by_arrival else declared.sweep
    world = random_world(chance, START, HOURS, declared.streams or ("",), latest, declared.retention)
    faults = {number: chance.choice(FAULTS) for number in range(1, 2000) if chance.random() < 0.15}
    burst = chance.randrange(1, 60)
    faults |= dict.fromkeys(range(burst, burst + chance.choice((0, 0, 8))), "server_error")
    now = [START.timestamp()]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = Clock(lambda: now[0], sleep)
    crashing, lake = [False], dict[datetime, list[Any]]()
    hours = [START + timedelta(hours=number) for number in range(HOURS + by_arrival)]
    with (
        AuditApis(world, faults, clock.now, skew=chance.choice((0, 0, 30))) as server,
        tempfile.TemporaryDirectory() as folder,
        _crashes(chance, crashing),
    ):
        place = _place(api, source, server.url, secret, chance)
        asked = [(hour + timedelta(hours=1) + place.settle, hour) for hour in hours]
        if declared.sweep:
            asked += [(hour + timedelta(hours=1) + declared.sweep, hour) for hour in hours]
        for when, hour in asked:
            now[0] = max(now[0], when.timestamp())
            spool = Path(folder) / "spool"
            records = _fetched(api, place, hour, spool, clock, crashing, chance)
            lake[hour] = records
            shutil.rmtree(spool)
        key = KEYS.get(source, lambda record: record["id"])
        found = {key(record) for records in lake.values() for record in records}
        assert not (lost := world.uids - found), f"{len(lost)} of {len(world.uids)} events are lost: {sorted(lost)[:3]}"
        assert found == world.uids, "events that never were"
        assert server.beyond == 0, f"{server.beyond} requests beyond the quota"
        return Counter(server.made)


def _fetched(
    api: Any, place: Any, hour: datetime, spool: Path, clock: Clock, crashing: list[bool], chance: random.Random
) -> list[Any]:
    """Fetch an hour, again after each failure and crash, as a schedule would."""
    for _ in range(200):
        crashing[0] = chance.random() < 0.3
        try:
            fetched = api.fetch(place, hour, spool, clock)
        except (FetchError, Crash):
            clock.sleep(chance.uniform(0, 120))
            continue
        finally:
            crashing[0] = False
        if not fetched.failed:
            assert not fetched.lost, fetched.lost
            return [record for each in fetched.objects for record in json.loads(each.open().read())]
    raise AssertionError(f"{hour}: does not come to its end")


def _place(api: Any, source: str, url: str, secret: Path, chance: random.Random) -> Any:
    given: dict[str, Any] = {"base_url": url, "limit": chance.choice((1, 2, 3, 7, 20)), **SETTINGS.get(source, {})}
    for name in api.Place.model_fields:
        if name.endswith("_file"):
            given[name] = str(secret if name != "key_file" else secret.with_name("key.json"))
        if name == "token_url" and api.Place.model_fields[name].default:
            given[name] = f"{url}/oauth/token"
    return api.Place(**given, max_attempts=4, timeout_seconds=5, max_wait_seconds=4000)


@contextmanager
def _crashes(chance: random.Random, on: list[bool]) -> Iterator[None]:
    """Let the process end now and then before or after a page or the cursor gets its name."""
    rename = page_spool._rename

    def crash_or_rename(old: Path, new: Path) -> None:
        if on[0] and chance.random() < 0.2:
            raise Crash
        rename(old, new)
        if on[0] and chance.random() < 0.2:
            raise Crash

    with mock.patch.object(page_spool, "_rename", crash_or_rename):
        yield


def write_secrets(folder: Path) -> Path:
    """Write a secret, and a service account's key beside it; return the secret's file."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"client_email": "x@y.iam.gserviceaccount.com", "private_key": pem, "private_key_id": "k1"}
    (folder / "key.json").write_text(json.dumps(account))
    (folder / "secret").write_text("s3cr3t\n")
    return folder / "secret"


def main() -> None:
    """Run many schedules and print what passed."""
    count, sources = int(sys.argv[1]), sys.argv[2:] or simulated()
    with tempfile.TemporaryDirectory() as folder:
        secret = write_secrets(Path(folder))
        for source in sources:
            made = Counter[str]()
            for seed in range(count):
                try:
                    made += run(source, seed, secret)
                except AssertionError as problem:
                    raise SystemExit(f"{source}: schedule {seed}: {problem}") from problem
            told = ", ".join(f"{fault} {number}" for fault, number in sorted(made.items()))
            sys.stdout.write(f"{source}: {count} schedules, every event once; faults: {told}\n")


if __name__ == "__main__":
    main()
