"""What messages cost: each once, by what its source told and by a rate card."""

import json

import pytest
from webhooks import PHONE, ask, asks, at, meta, pricing, status, tell, twilio

from tests import material

COLUMNS = "billable, category, pricing_model, is_charged, cost_micros, currency, cost_from"
GERMANY = "('whatsapp', NULL, '{}', '49', '{}', {}, 'EUR', NULL, NULL)"


def costs(analyst, columns=COLUMNS):
    return ask(analyst, f"SELECT {columns} FROM parley.message_costs ORDER BY told_at, message_id")


def rates(analyst, *rows):
    names = "source, direction, category, number_prefix, unit, price_micros, currency, valid_from, valid_until"
    analyst.insert("rates", f"({names}) VALUES {', '.join(rows)}")


def test_a_message_costs_once_however_many_statuses_tell_it_and_in_whatever_order(analyst):
    rates(analyst, GERMANY.format("marketing", "message", 110_000))
    told = [
        status(minute, "a", state, **pricing("marketing"))
        for minute, state in enumerate(("sent", "delivered", "read"))
    ]
    tell(analyst, *reversed(told), told[1])

    assert costs(analyst) == [(True, "marketing", "PMP", True, 110_000, "EUR", "rate")]
    assert costs(analyst, "told_at, number, direction") == [(at(0), PHONE, "outbound")]


def test_what_is_not_delivered_or_not_billable_is_free_and_what_nobody_tells_is_unknown(analyst):
    rates(analyst, GERMANY.format("utility", "message", 50_000))
    tell(
        analyst,
        status(0, "only-sent", **pricing("utility")),
        status(1, "failed", "failed", **pricing("utility")),
        status(2, "free", "delivered", **pricing("utility", billable=False, kind="free_customer_service")),
        status(3, "silent", "delivered"),
        status(4, "no-rate", "delivered", **pricing("authentication-international")),
    )

    assert costs(analyst) == [
        (True, "utility", "PMP", False, 0, None, "free"),
        (True, "utility", "PMP", False, 0, None, "free"),
        (False, "utility", "PMP", False, 0, None, "free"),
        (None, None, None, None, None, None, None),
        (True, "authentication_international", "PMP", True, None, None, None),
    ]


def test_a_price_and_a_number_of_parts_that_nobody_can_mean_fail_no_question(analyst):
    rates(analyst, "('twilio.sms', NULL, NULL, NULL, 'segment', 8000, 'USD', NULL, NULL)")
    ends = {"From": "+1", "To": "+4915550000300", "MessageStatus": "sent"}
    tell(
        analyst,
        twilio(0, MessageSid="SM1", Price="-99999999999999999999", PriceUnit="USD", **ends),
        twilio(1, MessageSid="SM2", NumSegments="9223372036854775807", **ends),
        twilio(2, MessageSid="SM3", NumSegments="2", **ends),
    )

    assert costs(analyst, "is_charged, cost_micros, currency") == [
        (True, None, None),
        (True, None, None),
        (True, 16_000, "USD"),
    ]


def test_a_message_to_a_group_costs_for_each_to_whom_it_was_delivered(analyst):
    rates(
        analyst,
        GERMANY.format("marketing", "message", 110_000),
        "('whatsapp', NULL, 'marketing', '43', 'message', 60000, 'EUR', NULL, NULL)",
    )

    def of_group(minute, name, state, **participant):
        return status(
            minute, name, state, "Z3JvdXA6MQ", recipient_type="group", **participant, **pricing("marketing")
        )

    told = [
        of_group(0, "a", "sent"),
        of_group(1, "a", "delivered", recipient_participant_id=PHONE),
        # One who is told by both ids, and read it without being told to have got it.
        of_group(2, "a", "read", recipient_participant_id="4367000001", recipient_participant_user_id="AT.1"),
        of_group(3, "a", "failed", recipient_participant_id="4915550000177"),
        of_group(4, "a", "read", recipient_participant_id=PHONE),
        of_group(5, "b", "sent"),
        of_group(6, "c", "delivered", recipient_participant_id=PHONE),
        of_group(6, "c", "delivered", recipient_participant_user_id="US.1"),
    ]
    tell(analyst, *reversed(told), told[1])

    assert costs(analyst) == [
        (True, "marketing", "PMP", True, 170_000, "EUR", "rate"),
        (True, "marketing", "PMP", False, 0, None, "free"),
        # Of one the price is not known, so that of the message is not.
        (True, "marketing", "PMP", True, None, None, None),
    ]
    assert costs(analyst, "told_at, number") == [(at(0), None), (at(5), None), (at(6), None)]


def test_where_nothing_says_billable_the_type_of_the_price_does(analyst):
    rates(analyst, GERMANY.format("utility", "message", 50_000))

    def typed(minute, kind):
        price = {"pricing_model": "PMP", "category": "utility", "type": kind}
        return status(minute, kind, "delivered", pricing=price)

    kinds = ("regular", "free_customer_service", "free_entry_point", "brand_new")
    tell(analyst, *(typed(minute, kind) for minute, kind in enumerate(kinds)))

    assert costs(analyst, "pricing_type, billable, is_charged, cost_micros") == [
        ("regular", True, True, 50_000),
        ("free_customer_service", False, False, 0),
        ("free_entry_point", False, False, 0),
        ("brand_new", None, None, None),
    ]


def test_a_conversation_is_charged_once(analyst):
    rates(analyst, GERMANY.format("service", "conversation", 30_000), GERMANY.format("service", "message", 9))
    opened = {"conversation": {"id": "c1", "origin": {"type": "service"}}, **pricing("service", "True", "CBP")}
    tell(
        analyst, status(0, "a", **opened), status(1, "b", "delivered", **opened), status(2, "a", "read", **opened)
    )

    assert costs(analyst, "source_pricing_id, origin, cost_micros") == [
        ("c1", "service", 30_000),
        ("c1", "service", 0),
    ]


