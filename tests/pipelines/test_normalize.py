"""What a raw event becomes whose attributes are not the receiver's: never the end of the pipeline."""

import pytest

from pipelines.core.rows import DeadLetter
from pipelines.normalize import normalize_or_dead_letter
from schemas.raw_event import RawEvent

KNOWN = {"event_id": "e", "source": "facebook", "received_at": "2026-03-01T10:00:00.000000Z"}


@pytest.mark.parametrize("missing", sorted(KNOWN))
def test_an_event_without_an_attribute_that_each_has_is_a_dead_letter(missing: str) -> None:
    event = RawEvent(b"{}", {name: value for name, value in KNOWN.items() if name != missing})

    (letter,) = normalize_or_dead_letter(event)

    assert isinstance(letter, DeadLetter)
    assert (letter.stage, letter.error_class, letter.data) == ("event", "InvalidRawEventError", b"{}")


@pytest.mark.parametrize(
    "received_at",
    ["yesterday", "2026-03-01T10:00:00", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"],
)
def test_an_event_of_no_time_is_a_dead_letter(received_at: str) -> None:
    (letter,) = normalize_or_dead_letter(RawEvent(b"{}", {**KNOWN, "received_at": received_at}))

    assert isinstance(letter, DeadLetter)
    assert (letter.stage, letter.event_id, letter.data) == ("event", "e", b"{}")
    assert letter.error_message.startswith("received_at ")
