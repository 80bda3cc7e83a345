"""An operator is told when a source can hardly be read any more, and not of single items."""

import logging

import pytest

from pipelines.core.batches import EventBatch
from pipelines.core.dead_letter import dead_letter
from pipelines.io.unread import MOST_LETTERS, WINDOW_SECONDS, Unread
from pipelines.normalize import PUBSUB, NormalizeEvents
from schemas.raw_event import RawEvent
from tests.raw_events import raw_event


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def letters(events: list[RawEvent]):
    return [dead_letter(event, 0, "event", "", ValueError("?"), data=event.data) for event in events]


def some(count: int, source: str = "facebook") -> list[RawEvent]:
    return [raw_event(b"{}", number=number, source=source) for number in range(count)]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "pipelines.io.unread"]


def test_a_source_of_which_nothing_can_be_read_is_told_once_in_a_while(clock, caplog):
    unread = Unread(clock)
    few = some(MOST_LETTERS)
    unread.note(few, letters(few))
    assert told(caplog) == []
    for _ in range(3):
        unread.note(some(2), letters(some(2)))
    assert told(caplog) == ["much cannot be read: 12 dead letters of 12 events of facebook"]

    clock.now += WINDOW_SECONDS
    unread.note(few, letters(few))
    assert len(told(caplog)) == 1
    unread.note(some(1), letters(some(1)))
    assert len(told(caplog)) == 2


def test_single_items_of_a_large_source_are_nothing_and_a_small_one_is_not_hidden_by_it(clock, caplog):
    unread = Unread(clock)
    large = some(2_000)
    unread.note(large, letters(large[:20]))
    assert told(caplog) == []
    small = some(11, "twilio")
    unread.note([*large, *small], letters(small))
    assert told(caplog) == ["much cannot be read: 11 dead letters of 11 events of twilio"]


@pytest.mark.parametrize(("origin", "lines"), [(PUBSUB, 1), ("gs://archive/segment", 0)])
def test_live_events_are_counted(caplog, monkeypatch, origin: str, lines: int):
    monkeypatch.setattr("pipelines.normalize._unread", Unread())
    caplog.set_level(logging.WARNING)
    broken = [raw_event(b"no JSON", number=number) for number in range(20)]
    made = list(NormalizeEvents().process(EventBatch(broken, origin)))
    assert len(made[0].rows["dead_letters"]) == 20
    assert len(told(caplog)) == lines
