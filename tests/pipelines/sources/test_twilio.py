import json
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalized import FIXTURES, RECEIVED, SAMPLES, Rows, normalized, raw_event

from pipelines.core import ids
from pipelines.sources.normalization import normalize
from pipelines.sources.twilio import KNOWN_FIELDS

NUMBER, CONTACT = "+4915550000001", "+4915550000042"


def sample(name: str) -> Rows:
    return normalized("twilio", (SAMPLES / "twilio" / f"{name}.form").read_bytes())


def form(**fields: str) -> Rows:
    return normalized("twilio", urlencode(fields).encode())


def test_sms_becomes_an_inbound_message_with_the_form_as_content():
    rows = sample("sms_text")
    body = (SAMPLES / "twilio" / "sms_text.form").read_text()

    assert rows.messages.source == "twilio.sms"
    assert rows.messages.direction == "inbound"
    assert rows.messages.kind == "message"
    assert rows.messages.source_message_id == "SM000000000000000000000000000000a1"
    assert rows.messages.sender_id == CONTACT
    assert rows.messages.content == body
    assert rows.messages.content_type == "application/x-www-form-urlencoded"
    assert rows.messages.pointer == ""
    assert rows.messages.flags == ()
    assert rows.channels.source_channel_id == NUMBER
    assert (rows.contacts.source_contact_id, rows.contacts.phone_number) == (CONTACT, CONTACT)
    assert rows.conversations.source_conversation_id == CONTACT
    assert rows.events.outcome == "normalized"
    assert rows["metadata"] == []


def test_time_is_the_time_of_receipt_because_twilio_tells_none():
    message = sample("sms_text").messages
    assert (message.sent_at, message.sent_at_from, message.sent_at_raw) == (RECEIVED, "received", None)


def test_delivery_report_date_is_not_taken_for_a_time():
    assert sample("sms_status_delivered").metadata.occurred_at_from == "received"


def test_media_message_without_text_is_a_message():
    assert sample("sms_media").messages.source_message_id == "MM000000000000000000000000000000a2"


def test_stop_word_is_also_a_fact_about_the_conversation():
    rows = sample("sms_stop")
    assert rows.facts() == {"source.opt_out": "STOP"}
    assert rows.metadata.subject_id == rows.conversations.conversation_id == rows.messages.conversation_id
    assert rows.channels.source_channel_id == "85777"


def test_whatsapp_message_carries_the_contacts_profile():
    rows = sample("whatsapp_text")
    assert rows.messages.source == "twilio.whatsapp"
    assert rows.contacts.source_contact_id == f"whatsapp:{CONTACT}"
    assert rows.contacts.display_name == "Zoë ✨"
    assert rows.contacts.phone_number == CONTACT
    assert rows.contacts.alternative_ids == ("wa_id=4915550000042",)
    assert rows.channels.source_channel_id == f"whatsapp:{NUMBER}"


def test_button_answer_is_a_quick_reply():
    assert sample("whatsapp_button").messages.kind == "quick_reply"


def test_forwarded_location_is_flagged():
    assert sample("whatsapp_location_forwarded").messages.flags == ("forwarded", "frequently_forwarded")


def test_advertisement_is_a_referral_of_the_conversation():
    rows = sample("whatsapp_referral")
    assert rows.facts() == {"source.referral": "120210000000000001"}
    assert rows.metadata.subject_type == "conversation"
    assert rows.contacts.alternative_ids == ("external_user_id=DE.8f2a91",)


def test_contact_without_a_number_is_known_by_its_business_scoped_id():
    rows = sample("whatsapp_without_number")
    assert rows.contacts.source_contact_id == "whatsapp:DE.8f2a91"
    assert rows.contacts.phone_number is None
    assert rows.messages.sender_id == "whatsapp:DE.8f2a91"


def test_contact_without_from_is_known_by_wa_id_like_with_it():
    with_from = sample("whatsapp_text")
    without = form(WaId="4915550000042", To=f"whatsapp:{NUMBER}", Body="x", MessageSid="SM1")
    assert without.contacts.contact_id == with_from.contacts.contact_id
    assert without.messages.conversation_id == with_from.messages.conversation_id


