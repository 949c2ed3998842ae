"""Formats are found by the names of their files, and say in one line what is wrong with their settings."""

from pathlib import Path

import pytest

import ingest.reference.formats as registry
from ingest.reference.formats import FormatError, Source, checked_options, formats, reader_of
from ingest.reference.tables import TABLES
from tests.unit.ingest.reference.formats.reading import read_feed

FOLDER = Path(registry.__file__).parent
FILES = [each.stem for each in FOLDER.iterdir() if not each.name.startswith("_")]  # or folders of their own


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_a_format_that_says_what_it_does(name: str) -> None:
    reader = reader_of(name)
    assert set(reader.TABLES) <= set(TABLES)
    assert reader.MODE in ("full", "partial")
    assert reader.READS in ("file", "api")
    assert reader.__doc__


def test_the_listing_is_the_folder() -> None:
    assert sorted(FILES) == formats()


def test_the_readme_tells_every_format_with_its_settings() -> None:
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for name in FILES:
        assert f"`{name}`" in text
        for option in reader_of(name).Options.model_fields:
            assert f"`{option}`" in text or f"`{option} {{" in text, f"{name}: {option}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("cvs", "assets", {}), r"'cvs' is no format \(known: .*csv"),
        (("stix", "assets", {}), r"format stix cannot feed 'assets' \(it feeds indicators\)"),
        (("csv", "assets", {"delimeter": ";"}), r"delimeter: unknown setting \(known: .*delimiter"),
        (("csv", "assets", {"delimiter": ";;"}), "delimiter: expected one character"),
        (("okta", "identities", {}), "base_url: Field required"),
    ],
)
def test_wrong_settings_are_one_line(given: tuple[str, str, dict[str, object]], message: str) -> None:
    with pytest.raises(FormatError, match=message) as problem:
        checked_options(*given)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("name", [name for name in FILES if reader_of(name).READS == "file"])
def test_a_file_that_is_not_there_or_of_no_format_is_one_line(name: str, tmp_path: Path) -> None:
    reader = reader_of(name)
    noise = tmp_path / "noise"
    noise.write_bytes(bytes(range(256)) * 50)
    for path in (tmp_path / "absent", noise):
        source = Source(reader.TABLES[0], path)
        try:
            found = list(reader.read(source, checked_options(name, source.table, {})))
        except FormatError as problem:
            assert "\n" not in str(problem)
        else:
            assert path == noise
            assert all(not hasattr(each, "payload") for each in found), "noise is no entry"


def test_a_file_that_is_cut_off_gives_nothing(tmp_path: Path) -> None:
    import gzip

    whole = gzip.compress(b"".join(b"192.0.2.%d\n" % number for number in range(200)))
    (tmp_path / "list.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="damaged or cut off, nothing of it is used"):
        read_feed("plain", "indicators", tmp_path / "list.gz")
