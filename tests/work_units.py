"""How tests are shared out between workers: what shares something dear stays together, what takes long comes first.

Belongs here: the units of work, and pytest-xdist's scheduler that hands them out. Not here: fixtures.

xdist's own groups (`--dist loadgroup`) are written into the ids of tests, which pytest 9.2 does not let xdist 3.8 do:
every worker got tests of every group, and made all that they share for itself. Nothing told of it.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# What begins like one of these is one unit, of what is left a file is one. The longest come first, so that no worker is
# busy alone in the end. Where one begins with another, the longer name stands first.
LONGEST_FIRST = (
    "tests/dbt/",
    "tests/integration/estate/",
    "tests/integration/test_tutorial.py",
    "tests/integration/s3/test_killed.py",
    "tests/integration/ingest/landing/test_fuzz.py",
    "tests/interop/export/test_bigquery_faults.py",
    "tests/integration/test_make.py::test_the_target_runs[demo",
    "tests/integration/test_make.py::test_the_target_runs[bench",
    "tests/integration/test_make.py",
    "tests/crash/",
    "tests/integration/s3/test_faults.py",
    "tests/integration/test_okta_day.py",
    "tests/integration/cli/",
    "tests/integration/s3/test_objects.py",
    "tests/integration/dagster/test_queues.py",
    "tests/integration/dagster/test_definitions.py",
    "tests/interop/",
    "tests/integration/test_contributing.py",
    "tests/integration/test_removal.py",
    "tests/integration/test_marts.py",
    "tests/integration/s3/test_at_once.py",
    "tests/integration/deploy/test_commands.py",
    "tests/integration/iceberg/",
    "tests/integration/test_lookups.py",
    "tests/integration/test_wheel.py",
    "tests/integration/s3/test_killed_queues.py",
    "tests/integration/ingest/transports/test_bucket.py",
    "tests/integration/storage/test_upkeep.py",
    "tests/unit/matching/test_matching.py",
    "tests/unit/ocsf/test_rules.py",
    "tests/unit/ingest/reference/test_load.py",
    "tests/unit/ingest/reference/test_changes.py",
    "tests/unit/ingest/landing/test_fuzz.py",
    "tests/unit/lake/test_erasure.py",
    "tests/unit/lake/test_damage.py",
    "tests/unit/export/test_rows.py",
    "tests/unit/ingest/landing/test_delimited.py",
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

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test at which a worker died; what it left undone is handed out again, that test is not.

        xdist 3.8 would run it again on every worker that takes the place of one that died of it, eight times.
        """
        workload = self.assigned_work.pop(node)
        undone = [(test, each) for each in workload.values() for test, done in each.items() if not done]
        if not undone:
            return None
        died, of_unit = undone[0]
        of_unit[died] = True
        self.workqueue.update({name: each for name, each in workload.items() if not all(each.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return died
