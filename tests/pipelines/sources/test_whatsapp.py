import json

import pytest
from normalized import SAMPLES, Rows, normalized
from told import joins, sample, sample_names, told

from pipelines.core import ids

NUMBER_ID, NUMBER, CONTACT = "100000000000002", "4915550000001", "4915550000042"
ACCOUNT, BSUID, GROUP = "100000000000001", "DE.10000000000000000042", "Z3JvdXA6MQ"

EVENTS = {
    "account_alert": ["channel source.account_alerts=OBA_APPROVED"],
    "account_review": ["channel source.account_review_update=APPROVED"],
    "account_settings": ["channel source.account_settings_update=phone_number_settings"],
    "account_update": ["channel source.account_update=ACCOUNT_RESTRICTION"],
    "address_book": ["conversation source.state_sync=add"],
    "automatic_event": ["message source.automatic_events=Purchase"],
    "batch": [
        *(f"inbound message wamid.w{n}" for n in (1, 2, 3)),
        "message source.delivery_state=sent",
        "message source.delivery_state=delivered",
    ],
    "business_capability": ["channel source.business_capability_update=2000"],
    "button_reply": ["inbound quick_reply wamid.button_reply"],
    "button_without_payload": ["inbound quick_reply wamid.bare_button"],
    "call": ["conversation source.calls=connect"],
    "call_permission_reply": ["inbound message wamid.permission"],
    "contacts_alone": ["conversation source.contacts=4915550000042"],
    "contacts_card": ["inbound message wamid.card"],
    "document": ["inbound message wamid.document"],
    "echo": ["outbound message wamid.out echo"],
    "echo_edit": ["message source.edited=Guten Abend"],
    "edit": ["message source.edited=Liebe Grüße"],
    "edit_without_text": ["message source.edit=image"],
    "edit_caption": ["message source.edited=So sah es aus"],
    "errors": ["channel source.error=130429"],
    "flow_errors": ["channel source.flows=ENDPOINT_ERROR_RATE"],
    "flow_status": ["channel source.flows=FLOW_STATUS_CHANGE"],
    "form_reply": ["inbound message wamid.nfm"],
    "group": ["inbound message wamid.group group"],
    "group_created": ["conversation source.groups=group_create"],
    "group_participant": [
        "conversation source.groups=group_participants_add",
        "contact source.group_participant=added",
    ],
    "handover": ["conversation source.thread_control=passed"],
    "history": [
        "outbound message wamid.h1 history",
        "inbound message wamid.h2 history",
        "inbound message wamid.h3 history placeholder",
        "message source.delivery_state=read",
    ],
    "history_by_user_id": [
        "inbound message wamid.h7 history",
        "outbound message wamid.h8 history",
        "message source.delivery_state=read",
    ],
    "history_declined": ["channel source.error=2593109"],
    "history_media": ["inbound message wamid.h3 history", "outbound message wamid.h4 history"],
    "history_without_thread_id": [
        "inbound message wamid.h5 history",
        "outbound message wamid.h6 history",
        "message source.delivery_state=read",
    ],
    "identity_changed": ["contact source.customer_identity_changed=AAAA"],
    "image": ["inbound message wamid.image"],
    "interactive_without_body": ["inbound message wamid.bodiless", "channel source.error=131000"],
    "list_reply": ["inbound quick_reply wamid.list_reply"],
    "location": ["inbound message wamid.location"],
    "number_changed": ["contact source.user_changed_number=4915550000043"],
    "number_name": ["channel source.phone_number_name_update=APPROVED"],
    "number_quality": ["channel source.phone_number_quality_update=FLAGGED"],
    "old_number_member": ["inbound message wamid.old"],
    "on_premises": [
        "inbound message wamid.onprem",
        "message source.delivery_state=delivered",
        "message source.delivery_state=read",
    ],
    "on_premises_voice": ["inbound message wamid.onprem_voice"],
    "order": ["inbound message wamid.order"],
    "partner_solution": ["channel source.partner_solutions=SOLUTION_CREATED"],
    "payment_configuration": ["channel source.payment_configuration_update=Active"],
    "reaction": ["message reaction.emoji=👍"],
    "reaction_removed": ["message reaction.emoji="],
    "referral": ["inbound message wamid.referral", "conversation source.referral=7007"],
    "request_welcome": ["conversation source.request_welcome=true"],
    "revoke": ["message source.deleted=true"],
    "security": ["channel source.security=PIN_CHANGED"],
    "standby": ["inbound message wamid.theirs standby"],
    "status_captured": ["message source.payment_status=captured"],
    "status_deleted": ["message source.delivery_state=deleted"],
    "status_delivered": ["message source.delivery_state=delivered"],
    "status_failed": [
        "message source.delivery_state=failed",
        "message source.error=131047",
        "message source.error=131026",
    ],
    "status_in_group": ["message source.delivery_state=read"],
    "status_in_group_by_user_id": ["message source.delivery_state=read"],
    "status_of_call": ["conversation source.call_status=ringing"],
    "status_played": ["message source.delivery_state=played"],
    "status_read": ["message source.delivery_state=read"],
    "status_sent": ["message source.delivery_state=sent"],
    "status_without_phone_number": ["message source.delivery_state=sent"],
    "sticker": ["inbound message wamid.sticker"],
    "template_button": ["inbound quick_reply wamid.button"],
    "template_category": ["channel source.template_category_update=MARKETING"],
    "template_components": ["channel source.message_template_components_update=herbst"],
    "template_quality": ["channel source.message_template_quality_update=YELLOW"],
    "template_status": ["channel source.message_template_status_update=REJECTED"],
    "text": ["inbound message wamid.text"],
    "unknown_list": ["conversation source.brand_new_things="],
    "unsupported": ["inbound message wamid.unsupported unsupported", "message source.error=131051"],
    "user_id_changed": ["contact source.user_changed_user_id=DE.10000000000000000043"],
    "user_id_update": ["contact source.user_id_update=DE.10000000000000000043"],
    "user_preferences": ["conversation source.user_preferences=stop"],
    "username": ["channel source.business_username_update=shop.example"],
    "username_alone": ["inbound message wamid.bsuid"],
    "vcard": ["inbound message wamid.vcard"],
    "video_forwarded": ["inbound message wamid.video forwarded"],
    "voice": ["inbound message wamid.voice"],
    "without_phone_number": ["inbound message wamid.bsuid"],
}


