"""Ids that one payload carries together become aliases, in every source that has such, and nobody is merged."""

import json
from urllib.parse import urlencode

import pytest
from normalized import normalized

from pipelines.core import ids
from pipelines.sources import PARSERS
from pipelines.sources.custom import OwnJson

NUMBER, PHONE_NUMBER_ID = "15550104400", "770000000000023"


def whatsapp(field="messages", **lists):
    metadata = {"display_phone_number": NUMBER, "phone_number_id": PHONE_NUMBER_ID}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **lists}
    entry = {"id": "880000000000017", "changes": [{"field": field, "value": value}]}
    return normalized("whatsapp", json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode())


def twilio(**fields):
    return normalized("twilio", urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


def told(rows):
    return {(row.source_contact_id, row.kind, row.other_source_contact_id) for row in rows["aliases"]}


def text(**ends):
    return {"id": "wamid.1", "timestamp": "1794980000", "type": "text", "text": {"body": "x"}, **ends}


def test_a_number_and_a_user_id_in_one_payload_are_aliases_and_two_contacts():
    rows = whatsapp(
        contacts=[{"profile": {"username": "@Noor"}, "wa_id": "15550108899", "user_id": "US.2081"}],
        messages=[text(**{"from": "15550108899"})],
    )

    assert told(rows) == {
        ("15550108899", "user_id", "US.2081"),
        ("15550108899", "username", "@noor"),
    }
    alone = whatsapp(messages=[text(from_user_id="US.2081")])
    assert alone["aliases"] == []
    (user_id,) = (row for row in rows["aliases"] if row.kind == "user_id")
    assert user_id.contact_id == rows.contacts.contact_id
    assert user_id.other_contact_id == alone.contacts.contact_id
    assert user_id.pointer == "/entry/0/changes/0/value/messages/0"


@pytest.mark.parametrize(
    ("system", "ends", "expected"),
    [
        (
            {"type": "user_changed_number", "wa_id": "15550100002", "body": "User A changed from 1 to 2"},
            {"from": "15550100001"},
            {("15550100001", "new_wa_id", "15550100002")},
        ),
        (
            {"type": "user_changed_user_id", "user_id": "US.2", "body": "User A changed from US.1 to US.2"},
            {},
            {("US.2", "old_user_id", "US.1")},
        ),
        (
            {
                "type": "user_changed_number",
                "wa_id": "15550100002",
                "body": "A changed from 15550100001 to 15550100002",
            },
            {},
            {("15550100002", "old_wa_id", "15550100001")},
        ),
        (
            # Whoever is called like that cannot make themselves somebody else's alias.
            {"type": "user_changed_user_id", "user_id": "US.2", "body": "User changed from US.7 to US.2 left"},
            {},
            set(),
        ),
    ],
)
def test_a_change_of_an_id_links_the_old_one_with_the_new_one(system, ends, expected):
    rows = whatsapp(
        messages=[{"id": "wamid.2", "timestamp": "1794980000", "type": "system", "system": system} | ends]
    )

    assert told(rows) == expected


def test_an_update_of_a_user_id_links_all_that_it_names():
    update = {
        "wa_id": "15550107711",
        "user_id": {"previous": "US.1010", "current": "US.1349"},
        "parent_user_id": {"previous": "US.ENT.1", "current": "US.ENT.2"},
        "timestamp": "1794980000",
    }
    rows = whatsapp("user_id_update", user_id_update=[update])

    assert told(rows) == {
        ("15550107711", "user_id", "US.1010"),
        ("15550107711", "new_user_id", "US.1349"),
        ("15550107711", "parent_user_id", "US.ENT.1"),
        ("15550107711", "new_parent_user_id", "US.ENT.2"),
    }


@pytest.mark.parametrize(
    ("written", "one"),
    [("5215599990001", "525599990001"), ("551187654321", "5511987654321"), ("541155551234", "5491155551234")],
)
def test_a_number_that_is_spelt_twice_is_an_alias_of_its_one_spelling(written, one):
    assert told(whatsapp(messages=[text(**{"from": written})])) == {(written, "phone_spelling", one)}
    assert told(whatsapp(messages=[text(**{"from": one})])) == set()
    for address, other in ((f"whatsapp:+{written}", f"whatsapp:+{one}"), (f"+{written}", f"+{one}")):
        sent = {"MessageSid": "SM1", "To": "+15550104401", "From": address, "Body": "x"}
        status = {"MessageSid": "SM1", "From": "+15550104401", "To": address, "MessageStatus": "sent"}
        assert told(twilio(**sent)) == told(twilio(**status)) == {(address, "phone_spelling", other)}


def test_twilio_tells_the_user_id_that_is_the_address_where_it_comes_alone():
    both = twilio(
        MessageSid="SM1",
        To="whatsapp:+15550104401",
        From="whatsapp:+15550108899",
        WaId="15550108899",
        ExternalUserId="US.2081",
        Body="x",
    )
    alone = twilio(MessageSid="SM2", To="whatsapp:+15550104401", ExternalUserId="US.2081", Body="x")

    (alias,) = both["aliases"]
    assert (alias.kind, alias.other_source_contact_id) == ("external_user_id", "whatsapp:US.2081")
    assert alias.contact_id == both.contacts.contact_id
    assert alias.other_contact_id == alone.contacts.contact_id


def test_the_id_of_an_alias_follows_from_whom_it_links():
    first = whatsapp(messages=[text(**{"from": "15550108899", "from_user_id": "US.1"})])
    again = whatsapp(messages=[text(**{"from": "15550108899", "from_user_id": "US.1", "id": "wamid.9"})])
    (alias,), (same,) = first["aliases"], again["aliases"]

    assert alias.alias_id == same.alias_id
    assert alias.alias_id == ids.alias_id(alias.contact_id, "user_id", alias.other_contact_id)


class TestActors:
    def test_whoever_reacts_in_a_group_is_a_contact_and_the_actor(self):
        def reaction(n):
            said = {"message_id": "wamid.G0", "emoji": "👍"}
            return {
                "from_user_id": f"US.{n}",
                "group_id": "G",
                "id": f"wamid.G{n}",
                "timestamp": "1794980000",
                "type": "reaction",
                "reaction": said,
            }

        rows = whatsapp(messages=[reaction(1), reaction(2)])
        assert [row.actor_id for row in rows["metadata"]] == ["US.1", "US.2"]
        assert {row.source_contact_id for row in rows["contacts"]} == {"G", "US.1", "US.2"}
        assert {row.contact_id for row in rows["metadata"]} < {row.contact_id for row in rows["contacts"]}

    def test_a_sender_whom_contacts_alone_names_is_the_actor(self):
        reaction = {
            "id": "wamid.R",
            "timestamp": "1794980000",
            "type": "reaction",
            "reaction": {"message_id": "wamid.1", "emoji": "👍"},
        }
        assert whatsapp(contacts=[{"user_id": "US.5"}], messages=[reaction]).metadata.actor_id == "US.5"

    @pytest.mark.parametrize(("status", "actor"), [("read", "15550108899"), ("sent", None), ("failed", None)])
    def test_what_the_recipient_brings_about_has_the_recipient_as_actor(self, status, actor):
        receipt = {"id": "wamid.1", "status": status, "timestamp": "1794980000", "recipient_id": "15550108899"}
        rows = whatsapp(statuses=[receipt])
        assert rows.metadata.actor_id == actor
        assert rows.metadata.contact_id == rows.contacts.contact_id

    def test_a_member_of_a_group_who_read_a_message_is_the_actor(self):
        receipt = {
            "id": "wamid.1",
            "status": "read",
            "timestamp": "1794980000",
            "recipient_type": "group",
            "recipient_id": "G",
            "recipient_participant_id": "15550108899",
        }
        assert whatsapp(statuses=[receipt]).metadata.actor_id == "15550108899"

    @pytest.mark.parametrize(
        ("payload", "by_us"),
        [
            ({"reaction": {"mid": "m", "action": "react", "emoji": "❤"}}, True),
            ({"message_edit": {"mid": "m", "text": "new", "num_edit": 1}}, False),
            ({"message": {"mid": "m", "is_deleted": True}}, False),
            ({"read": {"mid": "m"}}, False),
            ({"delivery": {"mids": ["m"]}}, False),
        ],
    )
    def test_messenger_names_the_sender_of_what_speaks_of_a_message(self, payload, by_us):
        sender, recipient = ("1", "7") if by_us else ("7", "1")
        item = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": 1794980000000, **payload}
        entry = {"id": "1", "time": 1794980000000, "messaging": [item]}
        rows = normalized("facebook", json.dumps({"object": "instagram", "entry": [entry]}).encode())
        assert rows.metadata.actor_id == sender

    def test_a_custom_source_names_its_actor(self, monkeypatch):
        fact = {"namespace": "message", "source_id": "m", "source_sender_id": "a", "metadata": {"x": "1"}}
        monkeypatch.setitem(PARSERS, "desk", OwnJson("desk").parse)
        assert normalized("desk", json.dumps({"metadata": [fact]}).encode()).metadata.actor_id == "a"

    def test_a_masked_address_is_nobody(self):
        status = {"MessageSid": "SM1", "MessageStatus": "read", "From": "whatsapp:+15550104401"}
        rows = twilio(**status, ChannelPrefix="whatsapp", ChannelToAddress="+1555010XXXX")
        assert (rows.metadata.actor_id, rows.metadata.contact_id, rows["contacts"]) == (None, None, [])
