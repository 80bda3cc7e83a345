"""A person is one across sources: by phone, by what a source states or an operator decides; never by name."""

import datetime as dt
import json
from urllib.parse import urlencode

import pytest
from sample_world import custom_sources

from pipelines.core import ids
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent, format_received_at

pytestmark = pytest.mark.thorough

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
PHONE = "5215599990001"
SPELLINGS = "5215599990001", "525599990001"


def event(minute, source, body, **attributes):
    known = {
        "event_id": f"019caaaa-0000-7000-8000-{minute:012d}",
        "source": source,
        "received_at": format_received_at(NOON + dt.timedelta(minutes=minute)),
    }
    return RawEvent(body.encode(), known | attributes)


def meta(minute, phone, name="Kim"):
    said = {"from": phone, "id": f"wamid.{minute}", "timestamp": str(int(NOON.timestamp()) + minute * 60)}
    value = {
        "metadata": {"display_phone_number": "15550104400", "phone_number_id": "77"},
        "contacts": [{"profile": {"name": name}, "wa_id": phone}],
        "messages": [{**said, "type": "text", "text": {"body": "?"}}],
    }
    entry = {"id": "88", "changes": [{"field": "messages", "value": value}]}
    return event(minute, "whatsapp", json.dumps({"object": "whatsapp_business_account", "entry": [entry]}))


def twilio(minute, phone, prefix=""):
    sid = f"SM{minute:032d}"
    fields = {"MessageSid": sid, "From": f"{prefix}+{phone}", "To": f"{prefix}+15550104400", "Body": "?"}
    return event(minute, "twilio", urlencode(fields), content_type="application/x-www-form-urlencoded")


def shop(minute, customer, **facts):
    told = {"namespace": "contact", "source_id": customer, "metadata": facts}
    return event(minute, "shop-app", json.dumps({"metadata": [told]}))


def tell(analyst, *events):
    with custom_sources():
        analyst.load(row for each in events for row in normalize(each))


def decide(analyst, one, other, decision, second=0):
    analyst.insert(
        "alias_decisions",
        "(decision_id, contact_id, other_contact_id, decision, decided_at, reason) VALUES "
        f"('d{second}', '{one}', '{other}', '{decision}', TIMESTAMP '2026-03-03 00:00:{second:02}+00', 'asked')",
    )


def sizes(analyst):
    rows = analyst.query("SELECT ARRAY_LENGTH(contact_ids) AS contacts, messages FROM parley.people ORDER BY 1, 2")
    return [tuple(row.values()) for row in rows]


def contact(source, known_by, scope=""):
    return ids.contact_id(source, scope, known_by)


@pytest.mark.parametrize("backwards", [False, True])
def test_one_phone_over_three_sources_is_one_person(analyst, backwards):
    told = [meta(1, SPELLINGS[0]), twilio(2, SPELLINGS[1]), twilio(3, SPELLINGS[0], "whatsapp:")]
    tell(analyst, *(reversed(told) if backwards else told))

    (person,) = analyst.query("SELECT * FROM parley.people")
    first = analyst.query("SELECT contact_id FROM parley.contacts WHERE source = 'whatsapp'")
    assert [person["person_id"]] == [row["contact_id"] for row in first]
    assert person["sources"] == ["twilio.sms", "twilio.whatsapp", "whatsapp"]
    assert (person["messages"], person["phone_numbers"]) == (3, ["+525599990001"])
    assert {(link["kind"], link["other_id"]) for link in person["links"]} == {("phone", "phone:+525599990001")}
    assert {link["event_id"] for link in person["links"]} == {each.attributes["event_id"] for each in told}


def test_nobody_is_merged_on_a_name(analyst):
    tell(
        analyst, meta(1, "4915550000001", "Kim"), meta(2, "4915550000002", "Kim"), shop(3, "7", display_name="Kim")
    )

    assert sizes(analyst) == [(1, 0), (1, 1), (1, 1)]
    assert analyst.query("SELECT links FROM parley.people WHERE messages = 0") == [{"links": []}]