def test_an_sms_costs_by_segments_and_as_twilio_tells_it(analyst):
    rates(
        analyst,
        "('twilio.sms', 'outbound', NULL, '4', 'segment', 80000, 'USD', NULL, NULL)",
        "('twilio.sms', 'inbound', NULL, NULL, 'segment', 7000, 'USD', NULL, NULL)",
    )
    ours, theirs = "+4915550000001", "+4915550000201"
    out = {"From": ours, "To": theirs}
    tell(
        analyst,
        twilio(0, MessageSid="SM1", From=theirs, To=ours, Body="a b", NumSegments="2", NumMedia="0"),
        twilio(1, MessageSid="SM2", MessageStatus="sent", NumSegments="3", **out),
        twilio(2, MessageSid="SM2", MessageStatus="delivered", **out),
        twilio(3, MessageSid="SM3", MessageStatus="delivered", Price="-0.07500", PriceUnit="usd", **out),
        twilio(4, MessageSid="SM4", MessageStatus="sent", **out),
        twilio(5, MessageSid="SM5", MessageStatus="failed", NumSegments="1", **out),
    )

    assert costs(analyst, "direction, segments, number, cost_micros, currency, cost_from") == [
        ("inbound", 2, "4915550000201", 14_000, "USD", "rate"),
        ("outbound", 3, "4915550000201", 240_000, "USD", "rate"),
        ("outbound", None, "4915550000201", 75_000, "USD", "source"),
        # Nobody told into how many parts it was cut.
        ("outbound", None, "4915550000201", None, None, None),
        ("outbound", 1, "4915550000201", 0, None, "free"),
    ]


def test_what_a_session_costs_is_not_known_where_no_charged_message_has_a_price_whatever_is_free(analyst):
    rates(analyst, GERMANY.format("utility", "message", 50_000))
    dear, known, free = "4915550000001", "4915550000002", "4915550000003"
    for phone in (dear, known, free):
        tell(analyst, asks(0, phone), status(1, f"{phone}-sent", "sent", phone, **pricing("marketing")))
    tell(
        analyst,
        status(2, "no-price", "read", dear, **pricing("marketing")),
        status(2, "no-price-either", "read", known, **pricing("marketing")),
        status(3, "priced", "read", known, **pricing("utility")),
    )

    columns = "charged_messages, unpriced_messages, cost_micros"
    assert ask(analyst, f"SELECT {columns} FROM parley.conversation_report ORDER BY 1, 2") == [
        (0, 0, 0),
        (1, 1, None),
        (2, 1, 50_000),
    ]


def test_the_most_exact_rate_of_the_day_holds(analyst):
    rates(
        analyst,
        "('whatsapp', NULL, NULL, NULL, 'message', 1, 'EUR', NULL, NULL)",
        "('whatsapp', NULL, NULL, '49', 'message', 2, 'EUR', NULL, NULL)",
        "('whatsapp', NULL, 'utility', '49', 'message', 3, 'EUR', NULL, DATE '2026-03-01')",
        "('whatsapp', NULL, 'utility', '49', 'message', 4, 'EUR', DATE '2026-03-02', DATE '2026-03-02')",
        "('whatsapp', NULL, 'utility', '44', 'message', 5, 'EUR', NULL, NULL)",
        "('twilio.sms', NULL, NULL, NULL, 'message', 6, 'EUR', NULL, NULL)",
    )
    tell(
        analyst,
        status(0, "a", "delivered", **pricing("utility")),
        status(1, "b", "delivered", **pricing("service")),
        status(2, "c", "delivered", phone="33600000000", **pricing("service")),
        status(24 * 60, "d", "delivered", **pricing("utility")),
    )

    assert costs(analyst, "cost_micros") == [(4,), (2,), (1,), (2,)]


def test_where_nobody_speaks_of_money_nothing_is_charged(analyst):
    tell(analyst, meta(0, delivery={"mids": ["m_1"], "watermark": 1}))

    assert costs(analyst, "source, is_charged, cost_micros, cost_from") == [("facebook", None, None, None)]


def test_what_came_in_by_whatsapp_costs_nothing_and_is_not_there(analyst):
    tell(
        analyst, asks(0), twilio(1, MessageSid="SM1", From="whatsapp:+1", To="whatsapp:+2", Body="a", NumMedia="0")
    )

    assert costs(analyst, "source, direction") == [("twilio.whatsapp", "inbound")]


def _priced():
    """Yield each body of WhatsApp's with a pricing."""
    folders = [material.FIXTURES / "whatsapp_cloud", material.FAULTS, material.SAMPLES]
    for path in sorted(path for folder in folders for path in folder.rglob("*.json")):
        if '"pricing"' in path.read_text("utf-8"):
            yield path


@pytest.mark.skipif(not material.SHARED.exists(), reason="the public bodies lie beside the repository")
def test_every_public_body_with_a_pricing_is_read(analyst):
    bodies = list(_priced())
    for number, path in enumerate(bodies):
        analyst.tell(material.event("whatsapp", path.read_bytes(), number=number + 1))
    ids = {
        each["id"]
        for path in bodies
        for entry in json.loads(path.read_text("utf-8"))["entry"]
        for change in entry["changes"]
        for each in change["value"].get("statuses", ())
        if "pricing" in each
    }

    assert len(bodies) >= 6
    found = ask(analyst, "SELECT COUNT(*) AS n FROM parley.message_costs WHERE billable AND category IS NOT NULL")
    assert found == [(len(ids),)]