@pytest.mark.parametrize(("name", "source"), [("messenger_text", "messenger"), ("rcs_text", "rcs")])
def test_further_channels_are_known_by_their_prefix(name, source):
    assert sample(name).messages.source == f"twilio.{source}"


def test_page_scoped_contacts_of_two_pages_stay_apart():
    first = form(From="messenger:2", To="messenger:1", Body="x")
    second = form(From="messenger:2", To="messenger:9", Body="x")
    assert first.contacts.contact_id != second.contacts.contact_id


def test_phone_number_is_one_contact_on_every_channel_of_ours():
    first = form(From=CONTACT, To=NUMBER, Body="x")
    second = form(From=CONTACT, To="+4915550000002", Body="x")
    assert first.contacts.contact_id == second.contacts.contact_id
    assert first.messages.conversation_id != second.messages.conversation_id


def test_status_is_a_fact_about_the_outbound_message():
    rows = sample("sms_status_delivered")
    sid = "SM000000000000000000000000000000b1"
    assert rows.facts() == {"source.delivery_state": "delivered"}
    assert rows.metadata.subject_type == "message"
    assert rows.metadata.subject_id == ids.message_id("twilio.sms", "", sid)
    assert rows.metadata.conversation_id == rows.conversations.conversation_id
    assert rows["messages"] == []


def test_all_statuses_of_a_message_have_one_subject_and_different_ids():
    accepted, delivered = sample("sms_status_accepted").metadata, sample("sms_status_delivered").metadata
    assert accepted.subject_id == delivered.subject_id
    assert accepted.metadata_id != delivered.metadata_id


def test_status_before_a_number_is_chosen_opens_no_conversation():
    rows = sample("sms_status_accepted")
    assert rows["conversations"] == rows["contacts"] == []
    assert rows.channels.source_channel_id == "MG00000000000000000000000000000001"
    assert rows.metadata.conversation_id is None


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        ("sms_status_delivered", "sms_text"),
        ("whatsapp_status_read", "whatsapp_text"),
        ("whatsapp_status_without_to", "whatsapp_text"),
        ("rcs_status_plain_to", "rcs_text"),
    ],
)
def test_reply_falls_into_the_conversation_of_what_it_answers(status, reply):
    sent, answered = sample(status), sample(reply)
    assert sent.conversations.conversation_id == answered.messages.conversation_id
    assert sent.contacts.contact_id == answered.messages.contact_id
    assert sent.channels.channel_id == answered.messages.channel_id


def test_failure_tells_state_and_error():
    rows = sample("whatsapp_status_without_to")
    assert rows.facts() == {"source.delivery_state": "undelivered", "source.error": "63016"}


def test_failure_without_a_recipient_still_joins_its_message():
    rows = sample("sms_status_failed")
    assert {row.subject_id for row in rows["metadata"]} == {
        ids.message_id("twilio.sms", "", "SM000000000000000000000000000000b2")
    }


def test_legacy_status_without_message_status_is_no_message():
    rows = form(SmsSid="SM1", SmsStatus="sent", From=NUMBER, To=CONTACT)
    assert rows.facts() == {"source.delivery_state": "sent"}
    assert rows["messages"] == []


def test_status_without_any_message_id_is_about_the_conversation():
    rows = form(MessageStatus="sent", From=NUMBER, To=CONTACT)
    assert rows.metadata.subject_type == "conversation"


def test_error_code_zero_is_no_error():
    assert form(MessageSid="SM1", MessageStatus="sent", ErrorCode="0", From=NUMBER).facts() == {
        "source.delivery_state": "sent"
    }


