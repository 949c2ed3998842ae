"""Marts: what they read by their own text, and which of their hours are stale."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lake import ledger
from lake.build.mapping import Mappings
from lake.ledger.receipts import BuildReceipt
from lake.marts.declaration import BadMart, Marts
from lake.marts.retention import expire_marts
from lake.marts.staleness import Tables, may_become_stale, stale_mart
from lake.storage.publish import Change, publish
from lake.storage.store import LocalStore
from lake.upkeep.retention import _expired_build

SIGN_INS, FINDINGS = "authentication__okta", "findings"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one class of two sources, a mart over it that counts, and one that looks back ten hours."""
    folder = tmp_path / "project"
    for name in (SIGN_INS, "authentication__windows"):
        write(folder / f"models/silver/authentication/{name}.sql", "select 1")
    write(
        folder / "models/silver/authentication/authentication.sql",
        '{{ config(materialized="view") }} {{ union_sources([ref("authentication__okta"),'
        ' ref("authentication__windows")]) }}',
    )
    write(folder / "models/gold/seen.sql", 'select * from {{ ref("authentication") }} join {{ ref("weights") }}')
    write(folder / "models/gold/seen.yml", "models: [{name: seen, config: {meta: {content: [who]}}}]")
    write(
        folder / "models/gold/findings.sql",
        "{# ref('nothing') #} select * from {{ ref('authentication__okta') }}, {{ ref('seen') }}",
    )
    write(
        folder / "models/gold/findings.yml",
        "models: [{name: findings, config: {meta: {ocsf_class: detection_finding, reads: {seen: {before: 10h}}}}}]",
    )
    write(folder / "seeds/weights.csv", "factor,weight\nnew,3\n")
    (folder / "macros").mkdir()
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_mart_reads_what_its_text_names_also_through_views(project: Path) -> None:
    marts = Marts(project).by_name
    assert {each.name: (each.models, each.before) for each in marts["seen"].reads} == {
        "authentication": (("authentication__okta", "authentication__windows"), 0)
    }
    assert (("weights",), ("authentication",), ("who",)) == (
        marts["seen"].seeds,
        marts["seen"].views,
        marts["seen"].content,
    )
    assert [("authentication__okta", 0), ("seen", 10)] == [(each.name, each.before) for each in marts["findings"].reads]
    assert "detection_finding" == marts["findings"].ocsf_class


def test_marts_are_ordered_by_what_they_read(project: Path) -> None:
    assert [("seen",), ("findings",)] == Marts(project).levels


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("circle.sql", "select * from {{ ref('seen') }}, {{ ref('circle_back') }}", "in a circle"),
        ("lost.sql", "select * from {{ ref('no_such_model') }}", "lost.sql: there is no model or seed 'no_such_model'"),
        ("two__parts.sql", "select * from {{ ref('seen') }}", "no double underscore"),
        ("raw.sql", "select * from {{ ref('stg_okta') }}", "a mart reads silver and gold"),
        ("alone.sql", "select 1", "reads at least one table"),
    ],
)
def test_what_cannot_be_a_mart_is_told(project: Path, file: str, text: str, said: str) -> None:
    write(project / "models/staging/stg_okta.sql", "select 1")
    write(
        project / "models/gold/circle_back.sql", "select * from {{ ref('circle_back2') }}"
    ) if file == "circle.sql" else None
    write(
        project / "models/gold/circle_back2.sql", "select * from {{ ref('circle') }}"
    ) if file == "circle.sql" else None
    write(project / "models/gold" / file, text)
    with pytest.raises(BadMart, match=said):
        _ = Marts(project).levels


def test_a_span_that_is_none_is_told(project: Path) -> None:
    write(
        project / "models/gold/seen.yml",
        "models: [{name: seen, config: {meta: {reads: {authentication: {before: soon}}}}}]",
    )
    with pytest.raises(BadMart, match=r"seen.yml: reads: 'soon' is no span"):
        _ = Marts(project).by_name


