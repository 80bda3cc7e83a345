import json

import pytest
from normalized import RECEIVED, SAMPLES, Rows, normalized
from told import joins, sample, sample_names, told

from pipelines.core import ids
from pipelines.core.times import parse, rfc3339

PAGE, CONTACT = "200000000000001", "3000000000000042"
SENT = parse("2026-11-22T18:29:58Z")

EVENTS = {
    "account_linking": ["conversation source.account_linking=linked"],
    "answer_feedback": ["message source.response_feedback=Bad bot response"],
    "app_roles": ["channel source.app_roles=primary_receiver"],
    "attachment": ["inbound message m_image"],
    "batch": [f"inbound message m_b{n}" for n in (1, 2, 3, 4)],
    "batch_with_a_bad_item": ["inbound message m_good", "inbound message m_also_good"],
    "branded_camera": ["conversation source.branded_camera=OPEN"],
    "call_permission_reply": ["conversation source.call_permission_reply=approve"],
    "calls": ["conversation source.calls=connect", "conversation source.calls=ringing"],
    "checkout_update": ["conversation source.checkout_update=ORDER"],
    "dashboard_test": ["inbound message test_message_id test"],
    "delivery": [
        "message source.delivery_state=delivered",
        "message source.delivery_state=delivered",
        "conversation source.delivered_watermark=2026-11-22T18:29:57.000000Z",
    ],
    "delivery_watermark_only": ["conversation source.delivered_watermark=2026-11-22T18:29:57.000000Z"],
    "echo": ["outbound message m_echo echo"],
    "echo_from_inbox": ["outbound message m_inbox echo"],
    "echo_of_buttons": ["outbound message m_buttons echo"],
    "echo_of_cards": ["outbound message m_cards echo"],
    "edit_without_text": ["message source.message_edit=1"],
    "feed": ["contact source.feed=comment add"],
    "feed_of_the_page_itself": ["channel source.feed=status add"],
    "feed_reaction": ["contact source.feed=reaction add"],
    "feedback": ["conversation source.messaging_feedback=4"],
    "game_play": ["conversation source.game_play={}"],
    "lead": ["channel source.leadgen=7100000000000042"],
    "live_video": ["channel source.live_videos=live_stopped"],
    "message_edit": ["message source.edited=Liebe Grüße"],
    "optin": ["conversation source.optin=newsletter-box"],
    "optin_by_user_ref": ["channel source.optin=checkbox"],
    "optin_for_notifications": ["conversation source.optin=notification_messages"],
    "optin_resumed": ["conversation source.optin=RESUME_NOTIFICATIONS"],
    "optin_stopped": ["conversation source.optin=STOP_NOTIFICATIONS"],
    "pass_thread_control": ["conversation source.thread_control=passed"],
    "payment": ["conversation source.payment=ORDER"],
    "policy_enforcement": ["channel source.policy_enforcement=warning"],
    "postback": ["inbound postback m_postback", "conversation source.referral=poster"],
    "postback_without_mid": ["inbound postback -"],
    "pre_checkout": ["conversation source.pre_checkout=ORDER"],
    "quick_reply": ["inbound quick_reply m_quick"],
    "reaction": ["message reaction.emoji=❤️"],
    "reaction_escaped_as_text": ["message reaction.emoji=\\u{2764}\\u{FE0F}"],
    "reaction_removed": ["message reaction.emoji="],
    "read": ["conversation source.read_watermark=2026-11-22T18:29:57.500000Z"],
    "referral": ["conversation source.referral=spring"],
    "referral_by_ad": ["conversation source.referral=61000000000007"],
    "reply_with_referral": ["inbound message m_ref", "conversation source.referral=shop-window"],
    "request_thread_control": ["conversation source.thread_control=requested"],
    "review": ["contact source.ratings=POSITIVE"],
    "standby": [
        "inbound message m_mine",
        "inbound message m_theirs standby",
        "inbound postback - standby",
        "conversation source.standby=",
    ],
    "take_thread_control": ["conversation source.thread_control=taken"],
    "text": ["inbound message m_text"],
    "text_as_on_the_wire": ["inbound message m_wire"],
    "unknown_kind": ["conversation source.something_brand_new=yes"],
}


