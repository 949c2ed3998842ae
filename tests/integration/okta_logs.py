"""Small Okta logs made by hand, and the part of the dbt project that publishes them: quick to land and to build.

What belongs here: files to land, a dbt project to build with. What does not: a lake, or what is expected of it.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestration.settings import PROJECT
from tests.integration.parsed import copied, parsed

SOURCE = "okta_system_log"
CLASSES = ("authentication", "base_event")
EXPORTED = {"authentication": ["files", "snowflake", "splunk"], "base_event": ["files"]}
MODELS = (*CLASSES, "dispositions")
SIGN_IN, UNROUTED, FILTERED = "user.session.start", "headwater.test.unrouted", "headwater.test.noise"
NO_FILTER = "null::varchar as filter"
FILTER = f"case when event_type = '{FILTERED}' then 'noise' end as filter"


def event(uid: str, at: str = "2026-03-02T05:10:00.000Z", kind: str = SIGN_IN, **more: Any) -> str:
    """Return one Okta event as a line of JSON."""
    actor = {"id": "00u1", "type": "User", "alternateId": "ann@larkspur.example", "displayName": "Ann"}
    record = {
        "uuid": uid,
        "published": at,
        "eventType": kind,
        "displayMessage": "User login to Okta",
        "severity": "INFO",
    }
    record |= {"actor": actor, "outcome": {"result": "SUCCESS"}, "client": {"ipAddress": "198.51.100.7"}}
    return json.dumps(record | more)


def write(file: Path, lines: Iterable[str], at: float = 1_772_500_000.0) -> Path:
    """Write a delivery: one record a line, delivered at a fixed moment (seconds since 1970)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))
    os.utime(file, (at, at))
    return file


def delivery(folder: Path) -> Path:
    """Write two objects of three event hours: published, duplicate, filtered and colliding events, and bad records."""
    hours = [f"2026-03-02T0{hour}:10:00.000Z" for hour in (3, 4, 5)]
    first = [event(f"in-{n}-{hour[12]}", hour) for hour in hours for n in range(4)]
    first += [event("plain", hours[2], UNROUTED), event("noise", hours[2], FILTERED), "{broken", "[1]", '{"uuid": 7}']
    first += [event("copied", hours[1]), event("torn", hours[2], outcome={"result": "SUCCESS"})]
    copied = json.dumps(json.loads(event("copied", hours[1])), separators=(" , ", " :  "))
    second = [event("copied", hours[1]), copied, event("torn", hours[2], outcome={"result": "FAILURE"})]
    write(folder / "a.ndjson", first)
    write(folder / "b.ndjson", second, at=1_772_500_100.0)
    return folder


def project(folder: Path) -> Path:
    """Copy of the dbt project that publishes Okta's sign-ins and base events only, and filters one kind of event."""
    names = ["staging/stg_okta__system_log.sql", "staging/_sources.yml", f"events/{SOURCE}.sql"]
    names += [f"silver/{table}/{table}__{SOURCE}.sql" for table in MODELS]
    copied(folder, (PROJECT / "models" / name for name in names))
    for table in CLASSES:
        exports = {"destinations": EXPORTED[table], "table": table}
        model = {"name": f"{table}__{SOURCE}", "config": {"meta": {"exports": exports}}}
        (folder / f"models/silver/{table}/{table}__{SOURCE}.yml").write_text(json.dumps({"models": [model]}))
    events = folder / f"models/events/{SOURCE}.sql"
    assert NO_FILTER in events.read_text()
    events.write_text(events.read_text().replace(NO_FILTER, FILTER))
    return parsed(folder)