OURS = {"phone_number_id": NUMBER_ID, "display_phone_number": f"+{NUMBER}"}


def whatsapp(name: str) -> Rows:
    return sample("whatsapp", name)


def value(query: str = "", **lists: object) -> Rows:
    change = {"field": "messages", "value": {"metadata": OURS} | lists}
    body = {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": [change]}]}
    return normalized("whatsapp", json.dumps(body).encode(), **({"query": query} if query else {}))


def test_every_sample_is_expected_to_tell_something():
    assert sample_names("whatsapp") == sorted(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_event_tells(name):
    rows = whatsapp(name)
    assert told(rows) == EVENTS[name]
    assert rows.events.outcome == "normalized"


def test_message_names_its_channel_contact_and_conversation():
    rows = whatsapp("text")
    channel = ids.channel_id("whatsapp", NUMBER_ID)
    assert (rows.channels.channel_id, rows.channels.display_name) == (channel, NUMBER)
    assert rows.contacts.contact_id == ids.contact_id("whatsapp", "", CONTACT)
    assert (rows.contacts.display_name, rows.contacts.phone_number) == ("Kontakt 42", CONTACT)
    assert rows.conversations.conversation_id == ids.conversation_id(channel, CONTACT)
    assert rows.messages.message_id == ids.message_id("whatsapp", channel, "wamid.text")
    assert (rows.messages.sent_at_from, rows.messages.sent_at_raw) == ("item", "1795372198")
    assert rows.messages.pointer == "/entry/0/changes/0/value/messages/0"


def test_number_may_be_in_the_member_that_once_held_it():
    assert whatsapp("old_number_member").messages.channel_id == whatsapp("text").messages.channel_id


def test_same_person_on_two_numbers_is_one_contact_with_two_conversations():
    first, _, third = whatsapp("batch")["messages"]
    assert first.contact_id == third.contact_id
    assert first.conversation_id != third.conversation_id


def test_each_sender_of_a_batch_has_the_name_of_their_own():
    names = {row.source_contact_id: row.display_name for row in whatsapp("batch")["contacts"] if row.display_name}
    assert names == {CONTACT: "Kontakt 42", "4915550000044": "Kontakt 44"}


def test_echo_goes_to_the_contact_in_the_conversation_of_what_it_answers():
    inbound, echo = whatsapp("text"), whatsapp("echo")
    assert echo.messages.conversation_id == inbound.messages.conversation_id
    assert echo.messages.contact_id == inbound.messages.contact_id
    assert echo.messages.sender_id == NUMBER
    assert echo.contacts.alternative_ids == (f"user_id={BSUID}",)


def test_echo_that_has_its_ends_swapped_goes_to_the_contact():
    rows = value(message_echoes=[{"id": "wamid.1", "from": CONTACT, "to": NUMBER, "type": "text"}])
    assert told(rows) == ["outbound message wamid.1 echo"]
    assert rows.contacts.source_contact_id == CONTACT


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("reaction", "echo"),
        ("reaction_removed", "echo"),
        ("edit", "text"),
        ("edit_caption", "image"),
        ("revoke", "text"),
        ("echo_edit", "echo"),
        ("status_captured", "echo"),
        *((f"status_{state}", "echo") for state in ("sent", "delivered", "read", "played", "deleted")),
    ],
)
def test_fact_about_a_message_joins_it(fact, message):
    assert joins(whatsapp(fact), whatsapp(message))


