"""Bodies after public bug reports: what is right about each, as `INDEX.tsv` beside them says."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from analyst import Analyst

from pipelines.core.rows import TABLE_OF, TABLES
from pipelines.sources import PARSERS
from pipelines.sources.normalization import every_row
from schemas.raw_event import RawEvent
from tests import material

pytestmark = pytest.mark.skipif(not material.FAULTS.exists(), reason="the bodies are not part of the repository")
SPLIT = {
    "wa_person_split_phone_then_bsuid.json": "1",
    "wa_status_to_bsuid_after_phone_inbound.json": "2",
    "wa_mexico_521.json": "3",
    "wa_group_reactions_by_two_usernames.json": "4",
}
"""Bodies of the same people: each is asked about a world of its own, its people numbered otherwise."""


class Fault:
    """What one body has become: its rows by table, and what the views show of it."""

    def __init__(self, event: RawEvent, analyst: Analyst) -> None:
        self.rows: dict[str, list[Any]] = {table: [] for table in TABLES}
        for row in every_row(event):
            self.rows[TABLE_OF[type(row)]].append(row)
        self._analyst = analyst

    def __getattr__(self, table: str) -> Any:
        """Return a table's only row."""
        (row,) = self.rows[table]
        return row

    def told(self) -> list[tuple[str, str, str]]:
        """Return each fact: about what, its key and value."""
        return [(row.subject_type, row.key, row.value) for row in self.rows["metadata"]]

    def seen(self, view: str, columns: str, condition: str = "TRUE") -> list[tuple[Any, ...]]:
        """Return what a view shows of the body's channels."""
        channels = ", ".join(sorted({f"'{row.channel_id}'" for row in self.rows["channels"]}))
        sql = f"SELECT {columns} FROM parley.{view} WHERE channel_id IN ({channels}) AND {condition}"
        return [tuple(row.values()) for row in self._analyst.query(sql)]

    def people(self) -> int:
        """Return how many contacts the view shows of those whom the body names."""
        named = ", ".join(sorted({f"'{row.contact_id}'" for row in self.rows["contacts"]}))
        return len(self._analyst.query(f"SELECT contact_id FROM parley.contacts WHERE contact_id IN ({named})"))

    def shown(self, columns: str) -> tuple[Any, ...]:
        """Return what `messages_current` shows of the body's only message."""
        (row,) = self.seen("messages_current", columns)
        return row


RIGHT: dict[str, Callable[[Fault], None]] = {}


def right(name: str) -> Callable[[Callable[[Fault], None]], Callable[[Fault], None]]:
    """Register what is right about a body."""

    def known(check: Callable[[Fault], None]) -> Callable[[Fault], None]:
        RIGHT[name] = check
        return check

    return known


@pytest.fixture(scope="module")
def faults(emulator_environment: None) -> Iterator[dict[str, Fault]]:
    with pytest.MonkeyPatch.context() as patch:
        for name, parse in material.own_parsers().items():
            patch.setitem(PARSERS, name, parse)
        analyst = Analyst()
        found = {}
        for number, (known, event) in enumerate(material.faults(), 1):
            name = known.removeprefix("faults/")
            data = event.data
            # A channel for each body, and so nothing that one tells is about another.
            for ours in (b"770000000000023", b"204500000000077", b"%2B15550104401", b"+15550104401"):
                data = data.replace(ours, ours[:-4] + b"%04d" % number)
            if world := SPLIT.get(name, "").encode():
                for person in (b"15550108899", b"5215599990001", b"525599990001", b"US.2081", b"GRP1"):
                    data = data.replace(person, person[:-1] + world)
            attributes = event.attributes | {"event_id": str(uuid.UUID(int=number))}
            told = RawEvent(data, attributes)
            analyst.tell(told)
            found[name] = Fault(told, analyst)
    yield found
    analyst.close()


def test_every_body_is_asked_about():
    assert set(RIGHT) == set(material.index())


def each() -> Iterator[Any]:
    for name in sorted(material.index()):
        yield pytest.param(name)


@pytest.mark.parametrize("name", list(each()))
def test_body_becomes_what_is_right(faults, name):
    RIGHT[name](faults[name])


@right("ig_message_edit_num_edit_0.json")
def _(fault):
    assert fault.shown("text, edits") == ("Where is my order 4711?", 0)


@right("wa_history_inbound_without_from.json")
def _(fault):
    assert [row.direction for row in fault.rows["messages"]] == ["inbound", "outbound"]


@right("wa_history_thread_without_id.json")
def _(fault):
    question, answer = fault.rows["messages"]
    assert (question.direction, answer.direction) == ("inbound", "outbound")
    assert question.conversation_id == answer.conversation_id
    assert {row.source_contact_id for row in fault.rows["contacts"]} == {"US.1349"}


@right("wa_user_changed_user_id.json")
def _(fault):
    assert fault.told() == [("contact", "source.user_changed_user_id", "US.1349")]
    assert "new_user_id=US.1349" in fault.contacts.alternative_ids


