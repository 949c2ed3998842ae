"""Fixtures that every room's tests may use, and the rule that a test leaves everything as it found it."""

from tests import isolation

isolation.clean_environment()  # before anything of the product is imported
isolation.wait_for_no_disk()

import gc  # noqa: E402
import sys  # noqa: E402
from collections.abc import Generator, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import pytest  # noqa: E402

from tests.work_units import Units, rank  # noqa: E402

if TYPE_CHECKING:  # unit tests need neither: they are imported where they are used
    from orchestration.demo.simulators.s3 import S3Server
    from tests.crash.zygote import Zygote

gc.set_threshold(50_000, 20, 20)  # tests are many objects that stay: looking through them took a tenth of the time

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `python -m tests.dbt.golden` asks for."""
    parser.addoption("--write-golden", action="store_true", help="write the expected events anew: review the diff")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    """Tests are handed out as `work_units` says, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_collection_finish() -> None:
    """What was imported and collected is there to the end: no collection of garbage looks at it again."""
    gc.freeze()


_COUNTERPARTS = {"fakesnow", "bigquery_emulator", "spark"}  # fixtures that need what `make test-all` installs


@pytest.hookimpl(tryfirst=True)  # before marks select
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests, what takes long comes first; alone, the files' own order is kept."""
    for item in items:
        if _COUNTERPARTS & set(getattr(item, "fixturenames", ())):
            item.add_marker("interop")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))


@pytest.fixture(autouse=True)
def _leaves_everything_as_it_was(pytestconfig: pytest.Config) -> Iterator[None]:
    """A test that leaves something changed fails by its own name; the next one starts clean all the same.

    Fixtures of a wider scope are made before this one, so that what they hold is not the test's. A state is taken
    anew only after one of them or an import changed it: otherwise that of the test before still holds."""
    before = pytestconfig.stash.get(_BEFORE, None)
    if before is None or before.imported != len(sys.modules):
        before = isolation.State.now()
    pytestconfig.stash[_BEFORE] = None
    yield
    _complain(before)
    pytestconfig.stash[_BEFORE] = before


_BEFORE = pytest.StashKey[isolation.State | None]()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    if fixturedef.scope != "function":
        request.config.stash[_BEFORE] = None
    return (yield)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    if fixturedef.scope != "function":
        request.config.stash[_BEFORE] = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Between two files everything is as at the start: fixtures of a file or a session hold on to files alone."""
    yield
    if nextitem is None or nextitem.path != item.path:
        _complain(item.config.stash[_START])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if _START not in item.config.stash:
        item.config.stash[_START] = isolation.State.now()


_START = pytest.StashKey[isolation.State]()


def _complain(before: isolation.State) -> None:
    if changed := list(before.differences()):
        before.restore()
        pytest.fail("left behind:\n" + "\n".join(changed), pytrace=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real logs beside the repository; tests that need it are skipped where it is absent."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("real logs are absent: expected the folder ../shared/data beside the repository")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def storm(pytestconfig: pytest.Config) -> bool:
    """Whether storms are asked for, as `make test-all` does: tests that count points then take the larger number."""
    return "not storm" not in pytestconfig.option.markexpr


@pytest.fixture(scope="session")
def okta_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt project with Okta's sign-ins and base events only; its parsed state is kept for the session."""
    from tests.integration import okta_logs  # most tests need nothing of the orchestration

    return okta_logs.project(tmp_path_factory.mktemp("dbt") / "project")


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Zygote"]:
    """A warm process of this worker whose children run commands, and are killed."""
    from tests.crash.zygote import Zygote

    with Zygote(tmp_path_factory.mktemp("zygote")) as started:
        yield started


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3Server"]:
    """An S3-compatible server for all tests of this worker."""
    from orchestration.demo.simulators import s3

    s3.keep_descriptions()
    with s3.S3Server() as server:
        yield server


@pytest.fixture
def s3_environment(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment leads to the server and to no file of the user; its address."""
    from orchestration.demo.simulators import s3

    for name, value in s3.environment(s3_server.url).items():
        monkeypatch.setenv(name, value)
    return s3_server.url


@pytest.fixture
def s3_bucket(s3_server: "S3Server", s3_environment: str) -> str:
    """A fresh bucket, with the environment leading to it; its name."""
    return s3_server.bucket()
