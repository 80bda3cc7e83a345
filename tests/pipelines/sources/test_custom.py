import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalized import FIXTURES, RECEIVED, SAMPLES, normalized, raw_event, without_lineage

from pipelines.core import ids
from pipelines.core.rows import DeadLetter
from pipelines.sources import PARSERS
from pipelines.sources.custom import OwnJson
from pipelines.sources.normalization import normalize

BODY = (SAMPLES / "custom" / "own.json").read_bytes()


@pytest.fixture(autouse=True)
def desk(monkeypatch):
    monkeypatch.setitem(PARSERS, "desk", OwnJson("desk").parse)


def message(**changes):
    told = {
        "source_message_id": "m",
        "source_conversation_id": "c",
        "source_channel_id": "ch",
        "source_sender_id": "s",
        "content": "hi",
        "from_contact": True,
        "sent_at": 1795372200123,
    }
    return {name: value for name, value in (told | changes).items() if value is not None}


def posted(*messages, metadata=()):
    return normalized("desk", json.dumps({"messages": messages, "metadata": metadata}).encode())


def test_messages_carry_the_senders_ids_and_exact_content():
    asked, answered = normalized("desk", BODY)["messages"]
    assert (asked.source, asked.source_message_id, asked.direction) == ("desk", "m-1", "inbound")
    assert (answered.source_message_id, answered.direction) == ("4912661846655238145", "outbound")
    assert asked.content.encode() in BODY
    assert json.loads(asked.content)["content"] == {"text": "Wo ist mein Paket? 📦"}
    assert (asked.pointer, answered.pointer) == ("/messages/0", "/messages/1")
    assert (asked.sent_at, asked.sent_at_from) == (1795372200123_000, "item")
    assert answered.sent_at_raw == "2026-11-22T18:31:00.5+01:00"
    assert answered.sender_id == "agent-3"


def test_answer_falls_into_the_conversation_and_contact_of_the_question():
    asked, answered = normalized("desk", BODY)["messages"]
    assert asked.conversation_id == answered.conversation_id
    assert asked.contact_id == answered.contact_id


def test_metadata_joins_what_it_is_about():
    rows = normalized("desk", BODY)
    asked, answered = rows["messages"]
    about = {row.key: row for row in rows["metadata"]}
    assert about["reaction.emoji"].subject_id == answered.message_id
    assert about["source.delivery_state"].value == "read"
    assert about["contact.display_name"].subject_id == asked.conversation_id
    assert about["contact.display_name"].conversation_id == asked.conversation_id
    assert about["company"].subject_id == asked.contact_id
    assert about["name"].subject_id == asked.channel_id
    assert {row.subject_type for row in rows["metadata"]} == {"message", "conversation", "contact", "channel"}


def test_values_are_scalars_as_written():
    facts = normalized("desk", BODY).facts()
    assert facts["open"] == "true"
    assert facts["score"] == "12345678901234567890.5"
    assert facts["tags"] == ""


def test_profile_of_a_contact_is_in_the_contacts_row():
    named = [row for row in normalized("desk", BODY)["contacts"] if row.display_name]
    assert [(row.display_name, row.locale) for row in named] == [("Anna K.", "de-DE")]


def test_name_of_a_channel_is_in_the_channels_row():
    assert "Support desk" in {row.display_name for row in normalized("desk", BODY)["channels"]}


def test_unknown_namespaces_and_members_are_facts_about_the_channel():
    facts = {row.key: row for row in normalized("desk", BODY)["metadata"]}
    assert facts["source.order"].subject_type == facts["source.audit"].subject_type == "channel"
    assert (facts["source.audit"].pointer, facts["source.audit"].content) == ("/audit", '{"by": "desk"}')


def test_channel_defaults_to_the_source_for_messages_and_facts_alike():
    rows = posted(
        message(source_channel_id=None),
        metadata=[{"namespace": "conversation", "source_id": "c", "metadata": {"a": 1}}],
    )
    assert {row.source_channel_id for row in rows["channels"]} == {"desk"}
    assert rows.metadata.subject_id == rows.messages.conversation_id
    assert rows.metadata.flags == ("channel_assumed",)


def test_outbound_message_without_a_recipient_is_to_whom_the_conversation_is_with():
    rows = posted(message(from_contact=False))
    assert rows.contacts.source_contact_id == "c"
    assert rows.messages.flags == ("contact_assumed",)


def test_message_without_a_conversation_is_in_its_contacts():
    assert posted(message(source_conversation_id=None)).conversations.source_conversation_id == "s"


def test_message_without_an_id_is_known_by_its_bytes():
    first, other = posted(message(source_message_id=None)), posted(message(source_message_id=None, content="x"))
    assert first.messages.message_id == posted(message(source_message_id=None)).messages.message_id
    assert first.messages.message_id != other.messages.message_id