@right("wa_user_id_update.json")
def _(fault):
    assert ("contact", "source.user_id_update", "US.1349") in fault.told()
    assert {"user_id=US.1010", "new_user_id=US.1349"} <= set(fault.contacts.alternative_ids)


@right("wa_person_split_phone_then_bsuid.json")
def _(fault):
    assert fault.people() == 1
    ((messages,),) = fault.seen("conversations", "messages")
    assert messages == 2


@right("wa_status_to_bsuid_after_phone_inbound.json")
def _(fault):
    assert fault.seen("conversations", "is_waiting") == [(False,)]


@right("wa_mexico_521.json")
def _(fault):
    assert fault.people() == 1
    assert len(fault.seen("conversations", "conversation_id")) == 1


@right("wa_group_reactions_by_two_usernames.json")
def _(fault):
    (reactions,) = fault.shown("reactions")
    assert {(each["emoji"], each["actor_id"]) for each in reactions} == {("👍", "US.1"), ("❤️", "US.2")}


@right("ig_dashboard_test_messaging.json")
def _(fault):
    assert "test" in fault.messages.flags


@right("fb_marketing_optin_then_stop.json")
def _(fault):
    values = [value for _, key, value in fault.told() if key == "source.optin"]
    assert len(set(values)) == 3
    assert values[1:] == ["STOP_NOTIFICATIONS", "RESUME_NOTIFICATIONS"]


@right("wa_automatic_events.json")
def _(fault):
    assert fault.told() == [("message", "source.automatic_events", "LeadSubmitted")]


@right("wa_payment_config.json")
def _(fault):
    assert fault.told() == [("channel", "source.payment_configuration_update", "Needs Testing")]


@right("fb_feed_comment_and_like.json")
def _(fault):
    assert [value for _, _, value in fault.told()] == ["comment add", "reaction add"]


@right("ig_echo_of_generic_template.json")
def _(fault):
    text, attachments = fault.shown("text, attachments")
    assert (text, attachments[0]["caption"]) == ("Summer shoes", "Summer shoes")


@right("ig_story_reply.json")
def _(fault):
    assert fault.shown("reply_to_story_id, reply_to_story_url") == ("10000000000946257", "https://lookaside/x")


@right("wa_history_media_old_only_placeholder.json")
def _(fault):
    assert fault.shown("source_message_id, direction") == ("wamid.HP1", "inbound")
    assert {"history", "placeholder"} <= set(fault.messages.flags)


@right("wa_bsuid_only_in_contacts.json")
def _(fault):
    assert fault.messages.sender_id == "US.1349"
    ((attachment,),) = fault.shown("attachments")
    assert (attachment["type"], attachment["caption"]) == ("contacts", "Kim")


@right("wa_group_participants.json")
def _(fault):
    (person,) = [row for row in fault.rows["contacts"] if row.source_contact_id == "15550107700"]
    (fact,) = [row for row in fault.rows["metadata"] if row.subject_id == person.contact_id]
    assert (fact.key, fact.value) == ("source.group_participant", "added")
    assert fact.conversation_id == fault.conversations.conversation_id


@right("twilio_json_event_with_link.json")
def _(fault):
    assert not fault.rows["messages"] + fault.rows["contacts"] + fault.rows["channels"]


@right("twilio_event_streams_inbound.json")
def _(fault):
    assert fault.shown("direction, text") == ("inbound", "by event stream")


@right("twilio_conversations_message_added.form")
def _(fault):
    ((subject, key, _),) = fault.told()
    assert (subject, key) == ("channel", "source.on_message_added")
    assert not fault.rows["dead_letters"]


@right("twilio_vcard.form")
def _(fault):
    ((attachment,),) = fault.shown("attachments")
    assert attachment["type"] == "contacts"


@right("twilio_button_text_only.form")
def _(fault):
    assert fault.shown("kind, choice") == ("quick_reply", "Yes please")


@right("twilio_flow_response.form")
def _(fault):
    assert fault.shown("choice") == ('{"size":"M"}',)


@right("twilio_masked_address.form")
def _(fault):
    assert not fault.rows["contacts"] + fault.rows["conversations"]
    assert fault.told() == [("message", "source.delivery_state", "read")]


@right("twilio_fallback_url_error.form")
def _(fault):
    assert ("channel", "source.error", "11200") in fault.told()
    assert fault.shown("delivery_error") == (None,)


@right("form_unescaped_utf8.form")
def _(fault):
    assert fault.shown("text") == ("café 😀",)


@right("custom_numeric_join.json")
def _(fault):
    assert fault.messages.source_message_id == "c1:17"


@right("custom_ancestors.json")
def _(fault):
    by_agent, by_user = fault.rows["messages"]
    assert (by_agent.direction, by_user.direction) == ("outbound", "inbound")
    assert {row.source_contact_id for row in fault.rows["contacts"]} == {"u-5"}
    assert {row.source_channel_id for row in fault.rows["channels"]} == {"a1"}


@right("custom_form_json_field.form")
def _(fault):
    assert fault.contacts.source_contact_id == "U1"
    assert fault.shown("text, choice") == ("Show", "info")
