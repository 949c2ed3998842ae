"""How tests are shared out between workers: what shares something dear stays together, what takes long comes first.

Belongs here: the units of work, and pytest-xdist's scheduler that hands them out. Not here: fixtures.

xdist's own groups (`--dist loadgroup`) are written into the ids of tests, which pytest 9.2 does not let xdist 3.8 do:
every worker got tests of every group, and made all that they share for itself. Nothing told of it.
"""

from xdist.scheduler import LoadScopeScheduling

# What begins like one of these is one unit, of what is left a file is one. The longest come first, so that no worker is
# busy alone in the end.
LONGEST_FIRST = (
    "tests/integration/s3/test_killed.py::test_killed_builds_heal",
    "tests/integration/s3/test_killed.py::test_killed_landings_heal[a]",
    "tests/integration/s3/test_killed.py::test_killed_landings_heal[b]",
    "tests/integration/s3/test_killed.py::test_killed_compactions_heal",
    "tests/e2e/estate/",
    "tests/crash/test_killed.py",
    "tests/dbt/",
    "tests/integration/s3/test_faults.py",
    "tests/unit/lake/test_erasure.py",
    "tests/integration/s3/test_at_once.py",
    "tests/integration/test_okta_day.py",
    "tests/integration/s3/test_objects.py",
    "tests/interop/",
    "tests/unit/ingest/landing/test_two_readings.py",
    "tests/unit/ingest/landing/test_delimited.py",
    "tests/integration/deploy/test_commands.py",
    "tests/orchestration/cli/",
    "tests/unit/lake/test_compaction.py",
    "tests/e2e/",
    "tests/orchestration/estate/",
)


def unit(test: str) -> str:
    """Return the unit of a test's id: the first of `LONGEST_FIRST` that it begins with, else its file."""
    return next((name for name in LONGEST_FIRST if test.startswith(name)), test.split("::")[0])


def rank(test: str) -> int:
    """Return the place of a test's unit in the order of units."""
    name = unit(test)
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)


class Units(LoadScopeScheduling):
    """Hands out units in the order in which the workers found their tests."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
