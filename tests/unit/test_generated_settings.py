"""Hundreds of settings files that nobody should write: each ends in settings, or in one sentence with key and file."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from lake.base.errors import WRONG_CALL
from lake.storage.paths import BadRoot
from orchestration.settings import SettingsError, iceberg_place, load_settings, lookups_of, open_lake
from orchestration.settings.cron import check_cron

WHOLE: dict[str, Any] = {
    "lake": "lake",
    "sources": {"aws_cloudtrail": {"root": "logs"}, "okta_system_log": {"base_url": "https://org.okta.com"}},
    "s3": {"region": "eu-central-1", "encryption": "AES256"},
    "geoip": {"city": ["city.mmdb"]},
    "reference": {
        "feeds": {
            "listed": {"table": "indicators", "format": "plain", "path": "a.txt", "refresh": "@daily"},
            "owned": {"table": "assets", "format": "csv", "path": "b.csv", "max_age_hours": 24, "constants": {}},
        }
    },
    "lookups": {
        "abuse": {
            "type": "abuseipdb",
            "ask_about": ["authentication.src_endpoint.ip"],
            "per_day": 5,
            "lifetime_hours": 24,
        }
    },
    "destinations": {"files": {"type": "files", "root": "out"}},
    "iceberg": {"publish": False, "namespace": "{layer}", "catalog": {"type": "sql"}, "keep_days": 5},
    "memory": "1GiB",
    "threads": 2,
    "retro_days": 90,
    "warm_seconds": 0,
    "partitions_start": "2026-01-01T00",
    "ocsf_validation_share": 0.01,
    "value_check_share": 0.01,
}
ODD = (
    None, "", " ", "\x00", -1, 0, 1e300, float("nan"), float("inf"), -float("inf"), 10**30, True, [], [None], {},
    {"": 1}, {1: 2}, "s3://", "s3:/x", "gs://x", "~nobody-here/x", "a/../../b", "61 * * * *", "* * * * *", "1KB",
    "-2GiB", "2TiB", "25:00", "2026-13-01T00", "2026-01-01T24", "Europe/Atlantis", "${HOME}", "'; drop table x",
    "x" * 5000, ["a", "a"], [[[[[]]]]], "\ud800", "é", "\u202e", b"bytes", {"type": "nope"}, "yes", "1_000", "1e400",
)  # fmt: skip

BOMB = b"a: [1]\nb: &b [1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in b"cdefgh"
)


def _places(value: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = [(*path, key) for key in value] if isinstance(value, dict) else []
    return below + [deeper for each in below for deeper in _places(value[each[-1]], each)]  # type: ignore[index]


PLACES = _places(WHOLE)


def _with(place: tuple[str, ...], value: object, name: str = "") -> dict[str, Any]:
    """The whole settings with another value in a place, or the key there spelt `name`."""
    made = copy.deepcopy(WHOLE)
    group = made
    for step in place[:-1]:
        group = group[step]
    if name:
        group[name] = group.pop(place[-1])
    else:
        group[place[-1]] = value
    return made  # type: ignore[no-any-return]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADWATER_LAKE", raising=False)
    return tmp_path / "headwater.yml"


def _ends(file: Path) -> tuple[str, dict[str, str]]:
    """Load the settings and what is made of them: what it says, and what is left out."""
    try:
        used = load_settings()
        open_lake(used), lookups_of(used), iceberg_place(used, open_lake(used))
    except BadRoot as problem:  # of the lake, wherever its place was given
        return str(problem), {}
    except SettingsError as problem:
        assert WRONG_CALL == problem.exit_code and str(file) in str(problem) and "\n" not in str(problem)
        return str(problem), {}
    return "", used.left_out


def test_any_value_anywhere_ends_in_settings_or_in_a_sentence_that_names_its_key(file: Path) -> None:
    chosen = random.Random(12)
    tried = [(place, value) for place in PLACES for value in chosen.sample(ODD, 3)]
    assert len(tried) > 100
    refused = 0
    for place, value in tried:
        file.write_text(yaml.safe_dump(_with(place, value)), encoding="utf-8", errors="surrogatepass")
        said, left_out = _ends(file)
        refused += bool(said or left_out)
        told = said or "; ".join(left_out.values())
        assert not told or any(key in told for key in (*place, "UTF-8", "not YAML")), (place, value, told)
        for where in left_out:
            alone = tuple(where.split("."))
            assert place == alone[: len(place)] or alone == place[: len(alone)], "the others stay"
    assert refused > len(tried) // 2


@pytest.mark.parametrize("place", [each for each in PLACES if each[-1] not in ("aws_cloudtrail", "files", "owned")])
def test_a_misspelt_key_is_named_with_the_nearest(place: tuple[str, ...], file: Path) -> None:
    if place[:-1] in (("lookups",), ("destinations",), ("reference", "feeds"), ("geoip",)):
        return  # names of the user's own
    file.write_text(yaml.safe_dump(_with(place, None, name=place[-1] + "x")))
    said, left_out = _ends(file)
    told = said or "; ".join(left_out.values())
    assert place[-1] + "x" in told or "missing" in told or "no `type`" in told
    assert "line " in told


@pytest.mark.parametrize("place", PLACES)
def test_a_key_that_stands_twice_is_named_with_its_lines(place: tuple[str, ...], file: Path) -> None:
    lines = yaml.safe_dump(WHOLE, sort_keys=False).splitlines()
    at, indent = -1, -2
    for step in place:
        indent += 2
        at = next(n for n, line in enumerate(lines) if n > at and line.startswith(f"{' ' * indent}{step}:"))
    end = next((n for n in range(at + 1, len(lines)) if not lines[n].startswith(" " * (indent + 1))), len(lines))
    end = end if not lines[at].endswith(":") or lines[end - 1].startswith(" ") else end + 1
    file.write_text("\n".join([*lines[:end], *lines[at:end], *lines[end:]]))
    said, left_out = _ends(file)
    told = said or "; ".join(left_out.values())
    assert f"{'.'.join(place)}: stands twice, first in line {at + 1}: remove one of them (line " in told, told
    alone = (place[0] in ("sources", "destinations", "lookups") and len(place) > 1) or (
        len(place) > 2 and place[0] == "reference"
    )
    assert bool(left_out) == alone


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"lake: [x", "not YAML"),
        (b"- a", "found a list"),
        (b"5", "expected `key: value` lines, found one value (5)"),
        (b"\xff\xfel\x00", "is not UTF-8 at byte 0"),
        (b"lake: \xe9", "not UTF-8 at byte 6: save it as UTF-8 (line 1)"),
        (b"lake: 2026-13-45", "'2026-13-45' is no value that there can be (line 1)"),
        (b"[" * 100_000, "nested deeper"),
        (b"- " * 100_000, "nested deeper"),
        (b"a: &a [*a]", "refers to itself"),
        (BOMB, "unfolds"),
        (b"5: x", "5 is no setting"),
        (b"environment: [a]\nenvironments: {a: {}}", "environment: expected a text"),
        (b"sourcs: {}", "sourcs: unknown setting (did you mean sources?) (line 1)"),
        (b"memory: 1GiB\nthreads: four", "threads: expected a valid integer"),
        (b"memory: 1KB", "memory: '1KB' does not work: a step needs at least 256 MiB"),
        (b"lake: x\n" * 3, "lake: stands twice"),
        (b"sources: [{a: 1, a: 2}]", "sources: expected `key: value` lines below it, found a list"),
    ],
)  # fmt: skip
def test_a_file_that_is_none(text: bytes, said: str, file: Path) -> None:
    file.write_bytes(text)
    assert said in _ends(file)[0]


def test_a_folder_a_broken_link_and_an_empty_file(file: Path) -> None:
    file.write_text("")
    assert _ends(file) == ("", {})
    file.unlink()
    file.symlink_to("nowhere.yml")
    assert "is a link to nowhere.yml, which does not exist" in _ends(file)[0]
    file.unlink()
    file.mkdir()
    assert "it is a folder, not a file" in _ends(file)[0]


def test_a_value_of_a_variable_is_told_by_its_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("threads: 2\n")
    monkeypatch.setenv("HEADWATER_THREADS", "-1")
    assert "(variable HEADWATER_THREADS)" in _ends(file)[0]


@pytest.mark.parametrize("text", ["15 * * * *", "*/5 0-6,22 1 jan-mar mon-fri", "@daily", "0 0 29 2 *", "5/15 * * * 7"])
def test_cron_schedules(text: str) -> None:
    assert text == check_cron(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "* * * *", "* * * * * *", "*/0 * * * *",
        "5-1 * * * *", "0 0 30 2 *", "0 0 31 4,6 *", "@never", "a * * * *", "* * * foo *", "-1 * * * *", "1,,2 * * * *",
        "1.5 * * * *", "*/61 * * * *", "٥ * * * *", "* * L * *", "every day",
    ],
)  # fmt: skip
def test_what_is_no_cron_schedule(text: str) -> None:
    with pytest.raises(ValueError, match="is no cron schedule"):
        check_cron(text)
