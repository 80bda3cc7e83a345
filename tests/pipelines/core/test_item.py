import gc
import weakref

import pytest

from pipelines.core.item import Lineage
from pipelines.core.rows import Channel, Message, Metadata
from pipelines.core.times import parse

RECEIVED = parse("2026-11-22T18:30:00Z") or 0


@pytest.fixture
def lineage() -> Lineage:
    return Lineage("0193aaaa-0000-7000-8000-000000000001", RECEIVED)


def test_item_that_fails_takes_its_rows_along_and_no_others(lineage):
    with lineage.item("/0", b"{}", source="s") as item:
        item.channel("first")
    with lineage.item("/1", b"{}", source="s") as item:
        item.channel("second")
        raise ValueError("unreadable")
    with lineage.item("/2", b"{}", source="s") as item:
        item.channel("third")

    assert [row.source_channel_id for row in lineage.rows] == ["first", "third"]
    assert [(each.pointer, str(each.error)) for each in lineage.failures] == [("/1", "unreadable")]


def test_part_that_fails_leaves_the_item_and_its_other_parts(lineage):
    with lineage.item("/0", b"[1,2]", source="s") as item:
        item.channel("whole")
        with item.part("0", b"1") as part:
            part.channel("part")
            raise ValueError("unreadable")
        with item.part("1", b"2") as part:
            part.channel("other part")

    assert [row.source_channel_id for row in lineage.rows] == ["whole", "other part"]
    assert lineage.failures[0].pointer == "/0/0"


def test_item_that_is_no_utf8_fails_when_it_would_become_content(lineage):
    with lineage.item("", b"\xff", source="s") as item:
        channel_id = item.channel("seen")
        item.metadata("channel", channel_id, "source.x", channel_id=channel_id)

    assert lineage.rows == []
    assert isinstance(lineage.failures[0].error, UnicodeDecodeError)


def test_what_stops_the_process_is_not_taken_for_a_bad_item(lineage):
    with pytest.raises(KeyboardInterrupt), lineage.item("", b"{}", source="s"):
        raise KeyboardInterrupt
    assert lineage.failures == []


def test_part_has_source_flags_and_times_of_its_item_and_flags_of_its_own(lineage):
    item = lineage.item("/0", b"{}", source="s")
    item.dated("2026-11-22T18:00:00Z", "2026-11-22T18:10:00Z")
    item.flags.append("standby")
    part = item.part("x/1", b"x")
    part.flags.append("echo")

    assert (part.source, part.flags, item.flags) == ("s", ["standby", "echo"], ["standby"])
    assert (part.time, part.time.origin) == (item.time, "item")
    part.dated("nonsense")
    assert (part.time.origin, part.time.raw) == ("envelope", "2026-11-22T18:10:00Z")


def test_rows_are_dated_by_the_item_at_the_time_they_are_made(lineage):
    item = lineage.item("", b"{}", source="s", time="2026-11-21T23:59:59Z")
    channel_id = item.channel("c")
    item.dated(None)
    item.metadata("channel", channel_id, "source.x", channel_id=channel_id)

    channel, fact = lineage.rows
    assert isinstance(channel, Channel)
    assert isinstance(fact, Metadata)
    assert fact.occurred_date - channel.seen_date == 1
    assert (fact.occurred_at, fact.occurred_at_from) == (RECEIVED, "received")


def test_item_has_told_something_once_it_made_a_message_or_a_fact(lineage):
    item = lineage.item("", b"{}", source="s")
    channel_id = item.channel("c")
    assert not item.told
    item.metadata("channel", channel_id, "source.x", channel_id=channel_id)
    assert item.told


@pytest.mark.parametrize(("told", "kept"), [("m1", "m1"), ("", None), (None, None)])
def test_a_message_has_the_id_that_its_source_gave_it_if_any(lineage, told, kept):
    item = lineage.item("", b"{}", source="s")
    ids = {"channel_id": "a", "contact_id": "b", "conversation_id": "c", "sender_id": None}
    message_id = item.message(source_message_id=told, direction="inbound", **ids)
    assert item.told
    (message,) = lineage.rows
    assert isinstance(message, Message)
    assert (message.message_id, message.source_message_id) == (message_id, kept)


def test_what_failed_is_forgotten_with_its_event():
    def fail() -> weakref.ref[Lineage]:
        holder = Lineage("event", RECEIVED)
        with holder.item("", b"{}", source="test") as item:
            raise ValueError(item.source)
        assert holder.failures
        return weakref.ref(holder)

    reference = fail()
    gc.collect()

    assert reference() is None