@pytest.mark.parametrize("sent_at", [None, "SEND_TIME", 0, True, {}, "", -1, 10**30])
def test_unusable_times_fall_back_to_receipt(sent_at):
    told = posted(message(sent_at=sent_at)).messages
    assert (told.sent_at, told.sent_at_from) == (RECEIVED, "received")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"from_contact": None}, "from_contact is missing"),
        ({"content": None}, "content is missing"),
        ({"source_sender_id": None, "source_conversation_id": None}, "neither source_conversation_id"),
        ({"from_contact": "yes"}, "Expected `bool | null`"),
        ({"source_message_id": {"a": 1}}, "source_message_id"),
    ],
)
def test_bad_message_fails_alone_and_says_why(changes, complaint):
    rows = posted(message(source_message_id="before"), message(**changes), message(source_message_id="after"))
    assert [row.source_message_id for row in rows["messages"]] == ["before", "after"]
    assert complaint in rows.dead_letters.error_message
    assert rows.dead_letters.pointer == "/messages/1"
    assert rows.events.outcome == "partial"


@pytest.mark.parametrize("metadata", [{}, {"namespace": "message"}, "none", 7, True])
def test_metadata_that_are_no_array_fail_alone(metadata):
    rows = posted(message(), metadata=metadata)
    assert (rows.messages.source_message_id, rows.dead_letters.pointer) == ("m", "/metadata")
    assert rows.events.outcome == "partial"


def test_fact_about_nothing_fails_alone():
    rows = posted(message(), metadata=[{"namespace": "message", "metadata": {"a": 1}}])
    assert (rows.dead_letters.pointer, rows.dead_letters.error_message) == ("/metadata/0", "source_id is missing")


@pytest.mark.parametrize("metadata", [{}, None, [], "text"])
def test_metadata_without_members_is_still_kept(metadata):
    rows = posted(metadata=[{"namespace": "message", "source_id": "m", "metadata": metadata}])
    assert rows.facts() == {"source.metadata": ""}
    assert rows.metadata.subject_id == ids.message_id("desk", "", "m")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"3", b'"x"'])
def test_body_of_another_shape_is_a_dead_letter(body):
    rows = normalized("desk", body)
    assert (rows.dead_letters.stage, rows.events.outcome) == ("parse", "failed")


@pytest.mark.parametrize("body", [b"{}", b'{"messages":[],"metadata":null}'])
def test_empty_body_is_ignored(body):
    assert normalized("desk", body).events.outcome == "ignored"


def test_items_make_the_same_rows_alone_and_in_any_order():
    told = json.loads(BODY)
    together = set()
    for name in ("messages", "metadata"):
        for item in told[name]:
            alone = normalize(raw_event("desk", json.dumps({name: [item]}).encode()))
            together |= without_lineage(alone[1:])
    backwards = {"metadata": told["metadata"][::-1], "messages": told["messages"][::-1]}
    assert without_lineage(normalize(raw_event("desk", json.dumps(backwards).encode()))[1:]) == together


@pytest.mark.skipif(not FIXTURES.exists(), reason="needs the shared fixtures beside the checkout")
def test_airys_own_example_normalizes():
    rows = normalized("desk", (FIXTURES / "custom" / "airy_sources_webhook.json").read_bytes())
    assert rows.events.outcome == "normalized"
    assert rows.messages.source_message_id == "source-message-id"
    reaction = next(row for row in rows["metadata"] if row.key == "reaction.emoji")
    assert (reaction.subject_id, reaction.value) == (rows.messages.message_id, "❤️")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.builds(
    lambda changes: message() | changes, st.dictionaries(st.sampled_from(sorted(message())), JSON_VALUES)
)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "namespace": st.sampled_from(["message", "conversation", "contact", "channel"]) | JSON_VALUES,
        "source_id": JSON_VALUES,
        "source_channel_id": JSON_VALUES,
        "metadata": JSON_VALUES,
        "occurred_at": JSON_VALUES,
    },
)


@pytest.mark.thorough
@settings(deadline=None)
@given(st.lists(MESSAGES | JSON_VALUES), st.lists(FACTS | JSON_VALUES), st.booleans())
def test_no_input_escapes_and_good_items_survive(messages, facts, ascii_only):
    body = json.dumps(
        {"messages": [*messages, message(source_message_id="good")], "metadata": facts}, ensure_ascii=ascii_only
    )
    data = body.encode("utf-8", "surrogatepass")
    rows = normalize(raw_event("desk", data))
    assert "good" in {getattr(row, "source_message_id", None) for row in rows}
    assert rows[0].dead_letters == sum(isinstance(row, DeadLetter) for row in rows)
    for row in rows:
        str(row).encode()
        assert not getattr(row, "content", None) or row.content.encode() in data


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_escape(data):
    normalize(raw_event("desk", data))
