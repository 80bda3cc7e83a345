"""What the bench of costs counts: rows and bytes of an archive, each row once, however long it is worked on."""

from pathlib import Path

from pipelines.core.rows import TABLES, Channel, Message
from pipelines.normalize import normalize_or_dead_letter
from tests.bench.costs import STEPS, logical_bytes, measure
from tests.raw_events import raw_event, write_segment


def test_counts_each_row_once_and_times_every_step(tmp_path: Path) -> None:
    events = [raw_event(b"no json", source="facebook", number=number) for number in (1, 2)]
    write_segment(tmp_path, events)

    costs = measure(str(tmp_path), 0.02)

    made = [row for event in events for row in normalize_or_dead_letter(event)]
    assert costs.events == 2
    assert costs.rows == {"events": 2, "dead_letters": 2}
    assert sum(costs.bytes.values()) == sum(map(logical_bytes, made))
    assert costs.worked >= 2
    assert costs.seconds.keys() == set(STEPS)


def test_bytes_are_those_that_bigquery_bills() -> None:
    # Two bytes and the text for each text, eight for each of four numbers, and for the time when it was stored.
    channel = Channel("id", "sms", "+1", None, 1, 2, "event", 3, 4)
    assert logical_bytes(channel) == (2 + 2) + (2 + 3) + (2 + 2) + (2 + 5) + 4 * 8 + 8
    # Of a repeated column each value, and UTF-8, not characters.
    flags, none = ("é",), ()
    assert logical_bytes(_message(flags)) - logical_bytes(_message(none)) == 2 + 2


def _message(flags: tuple[str, ...]) -> Message:
    texts = dict.fromkeys(TABLES["messages"].__struct_fields__, "")
    return Message(**{**texts, "flags": flags})  # type: ignore[arg-type]
