"""How contacts came, and what it brought."""

import json

import pytest
from webhooks import OURS, PHONE, PSID, ask, asks, at, fact, meta, shop, status, tell, twilio

from pipelines.core import ids
from pipelines.sources.normalization import normalize
from tests import material

pytestmark = pytest.mark.thorough

AD = {"source_type": "ad", "source_id": "120", "headline": "Sale", "ctwa_clid": "clid-1"}
AD |= {"source_url": "https://a.example/?utm_campaign=spring#x"}


def test_every_source_tells_how_somebody_came(analyst):
    tell(
        analyst,
        meta(
            0,
            referral={
                "source": "ADS",
                "type": "OPEN_THREAD",
                "ad_id": "61",
                "ads_context_data": {"ad_title": "Coat"},
            },
        ),
        meta(
            1,
            "instagram",
            postback={"mid": "p", "payload": "x", "referral": {"ref": "door", "source": "SHORTLINK"}},
        ),
        meta(2, message={"mid": "m", "text": "?", "referral": {"ref": "b", "source": "CUSTOMER_CHAT_PLUGIN"}}),
        asks(3, referral=AD),
        twilio(
            4,
            MessageSid="SM1",
            From="whatsapp:+1",
            To="whatsapp:+2",
            Body="Referral",
            NumMedia="0",
            ReferralSourceId="7",
            ReferralSourceType="post",
            ReferralSourceUrl="https://fb.me/ü",
            ReferralHeadline="Zwei & drei 😀",
            ReferralCtwaClid="c2",
        ),
    )

    columns = "source, kind, ad_id, ref, ctwa_clid, url, campaign, headline"
    assert ask(analyst, f"SELECT {columns} FROM parley.acquisitions ORDER BY came_at, source") == [
        ("facebook", "ad", "61", None, None, None, None, "Coat"),
        ("instagram", "shortlink", None, "door", None, None, "door", None),
        ("facebook", "customer_chat_plugin", None, "b", None, None, "b", None),
        ("whatsapp", "ad", "120", None, "clid-1", AD["source_url"], "spring", "Sale"),
        ("twilio.whatsapp", "post", "7", None, "c2", "https://fb.me/ü", None, "Zwei & drei 😀"),
    ]


def test_what_follows_counts_for_the_latest_referral(analyst):
    tell(
        analyst,
        asks(0, referral=AD),
        status(1, "lost", "failed"),
        status(2, "a"),
        asks(3),
        asks(60, referral=AD | {"source_id": "121", "ctwa_clid": "clid-2"}),
        asks(0, referral=AD),
    )

    columns = "ad_id, first_response_seconds, inbound_messages, outbound_messages"
    assert ask(analyst, f"SELECT {columns} FROM parley.acquisitions ORDER BY came_at") == [
        ("120", 120.0, 2, 1),
        ("121", None, 1, 0),
    ]


def bought(minute, **more):
    sold = {"name": "Purchase", "value": 12.5, "currency": "eur", **more}
    return shop(minute, metadata=[fact(minute, "contact", "customer-1", conversion=sold)])


def test_a_conversion_counts_once_for_the_latest_referral_of_its_click_or_conversation(analyst):
    conversation = ids.conversation_id(ids.channel_id("facebook", "20"), PSID)
    tell(
        analyst,
        asks(0, referral=AD),
        asks(10, referral=AD),
        meta(1, referral={"source": "ADS", "ad_id": "61"}),
        bought(20, ctwa_clid="clid-1"),
        bought(20, ctwa_clid="clid-1"),
        bought(21, ctwa_clid="clid-1", value=0.000001),
        bought(22, conversation_id=conversation, value=3.05),
        # Before anybody came, and of nobody who came.
        bought(-1, ctwa_clid="clid-1"),
        bought(23, ctwa_clid="other"),
        bought(24),
    )

    columns = "source, came_at, conversions, value_micros, currency, conversion_name"
    assert ask(analyst, f"SELECT {columns} FROM parley.acquisitions ORDER BY came_at") == [
        ("whatsapp", at(0), 0, None, None, None),
        ("facebook", at(1), 1, 3_050_000, "EUR", "Purchase"),
        ("whatsapp", at(10), 2, 12_500_001, "EUR", "Purchase"),
    ]
    events = [
        json.loads(event)
        for (event,) in ask(analyst, "SELECT event FROM parley.conversion_exports ORDER BY source")
    ]
    assert [(event["messaging_channel"], event["user_data"], event["custom_data"]) for event in events] == [
        ("messenger", {"page_id": "20", "page_scoped_user_id": PSID}, {"currency": "EUR", "value": 3.05}),
        ("whatsapp", {"ctwa_clid": "clid-1"}, {"currency": "EUR", "value": 12.500001}),
    ]
    assert [event["event_time"] for event in events] == [int(at(22).timestamp()), int(at(20).timestamp())]