def test_failed_status_and_its_errors_are_each_a_fact_with_its_own_content():
    facts = whatsapp("status_failed")["metadata"]
    assert len({fact.metadata_id for fact in facts}) == 3
    assert {fact.subject_id for fact in facts} == {whatsapp("echo").messages.message_id}
    assert json.loads(facts[1].content) == {"code": 131047, "title": "Re-engagement message"}
    assert facts[1].pointer == "/entry/0/changes/0/value/statuses/0/errors/0"


def test_states_of_one_message_are_different_facts():
    sent, delivered = whatsapp("batch")["metadata"]
    assert sent.subject_id == delivered.subject_id
    assert sent.metadata_id != delivered.metadata_id


def test_contact_without_phone_number_is_known_by_the_business_scoped_id():
    message, status = whatsapp("without_phone_number"), whatsapp("status_without_phone_number")
    assert message.contacts.source_contact_id == message.messages.sender_id == BSUID
    assert (message.contacts.display_name, message.contacts.username) == ("Kontakt 42", "kontakt.42")
    assert message.contacts.phone_number is None
    assert message.contacts.alternative_ids == ("parent_user_id=DE.ENT.10000000000000000043",)
    assert status.metadata.conversation_id == message.messages.conversation_id


def test_number_is_preferred_where_the_profile_tells_it():
    contacts = [{"wa_id": CONTACT, "user_id": BSUID, "profile": {"name": "Kontakt 42"}}]
    message = {"id": "wamid.1", "from_user_id": BSUID, "type": "text"}
    rows = value(contacts=contacts, messages=[message])
    assert rows.messages.conversation_id == whatsapp("text").messages.conversation_id
    assert rows.contacts.alternative_ids == (f"user_id={BSUID}",)


def test_profile_of_somebody_else_is_not_the_recipients():
    contacts = [{"wa_id": "4915550000099", "profile": {"name": "Kontakt 99"}}]
    status = {"id": "wamid.1", "status": "sent", "recipient_id": CONTACT}
    assert value(contacts=contacts, statuses=[status]).contacts.display_name is None


def test_bad_profile_fails_alone():
    message = {"id": "wamid.1", "from": CONTACT, "type": "text"}
    rows = value(contacts=[{"profile": 7}], messages=[message])
    assert rows.dead_letters.pointer == "/entry/0/changes/0/value/contacts/0"
    assert rows.messages.contact_id == whatsapp("text").messages.contact_id


