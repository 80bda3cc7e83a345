import gc
import weakref

import pytest

from pipelines.core.item import Lineage, Span
from pipelines.core.rows import Channel, Message, Metadata
from pipelines.core.sightings import untold
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

    assert [row.source_channel_id for row in lineage.rows] == ["other part", "whole"]
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
    with lineage.item("", b"{}", source="s", time="2026-11-21T23:59:59Z") as item:
        channel_id = item.channel("c")
        item.dated(None)
        item.metadata("channel", channel_id, "source.x", channel_id=channel_id)

    fact, channel = lineage.rows
    assert isinstance(channel, Channel)
    assert isinstance(fact, Metadata)
    assert fact.occurred_date - channel.seen_date == 1
    assert fact.source_channel_id is None
    assert (fact.occurred_at, fact.occurred_at_from) == (RECEIVED, "received")


def seen(lineage):
    return [type(row).__name__ for row in lineage.rows]


def names(row):
    return (
        *(row.source_channel_id, row.channel_display_name, row.source_contact_id, row.contact_display_name),
        *(row.contact_phone_e164, row.source_conversation_id),
    )


def say(item, channel_id, contact_id, conversation_id):
    ids = {"channel_id": channel_id, "contact_id": contact_id, "conversation_id": conversation_id}
    item.message(source_message_id="m", direction="inbound", sender_id=None, **ids)


def test_what_a_message_tells_of_its_place_has_no_row_of_its_own(lineage):
    with lineage.item("", b"{}", source="s") as item:
        channel_id = item.channel("c", display_name="Shop")
        who = item.contact(channel_id, "x:+4915550000001", display_name="Ann", phone_number="+4915550000001")
        say(item, channel_id, who, item.conversation(channel_id, who, "x:+4915550000001"))

    (message,) = lineage.rows
    assert names(message) == ("c", "Shop", "x:+4915550000001", "Ann", "+4915550000001", None)


@pytest.mark.parametrize(
    "more",
    [
        {"display_name": ""},
        {"username": "ann"},
        {"locale": "de"},
        {"time_zone": "CET"},
        {"avatar_url": "https://cdn.example/a"},
        {"alternative_ids": ("wa_id=1",)},
        {"phone_number": "+4915550000002"},
        {"phone_number": "5"},
    ],
)
def test_a_contact_of_whom_more_is_known_has_a_row_of_its_own(lineage, more):
    with lineage.item("", b"{}", source="s") as item:
        channel_id = item.channel("c")
        who = item.contact(channel_id, "5", **{"display_name": "Ann"} | more)
        say(item, channel_id, who, item.conversation(channel_id, who, "talk"))

    message, contact = lineage.rows
    assert names(message) == ("c", None, "5", "", None, "talk")
    assert (contact.contact_id, contact.display_name) == (who, more.get("display_name", "Ann"))


def test_a_conversation_with_another_than_the_contact_has_a_row_of_its_own(lineage):
    with lineage.item("", b"{}", source="s") as item:
        channel_id = item.channel("c")
        who, group = item.contact(channel_id, "5"), item.contact(channel_id, "group")
        say(item, channel_id, who, item.conversation(channel_id, group, "group"))

    assert names(lineage.rows[0]) == ("c", None, "5", None, None, "")
    assert seen(lineage) == ["Message", "Contact", "Conversation"]


def test_a_contact_is_told_on_the_channel_on_which_it_was_seen_alone(lineage):
    with lineage.item("", b"{}", source="s") as item:
        here, there = item.channel("here"), item.channel("there")
        who = item.contact(there, "5")
        item.metadata("contact", who, "source.x", channel_id=here, contact_id=who)

    assert names(lineage.rows[0]) == ("here", None, None, None, None, None)
    assert seen(lineage) == ["Metadata", "Channel", "Contact"]


def test_a_channel_that_has_two_names_in_an_item_keeps_both(lineage):
    with lineage.item("", b"{}", source="s") as item:
        item.channel("c", display_name="Shop")
        channel_id = item.channel("c", display_name="The shop")
        item.metadata("channel", channel_id, "source.x", channel_id=channel_id)

    channel, fact = lineage.rows
    assert (channel.display_name, fact.channel_display_name) == ("Shop", "The shop")


def test_what_an_item_tells_is_seen_though_a_part_of_it_fails(lineage):
    with lineage.item("/0", b"[1,2]", source="s") as item:
        channel_id = item.channel("c")
        with item.part("0", b"1") as part:
            part.metadata("channel", channel_id, "source.x", channel_id=channel_id)
            raise ValueError("unreadable")

    assert seen(lineage) == ["Channel"]


def test_every_sighting_has_a_row_where_items_are_traced():
    lineage = Lineage("event", RECEIVED, spans=[])
    with lineage.item("", b"{}", source="s") as item:
        channel_id = item.channel("c")
        who = item.contact(channel_id, "5")
        say(item, channel_id, who, item.conversation(channel_id, who, "5"))

    assert seen(lineage) == ["Channel", "Contact", "Conversation", "Message"]
    assert [type(row).__name__ for row in untold(lineage.rows)] == ["Message"]


def test_a_conversation_seen_at_another_time_than_its_contact_has_a_row_of_its_own(lineage):
    with lineage.item("", b"{}", source="s", time="2026-11-22T18:00:00Z") as item:
        channel_id = item.channel("c")
        talk = item.conversation(channel_id, item.contact(channel_id, "5"), "5")
        item.dated("2026-11-22T17:00:00Z")
        who = item.contact(item.channel("c"), "5")
        say(item, channel_id, who, talk)

    message = next(row for row in lineage.rows if isinstance(row, Message))
    assert names(message) == ("c", None, "5", None, None, "")
    assert seen(lineage).count("Conversation") == 1


def test_items_are_traced_with_what_they_made_and_those_that_failed_are_not():
    spans: list[Span] = []
    lineage = Lineage("0193aaaa-0000-7000-8000-000000000001", RECEIVED, spans=spans)
    with lineage.item("/0", b"0", source="s") as item:
        item.channel("first")
    with lineage.item("/1", b"1", source="s") as item:
        item.channel("second")
        raise ValueError("unreadable")

    assert spans == [Span("/0", b"0", 0, 1)]
    assert [each.pointer for each in lineage.failures] == ["/1"]


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