class Lake:
    """A lake of receipts alone."""

    def __init__(self, root: Path, project: Path) -> None:
        self.store, self.project = LocalStore(root), project

    @property
    def mappings(self) -> Mappings:
        return Mappings(self.project)

    def built(self, model: str, hours: Iterable[int], rows: str = "a", **more: object) -> None:
        """Say that a table of silver was built from `rows`."""
        source = model.split("__")[1] if "__" in model else ""
        receipts = [receipt(model, source, hour, inputs=(("bronze", rows),), **more) for hour in hours]
        self.put(model, receipts)

    def put(self, model: str, receipts: list[BuildReceipt]) -> None:
        publish(self.store, lambda: Change(receipts=tuple(ledger.with_builds(self.store, model, receipts))))

    def build_marts(self, *names: str, content: str = "ann") -> list[tuple[str, str]]:
        """Build what is stale of some marts in order; return (mart, hour text)."""
        done = []
        for name in names:
            found = stale_mart(self.store, self.mappings, self.mappings.marts.by_name[name], Tables(self.store))
            self._build(name, [each.hour for each in found], content)
            done += [(name, each.hour) for each in found]
        return done

    def build_mart(self, name: str, content: str = "") -> list[int]:
        """Build what is stale of a mart; return the hours."""
        stale = self.stale(name)
        self._build(name, [text(hour) for hour in stale], content)
        return stale

    def _build(self, name: str, hours: list[str], content: str) -> None:
        tables, mart = Tables(self.store), self.mappings.marts.by_name[name]
        mapping = self.mappings.fingerprint(name)
        done = [
            receipt(name, "", hour, inputs=tables.inputs(mart, hour), mapping=mapping, content=content)
            for hour in hours
        ]
        self.put(name, done)

    def stale(self, name: str) -> list[int]:
        found = stale_mart(self.store, self.mappings, self.mappings.marts.by_name[name], Tables(self.store))
        return [int(each.hour[-2:]) for each in found]


def text(hour: int | str) -> str:
    return hour if isinstance(hour, str) else f"2026-03-02T{hour:02d}"


def receipt(model: str, source: str, hour: int | str, **more: object) -> BuildReceipt:
    given = {"rows": 1, "bytes": 0, "mapping": "m", "built_at": "now"} | more
    return BuildReceipt(model=model, source=source, table=model.split("__")[0], hour=text(hour), **given)  # type: ignore[arg-type]


@pytest.fixture
def lake(tmp_path: Path, project: Path) -> Lake:
    made = Lake(tmp_path / "lake", project)
    made.built(SIGN_INS, range(24))
    made.build_mart("seen", content="ann")
    made.build_mart(FINDINGS)
    return made


def test_nothing_is_stale_after_a_build(lake: Lake) -> None:
    assert ([], []) == (lake.stale("seen"), lake.stale(FINDINGS))


def test_late_rows_that_change_nothing_for_readers_reopen_their_hour_only(lake: Lake) -> None:
    lake.built(SIGN_INS, [3], rows="b")
    assert [3] == lake.build_mart("seen", content="ann")
    assert [3] == lake.stale(FINDINGS)


def test_late_rows_that_readers_look_back_to_reopen_the_hours_that_look_at_them(lake: Lake) -> None:
    lake.built(SIGN_INS, [3], rows="b")
    lake.build_mart("seen", content="bob")
    assert [*range(3, 14)] == lake.build_mart(FINDINGS)
    assert [] == lake.stale(FINDINGS)


def test_another_source_of_the_class_reopens_its_hours(lake: Lake) -> None:
    lake.built("authentication__windows", [22])
    assert [22] == lake.stale("seen")


def test_an_hour_whose_build_changed_no_rows_reopens_nothing(lake: Lake) -> None:
    lake.built(SIGN_INS, [3], built_at="later")
    assert [] == lake.stale("seen")


def test_hours_without_rows_are_all_alike(lake: Lake) -> None:
    lake.built("authentication__windows", [5], rows="none", **{"file": ""})
    lake.put("authentication__windows", [receipt("authentication__windows", "windows", 5, inputs=(), rows=0)])
    assert [] == lake.stale("seen")


def test_a_changed_mart_a_changed_seed_and_a_lost_file_are_stale(lake: Lake) -> None:
    weights = lake.project / "seeds/weights.csv"
    weights.write_text("factor,weight\nnew,4\n")
    assert ([*range(24)], []) == (lake.stale("seen"), lake.stale(FINDINGS))
    weights.write_text("factor,weight\nnew,3\n")
    lake.put(FINDINGS, [_with_file(lake, FINDINGS, 7)])
    assert [7] == lake.stale(FINDINGS)


def _with_file(lake: Lake, model: str, hour: int) -> BuildReceipt:
    held = ledger.builds(lake.store, model)[text(hour)]
    return receipt(
        model, "", hour, inputs=held.inputs, mapping=held.mapping, file="gold/findings/gone.parquet", bytes=9
    )


def test_an_expired_hour_is_not_built_again_and_its_mark_outlives_its_rows(lake: Lake) -> None:
    held = ledger.builds(lake.store, SIGN_INS)[text(3)]
    expired = receipt(SIGN_INS, "okta", 3, inputs=(), expired_at="now", content=held.rows_mark)
    lake.put(SIGN_INS, [expired])
    assert ([], []) == (lake.stale("seen"), lake.stale(FINDINGS))
    (lake.project / "seeds/weights.csv").write_text("factor,weight\nnew,4\n")
    assert [hour for hour in range(24) if hour != 3] == lake.stale("seen")


