"""Settings: one model; what cannot be used is said in one line that names the key."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from ingest.transports.api_settings import ApiPlace
from orchestration.settings import Settings, SettingsError, load_settings, parse_bytes
from orchestration.settings.models import (
    CloudTrailIntegrity,
    GeoIp,
    Iceberg,
    IcebergCatalogue,
    ObjectSource,
    Reference,
    ReferenceFeed,
    S3Access,
    S3Lake,
)

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = (TOP / "headwater.example.yml", TOP / "orchestration/deploy/headwater.example.yml")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "HEADWATER_LAKE",
        "HEADWATER_CONFIG",
        "HEADWATER_ENVIRONMENT",
        "HEADWATER_THREADS",
        "HEADWATER_MEMORY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _file(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given.yml").write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setenv("HEADWATER_CONFIG", str(tmp_path / "given.yml"))


def test_the_example_loads_and_shows_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    example = next(path for path in EXAMPLES if path.exists())
    monkeypatch.setenv("HEADWATER_CONFIG", str(example))
    used = load_settings()
    shown = yaml.safe_load(example.read_text())
    kinds: list[tuple[type[BaseModel], dict[str, object]]] = [(Settings, shown), (GeoIp, shown["geoip"])]
    kinds += [(S3Lake, shown["s3"]), (CloudTrailIntegrity, shown["cloudtrail_integrity"])]
    kinds += [(Iceberg, shown["iceberg"]), (IcebergCatalogue, shown["iceberg"]["catalog"])]
    kinds += [(Reference, shown["reference"])]
    kinds += [(ReferenceFeed, _without_options(each)) for each in shown["reference"]["feeds"].values()]
    kinds += [(type(used.sources[name]), given) for name, given in shown["sources"].items()]
    apis = {kind for kind, _ in kinds if issubclass(kind, ApiPlace)}  # each README of a source has its own
    assert {kind for kind, _ in kinds} >= {Settings, GeoIp, ObjectSource} and apis
    objects = [used.sources[name] for name in shown["sources"]]
    kinds += [(S3Access, each) for name in shown["sources"] if (each := shown["sources"][name].get("s3"))]
    assert any(isinstance(each, ObjectSource) and each.s3 for each in objects)
    for kind in {kind for kind, _ in kinds} - apis:
        assert set().union(*(given for each, given in kinds if each is kind)) == set(kind.model_fields), kind.__name__


def _without_options(feed: dict[str, object]) -> dict[str, object]:
    """What a feed says besides its format's own options."""
    return {key: value for key, value in feed.items() if key in ReferenceFeed.model_fields}


def test_a_source_of_objects_lies_in_a_folder_or_in_a_bucket(tmp_path: Path) -> None:
    assert str(tmp_path / "logs") == ObjectSource(root="logs").root
    assert "s3://bucket/prefix" == ObjectSource(root="s3://bucket/prefix").root
    for wrong in ({"root": "gs://bucket"}, {"root": ""}, {}, {"queue": "my-queue"}):
        with pytest.raises(ValueError, match=r"expected (a folder or s3|root, queue or both|the queue's URL)"):
            ObjectSource.model_validate(wrong)


_ENVIRONMENTS = """
lake: here
s3: {region: eu-central-1}
sources: {aws_cloudtrail: {root: logs}}
environments:
  staging: {lake: "s3://lake-staging/x"}
  prod: {lake: "s3://lake-prod/x", s3: {encryption: AES256}}
"""


def test_an_environment_differs_in_what_it_says_and_is_else_as_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path, _ENVIRONMENTS, monkeypatch)
    monkeypatch.setenv("HEADWATER_ENVIRONMENT", "prod")
    used = load_settings()
    assert (used.environment, used.lake) == ("prod", "s3://lake-prod/x")
    assert (used.s3.region, used.s3.encryption) == ("eu-central-1", "AES256")
    assert set(used.sources) == {"aws_cloudtrail"}


def test_an_unknown_environment_is_an_error_that_names_those_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_ENVIRONMENT", "prd")
    with pytest.raises(SettingsError, match=r"unknown environment 'prd': .* one of local"):
        load_settings()
    _file(tmp_path, _ENVIRONMENTS, monkeypatch)
    with pytest.raises(SettingsError, match=r"unknown environment 'prd': .* one of staging, prod"):
        load_settings()


def test_where_there_are_environments_nobody_is_put_into_one_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path, _ENVIRONMENTS, monkeypatch)
    with pytest.raises(SettingsError, match="no environment is chosen"):
        load_settings()


def test_variables_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path, "threads: 3\nmemory: 1GiB\nlake: here\n", monkeypatch)
    monkeypatch.setenv("HEADWATER_THREADS", "5")
    used = load_settings()
    assert (used.threads, used.memory_bytes, used.lake) == (5, 1 << 30, str(tmp_path / "here"))


def test_without_a_file_the_lake_lies_where_the_user_is(tmp_path: Path) -> None:
    assert load_settings().lake == str(tmp_path / ".headwater/lake")


def test_inside_the_dbt_project_the_lake_is_the_one_of_the_top_level(monkeypatch: pytest.MonkeyPatch) -> None:
    at_top = (TOP / "headwater.yml").exists()
    monkeypatch.chdir(TOP / "dbt_project")
    assert at_top or load_settings().lake == str(TOP / ".headwater/lake")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lak: x\n", "lak: unknown setting"),
        ("geoip: {cities: []}\n", "geoip.cities: unknown setting"),
        ("iceberg: {namespace: 'my lake'}\n", "iceberg.namespace: 'my lake': expected lower-case letters"),
        ("iceberg: {catalog: {type: hive}}\n", "iceberg.catalog.type: "),
        ("memory: much\n", "memory: 'much' is not an amount of memory"),
        ("memory: 0GiB\n", "memory: '0GiB' is not an amount of memory"),
        ("threads: 0\n", "threads: "),
        ("lake: ''\n", "lake: expected a folder or a URL"),
        ("partitions_start: yesterday\n", "partitions_start: 'yesterday' is no hour"),
        ("ocsf_validation_share: 2\n", "ocsf_validation_share: "),
        ("- a list\n", "expected `key: value` lines, found a list"),
        ("lake: [unclosed\n", "settings ("),
        ("lake: \udcff\n", "settings ("),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path, text, monkeypatch)
    with pytest.raises(SettingsError) as problem:
        load_settings()
    assert said in str(problem.value) and "\n" not in str(problem.value)


@pytest.mark.parametrize("name", ["HEADWATER_LAK", "HEADWATER_GEOIP__CITIES"])
def test_an_unknown_variable_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=r"(?i)unknown|cities"):
        load_settings()


def test_a_settings_file_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CONFIG", "nowhere.yml")
    with pytest.raises(SettingsError, match=r"nowhere\.yml .* does not exist"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "size"), [("2GiB", 2 << 30), ("1.5 GB", 1_500_000_000), ("512MiB", 512 << 20), ("7", 7)]
)
def test_amounts_of_memory(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "2TiB", "1 2", "nan", "1e3"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_bytes(text)