def test_group_is_one_conversation_of_several_people():
    rows = whatsapp("group")
    group = ids.contact_id("whatsapp", "", GROUP)
    assert rows.messages.contact_id == ids.contact_id("whatsapp", "", CONTACT)
    assert rows.conversations.source_conversation_id == GROUP
    assert rows.conversations.contact_id == group
    status = whatsapp("status_in_group")
    assert status.metadata.conversation_id == rows.messages.conversation_id
    assert {row.source_contact_id for row in status["contacts"]} == {GROUP, CONTACT}
    assert whatsapp("group_created").metadata.subject_id == rows.messages.conversation_id


def test_rate_of_errors_of_a_flow_is_one_fact_of_the_account():
    errors = [{"error_type": "TIMEOUT", "error_rate": 12.5, "error_count": 3}, {"error_type": "PARSING"}]
    told_of_flow = {"event": "ENDPOINT_ERROR_RATE", "flow_id": "9007", "threshold": 10, "errors": errors}
    body = {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": [{"field": "flows"}]}]}
    body["entry"][0]["changes"][0]["value"] = told_of_flow
    rows = normalized("whatsapp", json.dumps(body).encode())
    assert told(rows) == ["channel source.flows=ENDPOINT_ERROR_RATE"]
    assert json.loads(rows.metadata.content)["value"] == told_of_flow


def test_status_in_a_group_is_of_the_participant_whose_number_is_withheld():
    contacts = [{"user_id": BSUID, "profile": {"username": "@kontakt.42"}}]
    status = {"id": "wamid.togroup", "status": "read", "recipient_id": GROUP, "recipient_type": "group"}
    participant = {"recipient_participant_user_id": BSUID, "recipient_participant_parent_user_id": "DE.ENT.9"}
    rows = value(contacts=contacts, statuses=[status | participant])
    assert rows.metadata.actor_id == BSUID
    assert rows.metadata.contact_id == ids.contact_id("whatsapp", "", BSUID)
    assert rows.metadata.conversation_id == whatsapp("group").messages.conversation_id
    assert {(row.kind, row.other_source_contact_id) for row in rows["aliases"]} == {
        ("parent_user_id", "DE.ENT.9"),
        ("username", "@kontakt.42"),
    }


@pytest.mark.parametrize("number", [CONTACT, "4915550000043"])
def test_new_user_id_is_what_its_system_message_tells_though_the_number_is_told_too(number):
    system = {"type": "user_changed_user_id", "wa_id": number, "user_id": NEW_BSUID}
    told_of = {"id": "wamid.1", "from": CONTACT, "from_user_id": BSUID, "type": "system", "system": system}
    assert told(value(messages=[told_of])) == [f"contact source.user_changed_user_id={NEW_BSUID}"]


@pytest.mark.parametrize(
    ("shown", "written"), [("+52 55 1234 5678", "5215512345678"), ("+55 31 98765-4321", "553187654321")]
)
def test_our_own_number_is_known_in_each_of_its_spellings(shown, written):
    metadata = {"display_phone_number": shown, "phone_number_id": NUMBER_ID}
    said = {"id": "wamid.1", "from": written, "type": "text", "text": {"body": "?"}}
    called = {"id": "wacid.1", "from": written, "to": CONTACT, "event": "connect"}
    history = [{"threads": [{"id": CONTACT, "messages": [said]}]}]
    changes = [
        {"field": "history", "value": {"metadata": metadata, "history": history}},
        {"field": "calls", "value": {"metadata": metadata, "calls": [called]}},
    ]
    body = {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": changes}]}
    rows = normalized("whatsapp", json.dumps(body).encode())
    assert (rows.messages.direction, rows.messages.sender_id) == ("outbound", written)
    assert rows.metadata.conversation_id == rows.messages.conversation_id
    assert {row.source_contact_id for row in rows["contacts"]} == {CONTACT}


def test_history_falls_into_the_conversation_that_goes_on():
    now = whatsapp("text").messages
    past = whatsapp("history")["messages"] + whatsapp("history_media")["messages"]
    assert {message.conversation_id for message in past} == {now.conversation_id}


def test_placeholder_of_a_media_message_is_that_message():
    placeholder, media = whatsapp("history")["messages"][2], whatsapp("history_media")["messages"][0]
    assert placeholder.message_id == media.message_id
    assert placeholder.conversation_id == media.conversation_id


def thread(*messages: object, **known: object) -> Rows:
    chunk = {"threads": [known | {"messages": messages}]}
    change = {"field": "history", "value": {"metadata": OURS, "history": [chunk]}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "changes": [change]}]}
    return normalized("whatsapp", json.dumps(body).encode())