def test_event_of_another_kind_is_a_fact_about_the_channel():
    rows = sample("conversations_event")
    assert rows.facts() == {"source.on_participant_added": "CH00000000000000000000000000000001"}
    assert rows.metadata.subject_type == "channel"


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("onMessageAdded", "source.on_message_added"),
        ("onDeliveryUpdated", "source.on_delivery_updated"),
        ("onMessageSent", "source.on_message_sent"),
    ],
)
def test_webhook_of_conversations_with_fields_of_a_message_is_a_fact_about_the_channel(kind, key):
    rows = form(
        EventType=kind, MessageSid="IM7", Body="hi", From="kim", To="CH7", AccountSid="AC7", SmsStatus="sent"
    )
    assert rows.facts() == {key: "IM7"}
    assert rows.metadata.subject_type == "channel"
    assert rows.channels.source_channel_id == "AC7"
    assert rows["messages"] == rows["contacts"] == rows["dead_letters"] == []


@pytest.mark.parametrize("field", ["ButtonPayload", "ButtonText", "ListId", "ListTitle"])
def test_every_choice_is_a_quick_reply(field):
    told = form(From=f"whatsapp:{CONTACT}", To=f"whatsapp:{NUMBER}", Body="Later", **{field: "Later"})
    assert told.messages.kind == "quick_reply"


def test_error_of_a_url_of_ours_is_about_the_channel_and_any_other_about_the_message():
    ours = form(
        From=CONTACT, To=NUMBER, Body="x", MessageSid="SM1", ErrorCode="11205", ErrorUrl="https://a.example"
    )
    assert (ours.metadata.subject_type, ours.metadata.conversation_id) == ("channel", None)
    assert ours.metadata.subject_id == ours.messages.channel_id
    other = form(From=CONTACT, To=NUMBER, Body="x", MessageSid="SM1", ErrorCode="30008")
    assert other.metadata.subject_id == other.messages.message_id


@pytest.mark.parametrize("masked", ["+4915550XXXXXX", "+49155500000**", "whatsapp:+49xxxx00042", "4915550XXXX"])
def test_masked_address_is_nobody(masked):
    sent = form(MessageSid="SM1", MessageStatus="read", From=f"whatsapp:{NUMBER}", ChannelToAddress=masked)
    assert sent["contacts"] == sent["conversations"] == []
    assert sent.metadata.subject_id == ids.message_id("twilio.whatsapp", "", "SM1")
    told = form(
        MessageSid="SM1", From=masked, WaId=masked, ExternalUserId="DE.1", To=f"whatsapp:{NUMBER}", Body="x"
    )
    assert told.contacts.source_contact_id == "whatsapp:DE.1"
    assert told.contacts.alternative_ids == ("external_user_id=DE.1",)
    assert "masked" in form(From=masked, To=NUMBER, Body="x").dead_letters.error_message


def test_masked_recipient_gives_way_to_one_that_is_told():
    sent = form(MessageSid="S", MessageStatus="sent", From=NUMBER, To="+49XXXX", ChannelToAddress=CONTACT)
    assert sent.contacts.source_contact_id == CONTACT


def stream_event(kind: str, **data: object) -> dict[str, object]:
    common = {"accountSid": "AC7", "from": CONTACT, "to": NUMBER, "timestamp": "2026-11-22T18:29:00.5Z"}
    return {"type": f"com.twilio.{kind}", "time": "2026-11-22T18:29:01Z", "data": common | data}


def streamed(*events: object, **attributes: str) -> Rows:
    return normalized("twilio", json.dumps(list(events)).encode(), **attributes)


@pytest.mark.parametrize(
    ("kind", "key", "actor"), [("click", "link_click", CONTACT), ("preview", "link_preview", None)]
)
def test_click_on_a_shortened_link_is_a_fact_about_the_message(kind, key, actor):
    opened = {"event_type": kind, "sms_sid": "SM1", "link": "https://shop.example/?a=1", "account_sid": "AC7"}
    ends = {"from": NUMBER, "to": CONTACT, "messaging_service_sid": "MG7"}
    rows = form(**opened, **ends, click_time="2026-11-22T18:29:00Z", user_agent="x")
    status = form(MessageSid="SM1", MessageStatus="sent", From=NUMBER, To=CONTACT).metadata
    fact = rows.metadata
    assert rows.facts() == {f"source.{key}": "https://shop.example/?a=1"}
    assert (fact.subject_id, fact.conversation_id) == (status.subject_id, status.conversation_id)
    assert (fact.actor_id, fact.occurred_at) == (actor, RECEIVED - 60_250_000)
    assert rows["messages"] == rows["dead_letters"] == []


