"""The add-on that makes delivered events fit Splunk's Common Information Model, written from `cim.yml`.

An enumeration becomes `case`, several paths become `coalesce`, one path an alias. Splunk works out every EVAL of an
event from its extracted fields and aliases, never from another EVAL, so their order means nothing (props.conf.spec).
JSON is taken apart when searched (`KV_MODE = json`): objects are dotted, lists have `{}`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lake.export.destinations.splunk.events import declared

NAME = "TA_headwater_ocsf"
SOURCETYPE = "headwater:ocsf:"
INDEXED = ("event_hour", "event_id", "pushed_at")
_MADE = "# Written by `headwater export addon`; changes belong into local/.\n"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_PROPS = """[{sourcetype}]
category = Structured
description = OCSF {name} (class {uid}), exported by Headwater
pulldown_type = true
# Events come over HEC with their time, and whole: nothing is broken, merged or cut.
SHOULD_LINEMERGE = false
LINE_BREAKER = ([\\r\\n]+)
TRUNCATE = 0
CHARSET = UTF-8
KV_MODE = json
"""

_README = """# Headwater: OCSF for Splunk

Fields, event types and tags that make OCSF events of Headwater fit the Common Information Model (CIM).
Install it on search heads (fields, event types, tags, macros) and on the indexers or heavy forwarders that run the HTTP
Event Collector (`TRUNCATE`, `fields.conf`).

| sourcetype | CIM dataset |
| --- | --- |
{rows}

The other classes are searchable with all their fields, and in no data model. A field of OCSF that has the name of a
CIM field (`action`, `duration`, `response_time`, `severity`, `status`, …) has the CIM's value in searches; OCSF's own
stands in the event's text, and beside it as `…_id`.

## Each event once

Every event has three indexed fields: `event_id`, `event_hour` and `pushed_at`. An event may stand in Splunk more than
once: an answer was lost on the way, or the lake corrected it. Take the newest of each:

    index=<index> sourcetype="headwater:ocsf:authentication" | `headwater_newest`

Count an hour of a table as the lake's receipt does, without reading events (rows, and the checksum over event ids):

    | tstats count where index=<index> event_hour="2026-03-02T04" source="headwater:authentication" by event_id
    | `headwater_receipt`

See what stands there more than once:

    | tstats count where index=<index> event_hour="2026-03-02T04" by event_id | where count > 1

Data models that are accelerated count every copy. Rows that left the lake's table (erased, filtered) stay in Splunk
until the index's retention removes them, or an administrator does, by `event_id`, with `| delete`.

## Limits of Splunk to know

Splunk takes only the first characters of an event apart by itself: 10,240 by default (limits.conf, `[kv] maxchars`),
and `spath` the first 5,000 (`[spath] extraction_cutoff`). Raise both on search heads where events are larger.
"""


def write_addon(folder: Path) -> Path:
    """Write the add-on into a folder of its name below `folder`, replacing its files; return that folder.

    Raises:
        OSError: a file cannot be written.
    """
    made = folder / NAME
    for name, text in files().items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return made


def files() -> dict[str, str]:
    """Return the files of the add-on (path → text), always the same ones."""
    classes = dict(sorted(declared()["classes"].items()))
    modelled = {name: told for name, told in classes.items() if "dataset" in told}
    stanzas = {
        "props.conf": "\n".join(_props(name, told) for name, told in classes.items()),
        "eventtypes.conf": "\n".join(_eventtype(name, told) for name, told in modelled.items()),
        "tags.conf": "\n".join(_tags(name, told) for name, told in modelled.items()),
        "fields.conf": "\n".join(f"[{name}]\nINDEXED = true\n" for name in INDEXED),
        "macros.conf": _macros(),
        "app.conf": _app(),
    }
    rows = "\n".join(f"| `{SOURCETYPE}{name}` | {told.get('dataset', '–')} |" for name, told in classes.items())
    return {
        **{f"default/{name}": f"{_MADE}\n{text}" for name, text in stanzas.items()},
        "metadata/default.meta": "[]\naccess = read : [ * ], write : [ admin, sc_admin ]\nexport = system\n",
        "README.md": _README.replace("{rows}", rows),
    }


def _props(name: str, told: Mapping[str, Any]) -> str:
    head = _PROPS.format(sourcetype=SOURCETYPE + name, name=name, uid=told["uid"])
    return head + "".join(f"{line}\n" for line in _fields(told.get("fields", {})))


def _fields(fields: Mapping[str, Any]) -> Iterator[str]:
    for field, source in sorted(fields.items()):
        if isinstance(source, str):
            yield f"FIELDALIAS-{field} = {_plain(source)} AS {field}"
        else:
            yield f"EVAL-{field} = {_expression(source)}"


def _expression(source: Any) -> str:
    if isinstance(source, list):
        return f"coalesce({', '.join(map(_quoted, source))})"
    if "text" in source:
        return _text(source["text"])
    if "eval" in source:
        return str(source["eval"]).replace("[]", "{}")
    cases = [f"{_quoted(source['path'])}=={value}, {_text(words)}" for value, words in source["is"].items()]
    if "else" in source:
        cases.append(f"true(), {_text(source['else'])}")
    return f"case({', '.join(cases)})"


def paths_of(source: Any) -> list[str]:
    """Return the OCSF paths that a field of the YAML is made of."""
    if isinstance(source, str):
        return [source]
    if isinstance(source, list):
        return list(source)
    return list(source.get("of", [source["path"]] if "path" in source else []))


def _plain(path: str) -> str:
    return path.replace("[]", "{}")


def _quoted(path: str) -> str:
    """In an expression, a name with dots stands in single quotes."""
    return path if _PLAIN.match(path) else f"'{_plain(path)}'"


def _text(words: str) -> str:
    return f'"{words}"'


def _eventtype(name: str, told: Mapping[str, Any]) -> str:
    only = f" {told['only']}" if "only" in told else ""
    return f'[headwater_{name}]\nsearch = sourcetype="{SOURCETYPE}{name}"{only}\n'


def _tags(name: str, told: Mapping[str, Any]) -> str:
    return f"[eventtype=headwater_{name}]\n" + "".join(f"{tag} = enabled\n" for tag in told["tags"])


def _macros() -> str:
    return (
        "# The newest of each event.\n[headwater_newest]\ndefinition = sort 0 - pushed_at | dedup event_id\n\n"
        "# After `tstats count … by event_id`: rows, and the checksum over event ids, as in the lake's receipts.\n"
        "[headwater_receipt]\ndefinition = eval part=tonumber(substr(md5(event_id), 1, 8), 16) | stats count as rows,"
        " sum(part) as checksum\n"
    )


def _app() -> str:
    return (
        "[install]\nis_configured = false\n\n[ui]\nis_visible = false\nlabel = Headwater: OCSF for Splunk\n\n"
        "[launcher]\nauthor = Headwater\ndescription = OCSF events of Headwater in the Common Information Model\n"
        f"version = {declared()['version']}\n\n[package]\nid = {NAME}\n"
    )
