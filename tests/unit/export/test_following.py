"""Whatever happens to an hour, in whatever order: the next push makes the destination's rows the lake's, once."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from lake.build.run import retire
from lake.export.errors import DestinationUnavailable
from lake.export.push import push_hour
from lake.ledger import build_receipts
from lake.ledger.export_receipts import begun, deliveries
from lake.storage.store import LocalStore
from tests.unit.export.lakes import CLOUDTRAIL, HOUR, OKTA, SmallLake, export
from tests.unit.export.shelf import Shelf
from tests.unit.export.test_push import there
from tests.unit.export.test_status import Killed, killed

ROW = "began + to_seconds(n) as time_dt, {'uid': 'm' || n} as metadata, n % 2 = 0 as even"
DECLARED = (export(), export(filter="even"))
SOURCES = st.sampled_from((OKTA, CLOUDTRAIL))
ACTS = st.one_of(
    st.tuples(st.just("build"), SOURCES, st.integers(0, 4)),
    st.tuples(st.sampled_from(("expire", "retire")), SOURCES),
    st.tuples(st.sampled_from(("push", "killed before", "killed after", "away after", "loses")), st.booleans()),
    st.tuples(st.just("declare"), st.booleans()),
)


def away() -> None:
    raise DestinationUnavailable("no answer")


HOOKS = {"killed before": {"act": killed}, "killed after": {"end": killed}, "away after": {"end": away}}
HOOKS |= {"loses": {"loses": lambda row: row["metadata"]["uid"] == "m0"}, "push": {}}


class Story:
    """One hour of two sources, what a reader of the lake finds of it, and a destination."""

    def __init__(self, folder: Path) -> None:
        self.lake = SmallLake(LocalStore(folder / "lake"), folder)
        self.shelf, self.declared, self.expired = Shelf(), DECLARED[0], set[str]()
        self.rows: dict[str, int] = {}
        for source in (OKTA, CLOUDTRAIL):
            self.lake.dispositions(source=source)

    def tell(self, act: str, *said: object) -> None:
        if act == "declare":
            self.declared = DECLARED[bool(said[0])]
        elif act == "build":
            source, rows = str(said[0]), int(str(said[1]))
            self.lake.silver(rows=rows, columns=ROW, source=source)
            self.rows[source] = rows
            self.expired.discard(source)
        elif act in ("expire", "retire"):
            self.leave(act, str(said[0]))
        else:
            self.push(HOOKS[act], bool(said[0]))

    def leave(self, act: str, source: str) -> None:
        model = f"authentication__{source}"
        held = build_receipts.of_model(self.lake.store, model).get(HOUR)
        if held is not None and act == "retire":
            retire(self.lake.store, model)
            self.expired.discard(source)
        elif held is not None and not held.expired_at:
            self.lake.expire(held)
            self.expired.add(source)
        self.rows.pop(source, None)

    def push(self, hooks: dict[str, object], again: bool) -> None:
        for name in ("act", "end", "loses"):
            setattr(self.shelf, name, hooks.get(name, getattr(Shelf(), name)))
        with suppress(Killed, DestinationUnavailable):
            push_hour(self.lake.store, self.shelf, self.declared, HOUR, again=again)  # type: ignore[arg-type]

    def wanted(self) -> list[str]:
        step = 2 if self.declared.declared.filter else 1
        return [f"{source}:m{n}" for source in sorted(self.rows) for n in range(0, self.rows[source], step)]


@settings(max_examples=8, deadline=None)
@given(st.lists(ACTS, min_size=2, max_size=9))
def test_after_any_story_of_an_hour_a_push_makes_the_destination_equal_to_the_lake(story: list[tuple[object]]) -> None:
    with TemporaryDirectory() as folder:
        told = Story(Path(folder))
        for act in story:
            told.tell(*act)  # type: ignore[arg-type]
        before, pushes = there(told.shelf), told.shelf.pushes
        told.push({}, again=False)
        if told.expired and told.shelf.pushes == pushes:  # what has expired is not taken away for its own sake
            left = {each for each in before if each.split(":")[0] not in told.expired}
            assert before == there(told.shelf)
            assert not told.rows or left == {*told.wanted()}
        else:
            assert told.wanted() == there(told.shelf)
        assert [] == told.lake.behind(told.shelf, told.declared)
        pushes = told.shelf.pushes
        told.push({}, again=False)
        assert pushes == told.shelf.pushes
        if told.rows:
            found = deliveries(told.lake.store).events
            assert len(there(told.shelf)) == sum(each["there"] for each in found.values())
            assert {} == begun(told.lake.store, "there", "authentication")
