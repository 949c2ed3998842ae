"""A stream that is no longer wanted is not read any further, and who stops it waits for the batch under way."""

import threading

import pyarrow as pa

from ingest.landing.fields import Reading

BATCH = pa.RecordBatch.from_pydict({"n": [1]})


def test_what_is_read_ahead_ends_when_the_reading_stops() -> None:
    reading, asked, may_go = Reading(), threading.Event(), threading.Event()

    def batches():
        yield BATCH
        asked.set()
        may_go.wait(5)
        yield BATCH
        raise AssertionError("read on")

    found: list[pa.RecordBatch] = []
    ahead = threading.Thread(target=lambda: found.extend(reading.watched(batches())))
    ahead.start()
    assert asked.wait(5)
    threading.Timer(0.05, may_go.set).start()
    reading.stop()
    assert may_go.is_set(), "the batch under way was waited for"
    ahead.join(5)
    assert len(found) == 2


def test_a_stream_that_has_ended_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("ingest.landing.fields._READ_AHEAD_SECONDS", 60)
    reading = Reading()
    assert [BATCH] == list(reading.watched([BATCH]))
    reading.stop()