def test_click_by_event_streams_is_that_of_the_webhook():
    clicked = {"message_sid": "SM1", "link": "https://shop.example/", "click_time": "2026-11-22T18:29:00Z"}
    clicked |= {"from": NUMBER, "to": CONTACT}
    rows = streamed(stream_event("daptbt.link-shortening.link-clicked", **clicked))
    fact = rows.metadata
    assert rows.facts() == {"source.link_click": "https://shop.example/"}
    assert (fact.subject_id, fact.actor_id) == (ids.message_id("twilio.sms", "", "SM1"), CONTACT)
    assert (fact.occurred_at, fact.occurred_at_from) == (RECEIVED - 60_250_000, "item")


@pytest.mark.parametrize(
    ("direction", "ends", "channel"),
    [
        ("inbound", (CONTACT, NUMBER), NUMBER),
        ("outbound-api", (NUMBER, CONTACT), NUMBER),
        ("outbound-dial", (CONTACT, "+4915550000099"), "AC7"),
    ],
)
def test_whom_we_call_is_no_channel_of_ours(direction, ends, channel):
    call = {"CallSid": "CA1", "CallStatus": "completed", "Direction": direction, "AccountSid": "AC7"}
    rows = form(**call, From=ends[0], To=ends[1])
    assert rows.channels.source_channel_id == channel
    assert rows.facts() == {"source.event": "completed"}


def test_status_of_event_streams_whose_state_is_empty_has_that_of_its_type():
    rows = streamed(stream_event("messaging.message.sent", messageSid="SM1", messageStatus=None))
    assert rows.facts() == {"source.delivery_state": "sent"}


INBOUND = "messaging.inbound-message.received"


def test_message_of_event_streams_is_the_message_of_the_webhook():
    event = stream_event(INBOUND, messageSid="SM000000000000000000000000000000a1", body="hi", numMedia=0)
    rows = streamed(event)
    told, same = rows.messages, sample("sms_text").messages
    assert (told.message_id, told.conversation_id, told.contact_id) == (
        same.message_id,
        same.conversation_id,
        same.contact_id,
    )
    assert (told.direction, told.pointer, told.content_type) == ("inbound", "/0", "application/json")
    assert (told.content, told.sent_at_from) == (json.dumps(event), "item")
    assert told.sent_at == RECEIVED - 59_750_000


def test_event_alone_in_its_body_is_read_like_one_of_many():
    event = stream_event(INBOUND, messageSid="SM1", **{"from": f"whatsapp:{CONTACT}", "to": f"whatsapp:{NUMBER}"})
    alone = normalized("twilio", json.dumps(event).encode(), content_type="application/cloudevents+json")
    assert (alone.messages.source, alone.messages.pointer) == ("twilio.whatsapp", "")
    assert alone.messages.message_id == streamed(event).messages.message_id


def test_status_of_event_streams_is_a_fact_about_the_message():
    ours = {"from": NUMBER, "to": CONTACT, "messageSid": "SM1"}
    rows = streamed(stream_event("messaging.message.failed", messageStatus="FAILED", errorCode=30003, **ours))
    assert rows.facts() == {"source.delivery_state": "failed", "source.error": "30003"}
    assert {row.subject_id for row in rows["metadata"]} == {ids.message_id("twilio.sms", "", "SM1")}
    assert rows.contacts.source_contact_id == CONTACT
    assert streamed(stream_event("messaging.message.read", **ours)).facts() == {"source.delivery_state": "read"}