@pytest.mark.parametrize(
    "known",
    [
        {"id": BSUID},
        {"id": BSUID, "context": {"user_id": BSUID}},
        {"context": {"user_id": BSUID}},
        {"context": {"user_id": BSUID, "wa_id": CONTACT}},
        {"id": CONTACT, "context": {"user_id": BSUID}},
        {"id": BSUID, "context": {"wa_id": CONTACT}},
        {},
    ],
)
@pytest.mark.parametrize(
    ("ends", "direction"),
    [
        ({"from_user_id": BSUID}, "inbound"),
        ({"from_user_id": BSUID, "to": NUMBER}, "inbound"),
        ({"from": NUMBER, "to_user_id": BSUID}, "outbound"),
        ({"from": NUMBER}, "outbound"),
        ({"to_user_id": BSUID}, "outbound"),
    ],
)
def test_direction_and_contact_of_history_are_told_by_any_id_of_either_end(known, ends, direction):
    message = {"id": "wamid.1", "type": "text"}
    rows = thread(message | {"from_user_id": BSUID, "id": "wamid.0"}, message | ends, **known)
    asked, said = rows["messages"]
    assert (asked.direction, said.direction) == ("inbound", direction)
    assert asked.conversation_id == said.conversation_id
    contact = CONTACT if CONTACT in json.dumps(known) else BSUID
    assert {row.source_contact_id for row in rows["contacts"]} == {contact}
    if contact == CONTACT and "user_id" in str(known):
        assert f"user_id={BSUID}" in rows["contacts"][0].alternative_ids


def test_history_without_our_number_knows_the_thread_s_person():
    body = json.loads((SAMPLES / "whatsapp" / "history.json").read_text())
    del body["entry"][0]["changes"][0]["value"]["metadata"]["display_phone_number"]
    rows = normalized("whatsapp", json.dumps(body).encode())
    assert [row.direction for row in rows["messages"]] == ["outbound", "inbound", "inbound"]


def test_thread_tells_the_username_and_a_group_in_it_stays_a_group():
    context = {"user_id": BSUID, "username": "kontakt.42"}
    assert thread({"id": "wamid.1", "type": "text"}, context=context).contacts.username == "kontakt.42"
    rows = thread({"id": "wamid.1", "from": CONTACT, "type": "text", "group_id": GROUP}, id=GROUP)
    assert (rows.messages.direction, rows.messages.conversation_id) == (
        "inbound",
        whatsapp("group").messages.conversation_id,
    )
    assert rows.messages.contact_id == ids.contact_id("whatsapp", "", CONTACT)


def test_sender_who_is_told_in_the_contacts_alone_is_the_sender():
    contacts = [{"user_id": BSUID, "profile": {"name": "Kontakt 42"}}]
    rows = value(contacts=contacts, messages=[{"id": "wamid.1", "type": "contacts"}])
    assert rows.messages.sender_id == rows.contacts.source_contact_id == BSUID


@pytest.mark.parametrize("message", [None, {"type": "text"}, {"type": "image", "image": {"id": "7"}}, 7])
def test_edit_without_a_new_text_is_no_edit(message):
    edit = {"original_message_id": "wamid.text", "message": message}
    rows = value(messages=[{"from": CONTACT, "id": "wamid.1", "type": "edit", "edit": edit}])
    kind = message.get("type", "") if isinstance(message, dict) else ""
    assert told(rows) == [f"message source.edit={kind}"]
    assert joins(rows, whatsapp("text"))


def test_status_without_a_state_is_no_state():
    status = {"id": "wamid.out", "recipient_id": CONTACT}
    assert told(value(statuses=[status])) == ["message source.statuses="]
    assert told(value(statuses=[status | {"errors": [{"code": 7}]}])) == ["message source.error=7"]


def test_new_number_is_noted_with_the_contact():
    assert whatsapp("number_changed").contacts.alternative_ids == ("new_wa_id=4915550000043",)