def page(*items: object, time: object = None, entry_id: object = PAGE) -> Rows:
    entry = {"id": entry_id, "time": time, "messaging": items}
    return normalized("facebook", json.dumps({"object": "page", "entry": [entry]}).encode())


def item(sender: object = CONTACT, recipient: object = PAGE, **payload: object) -> dict[str, object]:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, **payload}


def test_every_sample_is_expected_to_tell_something():
    assert sample_names("facebook") == sorted(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_event_tells(name):
    rows = sample("facebook", name)
    assert told(rows) == EVENTS[name]
    assert {row.source for table in rows for row in rows[table]} <= {"facebook"}


def test_message_names_its_channel_contact_and_conversation():
    rows = sample("facebook", "text")
    channel = ids.channel_id("facebook", PAGE)
    contact = ids.contact_id("facebook", channel, CONTACT)

    assert (rows.channels.channel_id, rows.channels.source_channel_id) == (channel, PAGE)
    assert (rows.contacts.contact_id, rows.contacts.source_contact_id) == (contact, CONTACT)
    assert rows.conversations.conversation_id == ids.conversation_id(channel, CONTACT)
    assert rows.conversations.contact_id == contact
    assert rows.messages.message_id == ids.message_id("facebook", channel, "m_text")
    assert rows.messages.conversation_id == rows.conversations.conversation_id
    assert rows.messages.contact_id == contact
    assert rows.messages.sender_id == CONTACT
    assert (rows.messages.sent_at, rows.messages.sent_at_from) == (SENT, "item")
    assert rows.messages.pointer == "/entry/0/messaging/0"
    assert rows.events.outcome == "normalized"


def test_content_keeps_the_escapes_of_the_wire():
    content = sample("facebook", "text_as_on_the_wire").messages.content
    assert r'"text":"\u00e4\u00f6\u00fc \ud83d\ude00 https:\/\/example.com\/"' in content
    assert content.startswith('{"sender":') and content.endswith("}}")


def test_two_contacts_of_the_same_id_on_different_pages_are_two():
    message = {"mid": "m", "text": "?"}
    one = page(item(message=message)).messages
    other = page(item(recipient="2", message=message), entry_id="2").messages
    assert one.contact_id != other.contact_id
    assert one.conversation_id != other.conversation_id
    assert one.message_id != other.message_id


def test_echo_goes_to_the_contact_in_the_conversation_of_what_it_answers():
    inbound, echo = sample("facebook", "text"), sample("facebook", "echo")
    assert echo.messages.conversation_id == inbound.messages.conversation_id
    assert echo.messages.contact_id == inbound.messages.contact_id
    assert echo.messages.sender_id == PAGE


def test_echo_that_does_not_name_the_page_goes_to_the_recipient():
    echo = item(sender="1", recipient="2", message={"mid": "m", "is_echo": True})
    assert page(echo).contacts.source_contact_id == "2"
    assert page(item(sender="1", recipient="2", message={"mid": "m"})).contacts.source_contact_id == "1"


def test_message_from_the_page_is_outbound_even_if_it_is_not_called_an_echo():
    rows = page(item(sender=PAGE, recipient=CONTACT, message={"mid": "m"}))
    assert told(rows) == ["outbound message m"]
    assert rows.contacts.source_contact_id == CONTACT


@pytest.mark.parametrize(
    ("fact", "message"),
    [("reaction", "echo"), ("reaction_removed", "echo"), ("message_edit", "text")],
)
def test_fact_about_a_message_joins_it(fact, message):
    assert joins(sample("facebook", fact), sample("facebook", message))


def test_delivery_joins_each_echo_that_it_names():
    delivery = sample("facebook", "delivery")["metadata"]
    echoes = [sample("facebook", name).messages.message_id for name in ("echo", "echo_from_inbox")]
    assert [fact.subject_id for fact in delivery[:2]] == echoes
    assert delivery[2].subject_id == sample("facebook", "text").messages.conversation_id


def test_delivery_without_a_time_takes_the_time_of_its_entry():
    fact = sample("facebook", "delivery")["metadata"][0]
    assert (fact.occurred_at_from, fact.occurred_at_raw) == ("envelope", "1795372200500")


@pytest.mark.parametrize("name", ["request_thread_control", "take_thread_control", "read"])
def test_contact_of_a_receipt_or_handover_is_whoever_is_not_the_page(name):
    assert sample("facebook", name).contacts.source_contact_id == CONTACT


def test_event_without_a_contact_is_about_the_channel():
    rows = sample("facebook", "policy_enforcement")
    assert rows.metadata.subject_id == rows.channels.channel_id
    assert rows["contacts"] == rows["conversations"] == []


def test_message_without_a_contact_is_kept_as_a_fact_about_the_channel():
    assert told(page({"recipient": {"id": PAGE}, "message": {"mid": "m"}})) == ["channel source.message=m"]


def test_postback_without_a_mid_is_known_by_its_bytes():
    first, again = (sample("facebook", "postback_without_mid").messages for _ in range(2))
    moved = page(item(message={"mid": "m"}), item(postback={"title": "Los"}))["messages"][1]
    other = page(item(postback={"title": "Stopp"})).messages
    assert first.message_id == again.message_id
    assert moved.message_id == page(item(postback={"title": "Los"})).messages.message_id
    assert other.message_id not in {first.message_id, moved.message_id}


def test_feed_tells_the_name_of_its_author():
    rows = sample("facebook", "feed")
    assert rows.contacts.display_name == "Kontakt 42"
    assert rows.metadata.subject_id == rows.contacts.contact_id
    assert (rows.metadata.occurred_at_from, rows.metadata.occurred_at_raw) == ("item", "1795372191")


def test_bad_item_fails_alone_and_is_named():
    rows = sample("facebook", "batch_with_a_bad_item")
    assert (rows.events.outcome, rows.events.dead_letters) == ("partial", 1)
    assert rows.dead_letters.pointer == "/entry/0/messaging/1"
    whole = json.loads((SAMPLES / "facebook" / "batch_with_a_bad_item.json").read_bytes())
    assert json.loads(rows.dead_letters.data) == whole["entry"][0]["messaging"][1]


def test_entry_without_an_id_fails_alone():
    good = {"id": PAGE, "messaging": [item(message={"mid": "m"})]}
    rows = normalized("facebook", json.dumps({"object": "page", "entry": [{"time": 1}, good]}).encode())
    assert rows.dead_letters.pointer == "/entry/0"
    assert rows.messages.pointer == "/entry/1/messaging/0"


@pytest.mark.parametrize(
    "body",
    [
        '{"object":"page","entry":[]}',
        '{"object":"page"}',
        '{"object":"page","entry":[{"id":"1","time":1}]}',
        '{"object":"user","entry":[{"id":"1","changes":[]}]}',
        "{}",
        "[]",
    ],
)
def test_nothing_to_keep_is_ignored_with_a_reason(body):
    rows = normalized("facebook", body.encode())
    assert rows.events.outcome == "ignored"
    assert rows.events.reason
    assert rows.events.rows == rows.events.dead_letters == 0


@pytest.mark.parametrize("body", [b"", b"null", b"page=1", b'{"object":"page","entry":{}}', b"\xff\xfe{}"])
def test_what_is_no_webhook_is_a_dead_letter(body):
    rows = normalized("facebook", body)
    assert (rows.events.outcome, rows.dead_letters.stage) == ("failed", "parse")


def test_unknown_member_of_an_entry_is_a_fact_about_the_channel():
    rows = normalized("facebook", b'{"object":"page","entry":[{"id":"1","time":2,"newList":[{}]}]}')
    assert told(rows) == ["channel source.new_list="]


@pytest.mark.parametrize("payload", ["reaction", "read", "delivery", "message_edit"])
def test_event_that_names_no_message_is_a_fact_about_the_conversation(payload):
    assert told(page(item(**{payload: {}}))) == [f"conversation source.{payload}="]


@pytest.mark.parametrize("written", [9007199254740993, "9007199254740993"])
def test_ids_are_text_whether_number_or_string(written):
    rows = page(item(sender=written, message={"mid": written, "app_id": written}), entry_id=written)
    assert rows.channels.source_channel_id == "9007199254740993"
    assert rows.messages.source_message_id == rows.messages.sender_id == "9007199254740993"


@pytest.mark.parametrize(
    ("own", "entrys", "origin"),
    [
        (1795372198000, 1795372200500, "item"),
        (1795372198, 1795372200500, "item"),
        ("1795372198", None, "item"),
        ("2026-11-22T18:29:58+0000", None, "item"),
        (1795372198000000, None, "item"),
        (1795372198.0, None, "item"),
        (None, 1795372198, "envelope"),
        (0, 1795372198000, "envelope"),
        ("gestern", 1795372198000, "envelope"),
        ({"seconds": 1}, 1795372198000, "envelope"),
        (True, 1795372198000, "envelope"),
        (10**400, 1795372198000, "envelope"),
    ],
)
def test_time_is_understood_in_any_unit_or_taken_from_the_entry(own, entrys, origin):
    message = page(item(timestamp=own, message={"mid": "m"}), time=entrys).messages
    assert (rfc3339(message.sent_at), message.sent_at_from) == ("2026-11-22T18:29:58.000000Z", origin)


@pytest.mark.parametrize("nonsense", [None, 0, -1, "SEND_TIME", [], {}, 10**30, 1e300, ""])
def test_time_that_is_none_is_the_time_of_receipt(nonsense):
    message = page(item(timestamp=nonsense, message={"mid": "m"}), time=nonsense).messages
    assert (message.sent_at, message.sent_at_from) == (RECEIVED, "received")


@pytest.mark.parametrize(
    ("edit", "fact"),
    [
        ({"num_edit": 0}, "source.message_edit=0"),
        ({"num_edit": "0", "text": "Hallo"}, "source.message_edit=0"),
        ({"num_edit": 1}, "source.message_edit=1"),
        ({"text": ""}, "source.message_edit="),
        ({"num_edit": "1", "text": "Hallo"}, "source.edited=Hallo"),
        ({"text": "Hallo"}, "source.edited=Hallo"),
    ],
)
def test_edit_is_one_only_where_it_tells_a_new_text(edit, fact):
    rows = page({"timestamp": 1795372198000, "message_edit": {"mid": "m_text"} | edit})
    assert told(rows) == [f"message {fact}"]
    assert rows.metadata.subject_id == sample("facebook", "text").messages.message_id


def test_reaction_without_an_emoji_takes_none_away():
    rows = page(item(reaction={"mid": "m_text", "action": "react"}))
    assert told(rows) == ["message source.reaction=react"]


def test_opt_in_stop_and_resume_are_told_apart():
    token = {"type": "notification_messages", "notification_messages_token": "0001"}
    states = [{}, *({"notification_messages_status": f"{word}_NOTIFICATIONS"} for word in ("STOP", "RESUME"))]
    rows = page(*(item(optin=token | state) for state in states))
    assert told(rows) == [
        "conversation source.optin=notification_messages",
        "conversation source.optin=STOP_NOTIFICATIONS",
        "conversation source.optin=RESUME_NOTIFICATIONS",
    ]


@pytest.mark.parametrize(
    "come",
    [
        {"ad_id": "700"},
        {"ref": "", "ad_id": 700, "source": "ADS"},
        {"source": "700"},
        {"product": {"id": "700"}},
    ],
)
def test_referral_without_a_ref_tells_the_advertisement_or_the_product(come):
    assert page(item(referral=come)).facts() == {"source.referral": "700"}
    assert page(item(message={"mid": "m_1", "referral": come})).facts() == {"source.referral": "700"}


def test_feedback_about_an_answer_joins_it():
    feedback = page(item(response_feedback={"mid": "m_echo", "feedback": "Good bot response"}))
    assert told(feedback) == ["message source.response_feedback=Good bot response"]
    assert joins(feedback, sample("facebook", "echo"))


@pytest.mark.parametrize(
    "payload", [{"message": {"mid": "m_1"}}, {"optin": {"ref": "r"}}, {"read": {"watermark": 1}}]
)
def test_all_of_the_dashboard_s_test_entry_is_flagged_once(payload):
    rows = page(item(**payload), entry_id="0")
    assert [row.flags for row in rows["messages"] + rows["metadata"]] == [("test",)]


@pytest.mark.parametrize(
    ("field", "told_of", "expected"),
    [
        ("feed", {"item": "reaction", "verb": "add", "reaction_type": "like"}, "reaction add"),
        ("feed", {"item": "comment", "verb": "remove", "comment_id": "1_2"}, "comment remove"),
        ("ratings", {"item": "rating", "verb": "edit"}, "rating edit"),
        ("leadgen", {"leadgen_id": 44, "form_id": 1}, "44"),
        ("location", {"verb": "update"}, "update"),
    ],
)
def test_change_tells_what_was_done_to_what(field, told_of, expected):
    entry = {"id": PAGE, "changes": [{"field": field, "value": told_of}]}
    rows = normalized("facebook", json.dumps({"object": "page", "entry": [entry]}).encode())
    assert told(rows) == [f"channel source.{field}={expected}"]


@pytest.mark.parametrize("who", [{"user": {"id": CONTACT}}, {"reviewer_id": CONTACT}, {"sender_id": int(CONTACT)}])
def test_a_change_is_about_whomever_it_names(who):
    body = {
        "object": "page",
        "entry": [{"id": PAGE, "changes": [{"field": "x", "value": {"action": "add", **who}}]}],
    }
    rows = normalized("facebook", json.dumps(body).encode())
    assert told(rows) == ["contact source.x=add"]
    assert rows.contacts.source_contact_id == CONTACT
    assert rows.metadata.actor_id == (None if "user" in who else CONTACT)


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_reply_to_a_request_to_call_says_what_was_answered(is_wrapped):
    reply = {
        "sender": {"id": CONTACT},
        "recipient": {"id": PAGE},
        "timestamp": SENT // 1_000_000,
        "call_permission_reply": {"response": "approve", "expiration_timestamp": "1795972200"},
    }
    entry = {"id": PAGE, "time": SENT // 1_000, "messaging": [reply]} if is_wrapped else reply
    rows = normalized("facebook", json.dumps({"object": "page", "entry": [entry]}).encode())
    assert told(rows) == ["conversation source.call_permission_reply=approve"]
    assert (rows.channels.source_channel_id, rows.contacts.source_contact_id) == (PAGE, CONTACT)
    assert (rows.metadata.occurred_at_from, rows.metadata.occurred_at) == ("item", SENT // 1_000_000 * 1_000_000)


def test_calls_are_told_in_the_conversation_of_whoever_is_at_the_other_end():
    moment = SENT // 1_000_000
    calls = [
        {"id": "c_1", "from": CONTACT, "to": PAGE, "event": "connect", "timestamp": moment},
        {"id": "c_2", "from": PAGE, "to": CONTACT, "event": "terminate", "timestamp": moment},
        {"id": "c_2", "event": "call_status", "call_status": "ringing", "recipient_id": CONTACT},
        {"id": "c_2", "event": "media_update", "timestamp": moment},
    ]
    entry = {"id": PAGE, "time": moment + 1, "calls": calls}
    entry["messaging"] = [item(message={"mid": "m", "text": "?"}, timestamp=moment)]
    rows = normalized("facebook", json.dumps({"object": "page", "entry": [entry]}).encode())
    assert told(rows) == [
        "inbound message m",
        "conversation source.calls=connect",
        "conversation source.calls=terminate",
        "conversation source.calls=ringing",
        "channel source.calls=media_update",
    ]
    assert {row.subject_id for row in rows["metadata"][:3]} == {rows.messages.conversation_id}
    assert [row.occurred_at_from for row in rows["metadata"]] == ["item", "item", "envelope", "item"]
    assert [row.pointer for row in rows["metadata"]] == [f"/entry/0/calls/{n}" for n in range(4)]


@pytest.mark.parametrize("flat", [False, True])
def test_standby_told_as_a_change_is_what_was_said_and_feedback_is_about_a_message(flat):
    def change(field: str, **payload: object) -> Rows:
        told_of = {"field": field, "value": item(timestamp=SENT // 1000, **payload)}
        entry = {"id": PAGE, **(told_of if flat else {"changes": [told_of]})}
        return normalized("facebook", json.dumps({"object": "instagram", "entry": [entry]}).encode())

    said = change("standby", message={"mid": "m_1", "text": "?"})
    assert told(said) == ["inbound message m_1 standby"]
    judged = change("response_feedback", response_feedback={"mid": "m_1", "feedback": "Good bot response"})
    assert told(judged) == ["message source.response_feedback=Good bot response"]
    assert joins(judged, said)