def test_other_event_of_event_streams_is_a_fact_about_the_account():
    rows = streamed(
        {"type": "com.twilio.error-logs.error.logged", "data": {"account_sid": "AC7", "error_code": 11200}}
    )
    assert rows.facts() == {"source.error_logs_error_logged": "11200"}
    assert (rows.metadata.subject_type, rows.channels.source_channel_id) == ("channel", "AC7")


def test_bad_event_fails_alone():
    rows = streamed(
        7, {"type": 1}, stream_event(INBOUND, messageSid="SM1"), stream_event(INBOUND, to="", accountSid="")
    )
    assert rows.messages.source_message_id == "SM1"
    assert [row.pointer for row in rows["dead_letters"]] == ["/0", "/1", "/3"]


@pytest.mark.parametrize("content_type", ["", "application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("before", [b"", b" \n", b"\xef\xbb\xbf"])
def test_json_body_is_never_read_as_a_form(before, content_type):
    body = before + b'{"data":{"link":"https://a.example/?a=1&From=%2B1555&To=%2B1666&Body=hi"}}'
    rows = normalized("twilio", body, content_type=content_type)
    assert (rows.events.outcome, rows.events.reason) == ("ignored", "no event of Twilio's")


def test_form_that_says_to_be_json_is_kept_as_a_dead_letter():
    body = b"From=%2B1555&To=%2B1666&Body=hi"
    assert normalized("twilio", body, content_type="application/json").dead_letters.data == body


def test_bytes_of_utf8_that_a_form_does_not_escape_are_read():
    body = "From=%2B1555&To=%2B1666&Body=ça 😀&ProfileName=Zoë".encode()
    rows = normalized("twilio", body, content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert (rows.contacts.display_name, rows.messages.content) == ("Zoë", body.decode())


def test_get_request_has_the_exact_query_as_content():
    query = "From=%2b4915550000042&To=%2B4915550000001&Body=a%20b~%7E&MessageSid=SM9&x="
    rows = normalized("twilio", b"", query=query)
    assert rows.messages.content == query
    assert rows.messages.flags == ("query",)
    assert rows.conversations.conversation_id == sample("sms_text").messages.conversation_id


def test_query_of_a_post_is_not_read():
    rows = normalized("twilio", b"From=%2B1555&To=%2B1666&Body=x", query="From=%2B1777")
    assert rows.contacts.phone_number == "+1555"


@pytest.mark.parametrize(
    ("fields", "sid"),
    [
        ({"SmsSid": "SM2"}, "SM2"),
        ({"SmsMessageSid": "SM3", "SmsSid": "SM2"}, "SM3"),
        ({"MessageSid": "SM4", "SmsMessageSid": "SM3", "SmsSid": "SM2"}, "SM4"),
    ],
)
def test_message_sid_is_preferred_and_any_sid_serves(fields, sid):
    assert form(From=CONTACT, To=NUMBER, Body="", **fields).messages.source_message_id == sid


def test_message_without_a_sid_is_known_by_its_bytes():
    first, again = (form(From=CONTACT, To=NUMBER, Body="x") for _ in range(2))
    other = form(From=CONTACT, To=NUMBER, Body="y")
    assert first.messages.message_id == again.messages.message_id != other.messages.message_id


def test_repeated_key_is_flagged_and_its_first_value_counts():
    rows = normalized("twilio", b"From=%2B1555&From=%2B1999&To=%2B1666&Body=a=b&Body=c")
    assert rows.contacts.phone_number == "+1555"
    assert rows.messages.flags == ("duplicate_key",)


def test_escapes_that_are_not_utf8_are_kept_in_the_content_and_replaced_in_names():
    body = b"From=%2B1555&To=%2B1666&Body=%FF%00&ProfileName=a%FF%00%ED%A0%BDb"
    rows = normalized("twilio", body)
    assert rows.messages.content.encode() == body
    assert rows.contacts.display_name == "a\ufffd\ufffd\ufffd\ufffdb"


def test_bytes_that_are_not_utf8_are_a_dead_letter_with_the_bytes():
    body = b"From=%2B1555&To=%2B1666&Body=\xff"
    rows = normalized("twilio", body)
    assert (rows.dead_letters.data, rows.dead_letters.stage) == (body, "item")
    assert rows.events.outcome == "failed"


def test_message_without_a_sender_is_a_dead_letter():
    rows = form(To=NUMBER, Body="x", MessageSid="SM1")
    assert "without From" in rows.dead_letters.error_message
    assert rows["channels"] == []


@pytest.mark.parametrize("body", [b"", b"foo=bar", b"&&&==="])
def test_request_without_twilio_parameters_is_ignored_with_a_reason(body):
    rows = normalized("twilio", body)
    assert (rows.events.outcome, rows.events.reason) == ("ignored", "no parameters of a Twilio message")


def test_no_channel_at_all_is_a_dead_letter():
    assert "tells the channel" in form(From=CONTACT, Body="x").dead_letters.error_message


@pytest.mark.skipif(not FIXTURES.exists(), reason="needs the shared fixtures beside the checkout")
@pytest.mark.parametrize("folder", ["twilio_sms", "twilio_whatsapp"])
def test_every_fixture_normalizes(folder):
    for path in sorted((FIXTURES / folder).iterdir()):
        rows = normalized("twilio", path.read_bytes())
        assert rows.events.outcome == "normalized", path.name
        assert rows["dead_letters"] == []
        for row in rows["messages"] + rows["metadata"]:
            assert row.content == path.read_text()
            assert row.source == folder.replace("_", ".")


FIELDS = st.sampled_from([*KNOWN_FIELDS, "MessageStatus", "SmsStatus", "ErrorCode", "EventType", "WaId"])
VALUES = st.one_of(
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=20),
    st.sampled_from(
        [b"%2B1555", b"whatsapp%3A%2B1555", b"rcs:x", b"%FF", b"%00", b"%", b"\xed\xa0\xbd", b"received"]
    ),
)
FORMS = st.lists(st.tuples(FIELDS, VALUES)).map(
    lambda pairs: b"&".join(name.encode() + b"=" + value for name, value in pairs)
)


EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([f"com.twilio.{INBOUND}", "com.twilio.messaging.message.sent", "x", 1]),
        "time": st.none() | st.text(max_size=5),
        "data": st.dictionaries(
            st.sampled_from(["from", "to", "accountSid", "messageSid", "errorCode", "body", ""]),
            st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none()),
        ),
    },
)


