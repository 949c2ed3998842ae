"""Files of this machine: one that may not be read stops no other."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects, list_places, why_not
from lake.storage.publish import open_store
from lake.storage.store import AwsAccess
from tests.integration.dagster.cloudtrail_hours import SOURCE, call
from tests.unit.ingest.landing.landed import lines

CONTRACT = load_contracts()[SOURCE]


def test_a_file_that_may_not_be_read_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "secret"):
        (tmp_path / f"{name}.json").write_bytes(lines(call(name, "2026-03-02T05:01:00Z")))
    whole = Path.open

    def opening(path: Path, *words: Any, **more: Any) -> Any:  # whoever runs tests may be allowed everything
        if path.name == "secret.json":
            raise PermissionError(13, "Permission denied")
        return whole(path, *words, **more)

    store, places = open_store(tmp_path / "lake"), [tmp_path / "a.json", tmp_path / "secret.json"]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opening)
        (landed,) = land_files(CONTRACT, list_objects(CONTRACT, places).objects, store)
    why = f"{tmp_path / 'secret.json'}: reading it is not permitted to this user"
    assert (1, ((str(tmp_path / "secret.json"), why),)) == (landed.receipt.landed, landed.receipt.unreadable)
    again = land_files(CONTRACT, list_objects(CONTRACT, places).objects, store)
    assert [True, False] == [each.unchanged for each in again]
    assert 2 == sum(each.receipt.landed for each in again)


DATA = """a.json A.JSON a.Json.GZ a.json.gz a.json-20260302 a.json-20260302.gz a.log.1 a.log.12.gz a.1 a.2.gz a-20260302
a.20260302 a-2026-03-02 a.log-20260302-1 a.tgz a.TAR.xz a.bz2 a.tar a.json.zst a.7z a.rar a.json_20260302"""
NO_DATA = {
    "not a data file by its name": "a a.txt notes-2026 a.csv a.jsonx json a-1",
    "hidden file": ".a.json .a.json.swp",
    "a marker of the writer": "_SUCCESS _started_123 _committed",
    "a temporary file of the writer by its name": "a.json.tmp a.json.PART a.json~ a.swp",
}


def test_what_is_data_by_its_name() -> None:
    for name in (*DATA.split(), "a b'c\"d*?[%20#.json", "a\nb.json", "x" * 200 + ".json"):
        assert why_not(CONTRACT, f"/folder/{name}", named=False) == "", name
    for why, names in NO_DATA.items():
        said = [why_not(CONTRACT, f"/folder/{name}", named=False) for name in names.split()]
        assert said == [why] * len(names.split())


def _odd_folder(top: Path) -> dict[str, str]:
    """A folder of odd names and links; returns what is refused and why, by the end of the name."""
    place, beside = top / "place", top / "beside"
    for folder in (place / "deep" / ("d" * 200), beside):
        folder.mkdir(parents=True)
    for name in (
        "a.json",
        "UP.JSON",
        "r.json-20260302",
        "a\nb.json",
        "'\"*?[x]%20#;$`.json",
        "-x.json",
        f"deep/{'d' * 200}/z.log.1",
    ):
        (place / name).write_bytes(lines(call(name, "2026-03-02T05:01:00Z")))
    (beside / "out.json").write_bytes(lines(call("out", "2026-03-02T05:01:00Z")))
    (place / "notes.txt").write_text("no event")
    with open(bytes(place) + b"/caf\xe9.json", "wb") as file:  # noqa: PTH123 - a name that is no text
        file.write(lines(call("x", "2026-03-02T05:01:00Z")))
    os.mkdir(bytes(place) + b"/d\xff")  # noqa: PTH102
    os.mkfifo(place / "pipe.json")
    for name, target in (
        *(
            ("inside.json", "a.json"),
            ("nowhere.json", "gone.json"),
            ("up", ".."),
            ("deep/self", "."),
            ("self.json", "self.json"),
        ),
        *(("out.json", beside / "out.json"), ("outer", beside), ("p.json", "q.json"), ("q.json", "p.json")),
    ):
        (place / name).symlink_to(target)
    return {
        "/caf\\xe9.json": "no UTF-8",
        "/d\\xff": "no UTF-8",
        "/pipe.json": "a pipe",
        "/nowhere.json": "leads nowhere",
        "/self.json": "in a circle",
        "/p.json": "in a circle",
        "/q.json": "in a circle",
        "/up": "a folder that it lies in",
        "/deep/self": "a folder that it lies in",
        "/out.json": "leads out of the folder",
        "/outer": "leads out of the folder",
    }


def test_odd_names_and_links_stop_nothing_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = _odd_folder(tmp_path)
    whole = os.scandir
    (tmp_path / "place" / "closed").mkdir()

    def listing(folder: str) -> Any:  # whoever runs tests may be allowed everything
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return whole(folder)

    with monkeypatch.context() as patched:
        patched.setattr("os.scandir", listing)
        found = list_objects(CONTRACT, [tmp_path / "place"])
    assert len(found.objects) == 7
    told = {name.removeprefix(str(tmp_path / "place")): why for name, why in found.refused}
    assert told.keys() == {*refused, "/closed"}
    assert "permission denied" in told["/closed"]
    for name, why in refused.items():
        assert why in told[name]
    assert {Path(name).name: why for name, why in found.ignored} == {
        "notes.txt": "not a data file by its name",
        "inside.json": "a link; what it leads to is read where it lies",
    }
    (landed,) = land_files(CONTRACT, found.objects, open_store(tmp_path / "lake"), ignored=found.ignored)
    assert (7, 7) == (landed.receipt.read, landed.receipt.landed)


def test_an_hour_sees_what_landing_by_hand_sees(tmp_path: Path) -> None:
    """And names what it passes over, of its own hour: the first names and how many more."""
    _odd_folder(tmp_path)
    place, at = tmp_path / "place", datetime(2026, 3, 2, 5, 30, tzinfo=UTC).timestamp()
    for number in range(15):
        (place / f"doc{number:02}.md").write_text("x")
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (at, at))
    by_hand, of_hour = list_objects(CONTRACT, [place]), list_objects(CONTRACT, [place], datetime(2026, 3, 2, 5))
    assert [each.name for each in by_hand.objects] == [each.name for each in of_hour.objects]
    assert (by_hand.ignored, by_hand.refused) == (of_hour.ignored, of_hour.refused)
    told = of_hour.passed_over()
    assert ("and 6 more", "not a data file by its name") in told
    assert len(told) == 10 + 1 + 1 + len(by_hand.refused)
    other = list_objects(CONTRACT, [place], datetime(2026, 3, 2, 6))
    assert (other.objects, [why for _, why in other.ignored]) == (
        [],
        ["a link; what it leads to is read where it lies"],
    )


def test_the_folders_that_a_place_lies_in_tell_no_time(tmp_path: Path) -> None:
    place = tmp_path / "2020" / "01" / "01"
    (place / "2026" / "03" / "02").mkdir(parents=True)
    for name in ("a.json", "2026/03/02/b.json"):
        (place / name).write_text("{}")
        os.utime(place / name, (at := datetime(2026, 3, 2, 5, 30, tzinfo=UTC).timestamp(), at))
    assert len(list_objects(CONTRACT, [place], datetime(2026, 3, 2, 5)).objects) == 2


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("gone", "no such file or folder"),
        ("x" * 300, "name too long"),
        ("loop", "loop"),
        ("pipe", "neither a file nor a folder"),
        ("~nobody-here/x", "could not determine home"),
    ],
)
def test_a_place_that_cannot_be_read_is_told(tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError, match=why):
        list_objects(CONTRACT, [Path(place) if place.startswith("~") else tmp_path / place])


@pytest.mark.parametrize("place", ["s3:/bucket/x", "gs://bucket/x", "https://x/y", "file:///tmp", "S3://bucket"])
def test_a_url_of_another_kind_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="expected a file, a folder or s3://bucket/prefix"):
        list_places(CONTRACT, [place], AwsAccess())
