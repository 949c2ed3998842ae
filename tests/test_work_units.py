"""The tests are shared out whole unit by whole unit, the longest first."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.work_units import LONGEST_FIRST, Units, rank, unit

TOP = Path(__file__).parents[1]


class Worker:
    """Stands for a worker of xdist: remembers what it is sent."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def handing_out(tests: list[str], *workers: Worker) -> Units:
    """The scheduler of tests that two workers have found, after it has given them their first units."""
    options: Any = SimpleNamespace(loadscopereorder=False, tx=["2*popen"], numprocesses=2)
    config: Any = SimpleNamespace(option=options, getvalue=lambda name: getattr(options, name))
    units = Units(config, SimpleNamespace(loadscopesched=lambda *_: None))  # type: ignore[arg-type]
    for worker in workers:
        units.add_node(worker)  # type: ignore[arg-type]
        units.add_node_collection(worker, tests)  # type: ignore[arg-type]
    units.schedule()
    return units


def shared_out(tests: list[str]) -> list[list[str]]:
    """What each of two equally quick workers is given."""
    workers = [Worker("one"), Worker("two")]
    units, done = handing_out(tests, *workers), 0
    while any(done < len(worker.sent) for worker in workers):
        for worker in workers:
            if done < len(worker.sent):
                units.mark_test_complete(worker, worker.sent[done])  # type: ignore[arg-type]
        done += 1
    return [[tests[index] for index in worker.sent] for worker in workers]


def test_every_test_runs_once_and_its_unit_on_one_worker() -> None:
    tests = [f"tests/{file}.py::test_{n}" for file in ("a", "b", "c", "readers/x", "readers/y") for n in range(9)]
    one, two = shared_out(tests)
    assert sorted(tests) == sorted(one + two)
    assert set() == set(map(unit, one)) & set(map(unit, two)) and one and two


def test_a_test_at_which_a_worker_died_is_not_run_again_and_the_rest_of_its_unit_is() -> None:
    tests = [f"tests/{file}.py::test_{n}" for file in "abcd" for n in range(4)]
    dead, alive = Worker("dead"), Worker("alive")
    units = handing_out(tests, dead, alive)
    units.mark_test_complete(dead, dead.sent[0])  # type: ignore[arg-type]
    assert tests[dead.sent[1]] == units.remove_node(dead)  # type: ignore[arg-type]
    for index in alive.sent:  # grows while it is worked off
        units.mark_test_complete(alive, index)  # type: ignore[arg-type]
    assert sorted([*dead.sent[:2], *alive.sent]) == [*range(len(tests))]
    assert units.tests_finished


def test_the_longest_come_first() -> None:
    tests = ["tests/a.py::test_a", *(f"{name}x" for name in reversed(LONGEST_FIRST))]
    assert [f"{name}x" for name in LONGEST_FIRST] == sorted(tests, key=rank)[:-1]
    one, two = shared_out(sorted(tests, key=rank))
    assert {one[0], two[0]} == {f"{name}x" for name in LONGEST_FIRST[:2]}


@pytest.mark.parametrize("name", LONGEST_FIRST)
def test_every_unit_that_is_named_has_tests(name: str) -> None:
    file, _, test = name.partition("::")
    files = [path for path in (TOP / "tests").rglob("*.py") if str(path.relative_to(TOP)).startswith(file)]
    assert any(f"def {test.split('[')[0]}" in path.read_text() for path in files)