def test_address_book_tells_a_name():
    rows = whatsapp("address_book")
    assert (rows.contacts.source_contact_id, rows.contacts.display_name) == (CONTACT, "Kontakt 42")
    assert rows.metadata.occurred_at_from == "item"


@pytest.mark.parametrize("ends", [(CONTACT, NUMBER), (NUMBER, CONTACT)])
def test_contact_of_a_call_is_whoever_is_not_the_business(ends):
    call = {"id": "wacid.1", "from": ends[0], "to": ends[1], "event": "connect"}
    assert value(calls=[call]).contacts.source_contact_id == CONTACT


def test_account_is_the_channel_of_what_names_no_number():
    rows = whatsapp("template_status")
    assert rows.metadata.subject_id == rows.channels.channel_id
    assert rows.channels.source_channel_id == ACCOUNT
    assert rows.metadata.occurred_at_from == "envelope"


def test_bare_shape_takes_the_channel_of_its_url():
    data = (SAMPLES / "whatsapp" / "on_premises.json").read_bytes()
    rows = normalized("whatsapp", data, query="x=1&channel=4915550000001")
    assert {row.source_channel_id for row in rows["channels"]} == {NUMBER}
    assert {row.source_channel_id for row in whatsapp("on_premises")["channels"]} == {"unknown"}


def test_entry_without_an_id_takes_the_channel_of_its_url():
    data = b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"flows","value":{}}]}]}'
    assert normalized("whatsapp", data, query="channel=shop").channels.source_channel_id == "shop"
    assert normalized("whatsapp", data).channels.source_channel_id == "unknown"


def test_account_is_preferred_to_the_channel_of_the_url():
    data = (SAMPLES / "whatsapp" / "template_status.json").read_bytes()
    assert normalized("whatsapp", data, query="channel=shop").channels.source_channel_id == ACCOUNT


def test_bare_shape_names_the_recipient_of_a_status():
    statuses = whatsapp("on_premises")["metadata"]
    assert {fact.conversation_id for fact in statuses} == {whatsapp("on_premises").messages.conversation_id}


@pytest.mark.parametrize(("kind", "word"), [("reaction", ""), ("edit", ""), ("revoke", "true")])
def test_event_that_names_no_message_is_a_fact_about_the_conversation(kind, word):
    rows = value(messages=[{"from": CONTACT, "id": "wamid.1", "type": kind}])
    assert told(rows) == [f"conversation source.{kind}={word}"]


def test_message_of_nobody_is_kept_as_a_fact():
    assert told(value(messages=[{"id": "wamid.1", "type": "text"}])) == ["message source.text="]


def test_bad_item_fails_alone_and_is_named():
    good = {"id": "wamid.1", "from": CONTACT, "type": "text"}
    rows = value(messages=[{"from": []}, 7, good])
    assert [dead.pointer[-10:] for dead in rows["dead_letters"]] == ["messages/0", "messages/1"]
    assert rows.messages.source_message_id == "wamid.1"


@pytest.mark.parametrize(
    "body",
    [
        '{"object":"whatsapp_business_account","entry":[]}',
        '{"object":"page","entry":[{"id":"1","messaging":[]}]}',
        '{"messages":[]}',
        "{}",
    ],
)
def test_nothing_to_keep_is_ignored_with_a_reason(body):
    rows = normalized("whatsapp", body.encode())
    assert rows.events.outcome == "ignored"
    assert rows.events.reason


NEW_BSUID = "DE.10000000000000000099"


def system(**change: object) -> Rows:
    ends = {name: change.pop(name) for name in ("from", "from_user_id") if name in change}
    return value(messages=[{"id": "wamid.s", "type": "system", "system": change} | ends])


@pytest.mark.parametrize(
    ("ends", "contact"),
    [({"from": CONTACT}, CONTACT), ({"from_user_id": BSUID}, BSUID), ({}, NEW_BSUID)],
)
def test_new_user_id_is_a_fact_about_the_person(ends, contact):
    rows = system(type="user_changed_user_id", user_id=NEW_BSUID, parent_user_id="DE.ENT.1", **ends)
    assert told(rows) == [f"contact source.user_changed_user_id={NEW_BSUID}"]
    assert rows.contacts.source_contact_id == contact
    assert rows.metadata.subject_id == rows.contacts.contact_id
    assert rows.metadata.conversation_id == rows.conversations.conversation_id
    assert rows.contacts.alternative_ids == (f"new_user_id={NEW_BSUID}", "new_parent_user_id=DE.ENT.1")