NUMBERS = ("nan", "inf", "-Infinity", 1e300, "1e308", 10**12, "9223372036855")
NO_AMOUNTS = (*NUMBERS, "12,50", True, None, [1], {"of": 1})


def test_what_is_no_amount_of_money_fails_no_question(analyst):
    wrong = [bought(20 + number, ctwa_clid="clid-1", value=value) for number, value in enumerate(NO_AMOUNTS)]
    tell(analyst, asks(0, referral=AD), bought(10, ctwa_clid="clid-1"), *wrong)

    columns = "conversions, value_micros, currency"
    found = ask(analyst, f"SELECT {columns} FROM parley.acquisitions")
    assert found == [(1 + len(NO_AMOUNTS), 12_500_000, "EUR")]
    assert len(ask(analyst, "SELECT event FROM parley.conversion_exports")) == 1


def test_values_in_several_currencies_are_not_added(analyst):
    tell(
        analyst,
        asks(0, referral=AD),
        bought(1, ctwa_clid="clid-1"),
        bought(2, ctwa_clid="clid-1", currency="USD"),
        asks(10, referral=AD),
        bought(11, ctwa_clid="clid-1"),
        # A value that is no number adds nothing, whatever its currency.
        bought(12, ctwa_clid="clid-1", value="much", currency="AUD"),
    )

    columns = "conversions, value_micros, currency"
    assert ask(analyst, f"SELECT {columns} FROM parley.acquisitions ORDER BY came_at") == [
        (2, None, None),
        (2, 12_500_000, "EUR"),
    ]


@pytest.mark.parametrize("value", [-0.25, -12.5, -3, 0, 0.000001, 1234567.89])
def test_an_export_writes_any_value_as_a_number(analyst, value):
    tell(analyst, asks(0, referral=AD), bought(1, ctwa_clid="clid-1", value=value))

    ((event,),) = ask(analyst, "SELECT event FROM parley.conversion_exports")
    assert json.loads(event)["custom_data"] == {"currency": "EUR", "value": value}


@pytest.mark.skipif(not material.SHARED.exists(), reason="the public bodies lie beside the repository")
def test_every_public_body_with_a_referral_is_read(analyst):
    known = [*material.fixtures(), *material.faults(), *material.samples()]
    bodies = [
        each for each in known if b'"referral"' in each.event.data or b"ReferralSourceId=" in each.event.data
    ]
    assert len(bodies) >= 12
    told = set()
    for each in bodies:
        rows = [row for row in normalize(each.event) if getattr(row, "key", "") == "source.referral"]
        assert rows, each.name
        told |= {row.metadata_id for row in rows}
        analyst.load(rows)

    found = ask(
        analyst, "SELECT acquisition_id, kind, COALESCE(ad_id, ref, url, kind) AS how FROM parley.acquisitions"
    )
    assert {row[0] for row in found} == told
    assert all(row[2] for row in found)


def test_a_conversion_may_name_the_conversation_as_it_was_before_it_was_known_who_that_is(analyst):
    user_id = "DE.1"
    channel = ids.channel_id("whatsapp", OURS)
    before = ids.conversation_id(channel, user_id)
    known = {"from": None, "from_user_id": user_id}
    tell(
        analyst,
        *(asks(0, referral=AD, **known), bought(5, value=2, conversation_id=before)),
        *(asks(10, from_user_id=user_id), bought(15, value=3, conversation_id=before)),
        bought(20, value=4, conversation_id=ids.conversation_id(channel, PHONE)),
    )

    columns = "conversation_id, conversions, value_micros"
    assert ask(analyst, f"SELECT {columns} FROM parley.acquisitions") == [
        (ids.conversation_id(channel, PHONE), 3, 9_000_000)
    ]