@settings(deadline=None)
@given(st.lists(EVENTS | st.none() | st.integers()))
def test_good_event_survives_whatever_comes_with_it(events):
    rows = streamed(*events, stream_event(INBOUND, messageSid="good"))
    assert "good" in {row.source_message_id for row in rows["messages"]}


@settings(deadline=None)
@given(FORMS | st.binary())
def test_no_input_escapes_and_every_content_is_the_body(body):
    event = raw_event("twilio", body)
    rows = normalize(event)
    assert rows == normalize(event)
    assert rows[0].outcome in {"normalized", "ignored", "failed"}
    for row in rows:
        content = getattr(row, "content", None)
        assert content is None or content.encode() == body
        str(row).encode()


def test_requests_by_get_are_told_apart_by_their_queries():
    first, second = (normalized("twilio", b"", query=f"From=%2B1555&To=%2B1666&MessageSid=SM{n}") for n in (1, 2))
    again = normalized("twilio", b"", query="From=%2B1555&To=%2B1666&MessageSid=SM1")
    assert first.events.body_sha256 == again.events.body_sha256 != second.events.body_sha256


def test_callback_that_tells_its_state_by_the_events_type_alone_is_no_message():
    rows = form(
        MessageSid="SM1",
        EventType="READ",
        ChannelPrefix="whatsapp",
        From=f"whatsapp:{NUMBER}",
        To=f"whatsapp:{CONTACT}",
    )
    assert rows["messages"] == []
    assert rows.facts() == {"source.delivery_state": "read"}