def test_new_number_of_nobody_else_is_the_person():
    rows = system(type="user_changed_number", wa_id=CONTACT)
    assert told(rows) == [f"contact source.user_changed_number={CONTACT}"]
    assert rows.contacts.source_contact_id == CONTACT


@pytest.mark.parametrize("phone", [{"wa_id": CONTACT}, {}])
def test_update_of_a_user_id_keeps_both(phone):
    change = {"user_id": {"previous": BSUID, "current": NEW_BSUID}, "detail": "changed"}
    rows = value(user_id_update=[phone | change])
    assert told(rows) == [f"contact source.user_id_update={NEW_BSUID}"]
    known = {rows.contacts.source_contact_id, *(each.partition("=")[2] for each in rows.contacts.alternative_ids)}
    assert known == {BSUID, NEW_BSUID, *phone.values()}


def test_automatic_event_is_about_its_message():
    rows = value(automatic_events=[{"id": "wamid.text", "event_name": "Purchase", "timestamp": 1795372198}])
    assert told(rows) == ["message source.automatic_events=Purchase"]
    assert rows.metadata.subject_id == whatsapp("text").messages.message_id


@pytest.mark.parametrize(
    ("field", "change", "expected"),
    [
        ("payment_configuration_update", {"configuration_name": "till", "status": "Active"}, "Active"),
        ("account_alerts", {"entity_id": "1", "alert_info": {"alert_type": "OBA_APPROVED"}}, "OBA_APPROVED"),
        ("account_alerts", {"alert_type": "OBA_REJECTED"}, "OBA_REJECTED"),
        ("business_username_update", {"username": "shop", "status": "approved"}, "shop"),
        ("account_settings_update", {"type": "phone_number_settings"}, "phone_number_settings"),
        ("business_capability_update", {"max_daily_conversation_per_phone": 1000}, "1000"),
        ("account_review_update", {"event": "", "decision": "APPROVED"}, "APPROVED"),
    ],
)
def test_change_of_the_account_tells_its_natural_scalar(field, change, expected):
    entry = {"id": ACCOUNT, "changes": [{"field": field, "value": change}]}
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    rows = normalized("whatsapp", json.dumps(body).encode())
    assert told(rows) == [f"channel source.{field}={expected}"]


def test_dashboard_s_test_entry_is_flagged():
    body = json.loads((SAMPLES / "whatsapp" / "text.json").read_text())
    body["entry"][0]["id"] = "0"
    assert normalized("whatsapp", json.dumps(body).encode()).messages.flags == ("test",)


def test_participants_of_a_group_are_contacts_told_in_its_conversation():
    people = {
        "added_participants": [
            {"wa_id": CONTACT, "user_id": BSUID, "username": "kontakt.42"},
            {"user_id": NEW_BSUID},
        ],
        "removed_participants": [{"input": "4915550000077"}, {"wa_id": NUMBER}, {}],
        "failed_participants": 7,
    }
    rows = value(groups=[{"group_id": GROUP, "type": "group_participants_add"} | people])
    assert told(rows) == [
        "conversation source.groups=group_participants_add",
        "contact source.group_participant=added",
        "contact source.group_participant=added",
        "contact source.group_participant=removed",
    ]
    group = whatsapp("group").messages.conversation_id
    assert {row.conversation_id for row in rows["metadata"]} == {group}
    named = [row.source_contact_id for row in rows["contacts"] if row.source_contact_id != GROUP]
    assert named == [CONTACT, NEW_BSUID, "4915550000077"]
    assert rows["contacts"][1].username == "kontakt.42"


def test_bad_participant_fails_alone():
    rows = value(groups=[{"group_id": GROUP, "type": "t", "added_participants": [7, {"wa_id": CONTACT}]}])
    assert rows.dead_letters.pointer.endswith("/groups/0/added_participants/0")
    assert told(rows)[1:] == ["contact source.group_participant=added"]
