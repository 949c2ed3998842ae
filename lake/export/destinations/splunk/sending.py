"""Sending batches to a HEC: several under way, acknowledgements asked for in groups, refused events set apart.

A batch counts as open from being cut until its events are acknowledged and remembered, or refused. There are at most
`window` open batches, so a killed push sends that many again at most.

When Splunk names an event by its number, it has taken those before it, and they are not sent again: with
acknowledgements that is only believed when the answer has an `ackId` for them (measured: it has), for a lost event is
worse than one that is there twice. The named event goes alone, the ones behind it go again. Without a number (a proxy's
413) nothing was taken, and halves are tried. An event is refused only when it was refused alone: Splunk Cloud names
event 0 for a body that is too large.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from lake.export.destination import Refusal
from lake.export.destinations.splunk.collector import Collector, Posted
from lake.export.destinations.splunk.events import Batch
from lake.export.errors import DestinationUnavailable

_SOON, _LATE = 0.05, 5.0  # seconds between two questions for acknowledgements, while some come and while none do
_TURN = 0.05  # seconds a thread waits before it looks whether the push has failed
_WORDS = 300  # characters of what Splunk said
Remember = Callable[[list[tuple[list[str], list[int]]]], None]


class _Open:
    """A batch until all its events are settled."""

    def __init__(self, events: int) -> None:
        self.left = events


class Sending:
    """One push's way to a collector. `remember` keeps (ids, contents) durably; it is called from one thread."""

    def __init__(
        self, collector: Collector, remember: Remember, *, acknowledge: bool, bound_seconds: float, window: int
    ) -> None:
        self._collector, self._remember = collector, remember
        self._acknowledge, self._bound = acknowledge, bound_seconds
        self.sent = self.bytes = self.repeated = 0
        self.refused: list[Refusal] = []
        self._room = threading.Semaphore(window)
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[Batch, _Open, float]] = {}  # by ackId
        self._lost: list[Batch] = []
        self._taken: list[tuple[Batch, _Open]] = []
        self._open = 0
        self._ended = threading.Event()
        self._news = threading.Event()
        self._failure: BaseException | None = None
        self._work: queue.Queue[Batch] = queue.Queue(1)  # so few events are held in memory, however large they are

    def run(self, batches: Iterable[Batch], connections: int) -> None:
        """Send batches until every event is settled.

        Raises:
            ExportError: what was acknowledged until then is remembered.
        """
        with self._threads(connections):
            for batch in batches:
                if not self._hand_over(batch):
                    break
            while not self._failure and not self._settled():
                self._ended.wait(0.02)
        self._keep()  # acknowledged between the last question and a failure elsewhere
        if self._failure:
            raise self._failure

    def _hand_over(self, batch: Batch) -> bool:
        """Give a batch to the senders once there is room; False when the push has failed."""
        while not self._room.acquire(timeout=_TURN):
            if self._failure:
                return False
        with self._lock:
            self._open += 1
        while not self._failure:
            with suppress(queue.Full):
                self._work.put(batch, timeout=_TURN)
                return True
        return False

    def _settled(self) -> bool:
        with self._lock:
            return self._open == 0

    @contextmanager
    def _threads(self, connections: int) -> Iterator[None]:
        senders = [threading.Thread(target=self._guard, args=(self._send_all,)) for _ in range(connections)]
        keeper = threading.Thread(target=self._guard, args=(self._watch,))
        for each in (*senders, keeper):
            each.start()
        try:
            yield
        except BaseException:
            self._fail(DestinationUnavailable("the push was broken off"))
            raise
        finally:
            self._ended.set()
            self._news.set()
            for each in (*senders, keeper):
                each.join()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:
            self._fail(problem)

    def _fail(self, problem: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or problem
        self._collector.ended.set()
        self._ended.set()
        self._news.set()

    def _send_all(self) -> None:
        while not self._ended.is_set():
            with suppress(queue.Empty):
                self._deliver(self._work.get(timeout=_TURN))

    def _deliver(self, batch: Batch) -> None:
        opened, parts = _Open(len(batch)), [batch]
        while parts and not self._failure:
            part = parts.pop()
            posted = self._collector.send(part.body)
            with self._lock:
                self.repeated += posted.repeated
            if posted.taken:
                self._take(part, opened, posted)
            else:
                parts += reversed(self._apart(part, opened, posted))

    def _take(self, part: Batch, opened: _Open, posted: Posted) -> None:
        """Note events that Splunk has taken, until they are acknowledged."""
        batch = part.without_lines()
        with self._lock:
            self.sent += len(part)
            self.bytes += posted.bytes
            if not self._acknowledge:
                self._taken.append((batch, opened))
            elif posted.ack_id is None:
                raise DestinationUnavailable(
                    f"{self._collector.url} took events and gave no number to ask their acknowledgement by; push again,"
                    " or set `acknowledge: false`"
                )
            else:
                earlier = self._pending.get(posted.ack_id)
                if earlier is not None:  # numbers begin at 0 anew: Splunk was restarted, and forgot the earlier ones
                    self._lost.append(earlier[0])
                self._pending[posted.ack_id] = (batch, opened, time.monotonic())
        self._news.set()

    def _apart(self, part: Batch, opened: _Open, posted: Posted) -> list[Batch]:
        """Return what is left to send of events that were refused together."""
        if len(part) == 1:
            self._refuse(part, opened, posted)
            return []
        number = posted.invalid
        if number is None or not 0 <= number < len(part):
            middle = len(part) // 2
            return [part.part(0, middle), part.part(middle, len(part))]
        before, named, behind = part.part(0, number), part.part(number, number + 1), part.part(number + 1, len(part))
        if before and (posted.ack_id is not None or not self._acknowledge):
            self._take(before, opened, posted)
            before = Batch()
        if number == 0 and len(behind) > 1:  # it may be the size of the body: make smaller ones
            middle = len(behind) // 2
            return [named, behind.part(0, middle), behind.part(middle, len(behind))]
        return [each for each in (before, named, behind) if each]

    def _refuse(self, part: Batch, opened: _Open, posted: Posted) -> None:
        said = self._collector.hidden(posted.text)[:_WORDS] or f"refused with {posted.code}"
        with self._lock:
            self.refused.append(Refusal(event_id=part.ids[0], source=part.sources[0], code=posted.code, said=said))
            self._settle(opened, 1)

    def _settle(self, opened: _Open, events: int) -> None:
        opened.left -= events
        if opened.left == 0:
            self._open -= 1
            self._room.release()

    def _watch(self) -> None:
        """Ask for acknowledgements, and remember those that came, until the end."""
        pause = _SOON
        while not self._ended.is_set():
            self._news.wait()
            if self._acknowledge:
                self._ended.wait(pause)
                came = self._ask()
            else:
                came = bool(self._taken)
            self._keep()
            pause = _SOON if came else min(_LATE, pause * 1.5)
            with self._lock:
                if not self._pending and not self._taken and not self._ended.is_set():
                    self._news.clear()

    def _ask(self) -> bool:
        """Ask once for all that is pending. Return whether any came."""
        with self._lock:
            asked = {number: since for number, (_, _, since) in self._pending.items()}
        if not asked:
            return False
        told = "they are not indexed yet"
        try:
            there = self._collector.acknowledged(asked)
        except DestinationUnavailable as problem:
            there, told = set(), str(problem)
        with self._lock:
            for number in there:
                batch, opened, since = self._pending[number]
                if since == asked[number]:
                    del self._pending[number]
                    self._taken.append((batch, opened))
            waiting = sum(len(batch) for batch, _, _ in self._pending.values()) + sum(map(len, self._lost))
        late = [
            since for number, since in asked.items() if number not in there and time.monotonic() - since > self._bound
        ]
        if self._lost or late:
            why = "it was restarted" if self._lost else f"for {self._bound:g} s {told}"
            raise DestinationUnavailable(
                f"{self._collector.url} took {waiting:,} events and does not acknowledge them: {why}. They go again"
                " with the next push; searches for the newest of each event pass over what is there twice"
            )
        return bool(there)

    def _keep(self) -> None:
        with self._lock:
            taken, self._taken = self._taken, []
        if not taken:
            return
        self._remember([(batch.ids, batch.contents) for batch, _ in taken])
        with self._lock:
            for batch, opened in taken:
                self._settle(opened, len(batch))
