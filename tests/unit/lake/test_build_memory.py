"""What a build does at once follows from the setting `memory` and from what is asked."""

import pytest

from lake.build.memory import HOURS_AT_ONCE, BuildMemory, in_parts, leaves_of

MIB = 1 << 20
WIDE, WIDEST = 375, 451  # leaves of Authentication and of Detection Finding
EVENTS, CLASSES = 420, 26  # leaves of a Windows event, and folders of its classes


@pytest.mark.parametrize(
    ("memory", "duckdb", "threads", "models"),
    [(256, 128, 1, 1), (512, 256, 1, 1), (768, 512, 1, 1), (1024, 768, 1, 1), (2048, 1568, 2, 2), (8192, 7712, 2, 2)],
)
def test_the_setting_is_shared_by_python_duckdb_and_models(memory: int, duckdb: int, threads: int, models: int) -> None:
    plan = BuildMemory(memory * MIB)
    assert (duckdb * MIB, threads, models) == (plan.of_duckdb, plan.threads_of_duckdb, plan.models)


def test_what_ran_out_of_memory_is_tried_with_as_little_at_once_as_can_be() -> None:
    plan = BuildMemory(2048 * MIB, is_least=True)
    assert (1, 1, False, 0) == (plan.threads_of_duckdb, plan.models, plan.is_enough_for(1, 1), plan.rows_held)
    assert "row_group_size 8192" in plan.parquet
    assert 320 * MIB == BuildMemory(512 * MIB, is_least=True).of_duckdb, "what entity_management of Windows takes"
    assert "row_group_size 61440" == BuildMemory(2048 * MIB).parquet


@pytest.mark.parametrize("memory", [512, 768, 1024, 2048, 4096])
def test_the_hours_that_are_written_at_once_fit_side_by_side(memory: int) -> None:
    plan = BuildMemory(memory * MIB)
    for leaves in (200, WIDE, WIDEST):
        hours = plan.hours_at_once(leaves)
        assert 1 <= hours <= HOURS_AT_ONCE
        assert plan.models * plan.threads_of_duckdb * hours * leaves * 32 << 10 < plan.of_duckdb
    assert plan.hours_at_once(10_000_000) == 1


def test_wide_events_are_written_by_class_where_there_is_room_and_in_one_file_where_not() -> None:
    assert [False, False, True, True] == [
        BuildMemory(memory * MIB).is_enough_for(EVENTS, CLASSES) for memory in (512, 768, 1024, 2048)
    ]


@pytest.mark.parametrize("memory", [512, 2048, 8192])
def test_few_rows_are_held_until_they_are_published(memory: int) -> None:
    plan = BuildMemory(memory * MIB)
    assert 8_000 < plan.rows_held < plan.of_duckdb // plan.models // 8 // 1024


def test_hours_are_parted_in_their_order() -> None:
    hours = [f"2026-03-02T0{n}" for n in (2, 0, 1)]
    assert [] == in_parts(hours, 3)
    assert [
        "date || 'T' || hour in ('2026-03-02T00', '2026-03-02T01')",
        "date || 'T' || hour in ('2026-03-02T02')",
    ] == (in_parts(hours, 2))


def test_a_leaf_is_counted_with_what_it_is_in() -> None:
    assert 1 + 3 + 3 == leaves_of([("a", "INTEGER"), ("b", "STRUCT(x INTEGER, y VARCHAR)"), ("c", "STRUCT(z DATE)[]")])