def test_the_hours_that_may_become_stale_are_those_whose_windows_hold_what_is_built(lake: Lake) -> None:
    mart = lake.mappings.marts.by_name[FINDINGS]
    found = may_become_stale(mart, Tables(lake.store), {"seen": [text(5)]})
    assert {text(hour) for hour in range(5, 16)} == found
    assert set() == may_become_stale(mart, Tables(lake.store), {"other": [text(5)]})


def test_an_hour_that_has_something_to_read_and_was_never_built_is_stale(lake: Lake) -> None:
    lake.built(SIGN_INS, [23], rows="z")
    publish(lake.store, lambda: Change(deletes=(ledger.build_day_key("seen", ledger.hour(text(1)).date()),)))
    assert [*range(24)] == lake.stale("seen")


def test_an_hour_of_a_mart_goes_with_all_that_it_was_made_of(lake: Lake) -> None:
    marts, now = lake.mappings.marts, datetime(2026, 3, 3)
    lake.built("authentication__windows", [3])
    lake.build_mart("seen", content="ann")
    assert {} == expire_marts(lake.store, marts, now, apply=True)
    expire_table(lake, SIGN_INS, 3)
    assert {} == expire_marts(lake.store, marts, now, apply=True), "the other source still has rows of the hour"
    expire_table(lake, "authentication__windows", 3)
    assert {"seen": [text(3)]} == expire_marts(lake.store, marts, now, apply=False)
    assert {"seen": [text(3)]} == expire_marts(lake.store, marts, now, apply=True)
    assert {FINDINGS: [text(3)]} == expire_marts(lake.store, marts, now, apply=True)
    assert ({}, []) == (expire_marts(lake.store, marts, now, apply=True), lake.stale("seen"))


DAYS = {
    "seen_days.sql": "select * from {{ ref('seen') }}",
    "seen_days.yml": "models: [{name: seen_days, config: {meta: {grain: day, content: [who]}}}]",
    "findings.sql": "select * from {{ ref('authentication__okta') }}, {{ ref('seen_days') }}",
    "findings.yml": "models: [{name: findings, config: {meta: {reads: {seen_days: {before: 90d}}}}}]",
}


def test_a_mart_by_the_day_has_one_slot_that_reads_its_day_and_hours_see_the_days_before(lake: Lake) -> None:
    for name, sql in DAYS.items():
        write(lake.project / "models/gold" / name, sql)
    monday, tuesday = [text(hour) for hour in range(24)], ["2026-03-03T04", "2026-03-03T05"]
    lake.put(SIGN_INS, [receipt(SIGN_INS, "okta", hour, inputs=(("b", "c"),)) for hour in tuesday])
    lake.build_marts("seen", "seen_days", FINDINGS)
    assert ["2026-03-02T00", "2026-03-03T00"] == sorted(ledger.builds(lake.store, "seen_days"))
    assert [] == lake.build_marts("seen", "seen_days", FINDINGS)
    lake.built(SIGN_INS, [3], rows="late")
    assert [("seen", monday[3]), (FINDINGS, monday[3])] == lake.build_marts("seen", "seen_days", FINDINGS)
    lake.built(SIGN_INS, [3], rows="later")
    assert {(FINDINGS, hour) for hour in (monday[3], *tuesday)} == {
        each for each in lake.build_marts("seen", "seen_days", FINDINGS, content="bob") if each[0] == FINDINGS
    }


def test_a_grain_that_is_none_is_told(project: Path) -> None:
    write(project / "models/gold/seen.yml", "models: [{name: seen, config: {meta: {grain: week}}}]")
    with pytest.raises(BadMart, match=r"seen.yml: grain: 'week' \(expected hour or day\)"):
        _ = Marts(project).by_name


def test_a_mart_may_have_a_retention_of_its_own(lake: Lake) -> None:
    lake.project.joinpath("models/gold/seen.yml").write_text(
        "models: [{name: seen, config: {meta: {retention_days: 1}}}]"
    )
    found = expire_marts(lake.store, lake.mappings.marts, datetime(2026, 3, 3, 6), apply=False)
    assert {"seen": [text(hour) for hour in range(6)]} == found


def expire_table(lake: Lake, model: str, hour: int) -> None:
    held = ledger.builds(lake.store, model)[text(hour)]
    lake.put(model, [_expired_build(held, datetime(2026, 3, 3, tzinfo=UTC))])