@pytest.mark.parametrize(
    "facts",
    [
        {"phone_number": "+525599990001"},
        {"person": {"same_as": f"whatsapp:{PHONE}"}},
        {"person": {"same_as": {"chat": f"whatsapp:{PHONE}"}}},
        {"person.same_as": contact("whatsapp", PHONE)},
    ],
)
def test_a_custom_source_states_who_its_contact_is(analyst, facts):
    tell(analyst, meta(1, PHONE), shop(2, "customer-7", **facts))

    assert sizes(analyst) == [(2, 1)]


def test_contacts_of_one_persons_id_are_one_and_the_last_telling_of_it_counts(analyst):
    tell(
        analyst,
        shop(1, "a", person={"id": "crm-1"}),
        shop(2, "b", person={"id": "crm-1"}),
        shop(3, "c", person={"id": {"till": "crm-1"}}),
        shop(4, "d", person={"same_as": "whatsapp:nobody"}),
    )
    assert sizes(analyst) == [(1, 0), (1, 0), (2, 0)]

    tell(analyst, shop(5, "b", person={"id": ""}))
    assert sizes(analyst) == [(1, 0)] * 4


def test_an_operators_link_counts_and_a_wrong_one_is_taken_out(analyst):
    tell(analyst, meta(1, PHONE), twilio(2, PHONE), shop(3, "7"))
    channel = ids.channel_id("shop-app", "shop-app")
    (customer,) = analyst.query("SELECT contact_id FROM parley.contacts WHERE source = 'shop-app'")
    assert customer["contact_id"] in {contact("shop-app", "7"), contact("shop-app", "7", channel)}

    decide(analyst, customer["contact_id"], contact("whatsapp", PHONE), "same")
    assert sizes(analyst) == [(3, 2)]
    (link,) = analyst.query("SELECT * FROM parley.person_links WHERE kind = 'decision'")
    assert (link["decision_id"], link["evidence"], link["void_because"]) == ("d0", "asked", None)

    decide(analyst, "phone:+525599990001", contact("twilio.sms", f"+{PHONE}"), "different", 1)
    assert sizes(analyst) == [(1, 1), (2, 1)]
    (taken,) = analyst.query("SELECT * FROM parley.person_links WHERE source = 'twilio.sms'")
    assert (taken["kind"], taken["void_because"]) == ("phone", "taken out")

    decide(analyst, customer["contact_id"], contact("whatsapp", PHONE), "withdrawn", 2)
    assert sizes(analyst) == [(1, 0), (1, 1), (1, 1)]


def test_a_number_that_many_share_links_nobody_unless_somebody_says_so(analyst):
    tell(analyst, *(shop(n, f"c{n}", phone_number="+4930123456") for n in range(6)), twilio(9, "4930123456"))

    assert len(sizes(analyst)) == 7
    found = analyst.query("SELECT DISTINCT source, void_because FROM parley.person_links ORDER BY 1")
    assert [tuple(row.values()) for row in found] == [("shop-app", "shared"), ("twilio.sms", None)]

    (one,) = analyst.query("SELECT MIN(contact_id) AS contact_id FROM parley.contacts WHERE source = 'shop-app'")
    decide(analyst, one["contact_id"], "phone:+4930123456", "same")
    assert max(sizes(analyst)) == (2, 1)
    decide(analyst, one["contact_id"], "phone:+4930123456", "withdrawn", 1)
    assert len(sizes(analyst)) == 7


def test_a_number_of_five_contacts_links_them(analyst):
    tell(analyst, *(shop(n, f"c{n}", phone_number="+4930123456") for n in range(5)))

    assert sizes(analyst) == [(5, 0)]


def test_a_person_has_the_name_that_was_told_last(analyst):
    facts = {"phone_number": f"+{PHONE}"}
    tell(analyst, meta(1, PHONE, "Kim"), shop(5, "7", display_name="Kim B.", **facts), twilio(9, PHONE))

    assert analyst.query("SELECT display_name FROM parley.people") == [{"display_name": "Kim B."}]


def test_a_chain_of_links_ends_at_one_person(analyst):
    chain = [shop(n, f"c{n}", person={"id": {"a": str(n // 2), "b": str((n + 1) // 2)}}) for n in range(5)]
    tell(analyst, *chain)

    assert sizes(analyst) == [(5, 0)]
