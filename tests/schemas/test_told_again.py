"""What a source without times tells again, a moment or days later, is in every report as it was told once."""

import pytest
from test_conversation_report import DAYS
from webhooks import ask, asks, at, desk, replied, shop, tell, twilio

from schemas.raw_event import RawEvent, format_received_at

pytestmark = pytest.mark.thorough

OURS, THEIRS = "whatsapp:+15550104400", "whatsapp:+4915550000142"
REFERRAL = {"ReferralSourceId": "9", "ReferralSourceType": "ad"}


def again(minute, event):
    """Return the same webhook, received once more."""
    known = {"event_id": f"019cbbbb-0000-7000-8000-{minute:012d}", "received_at": format_received_at(at(minute))}
    return RawEvent(event.data, event.attributes | known)


def texts(minute, sid, **more):
    return twilio(minute, MessageSid=sid, From=THEIRS, To=OURS, Body="?", **more)


def answers(minute, known, **content):
    return replied(
        minute, known, content or {"Body": "!"}, THEIRS, "twilio", channel=OURS, kind="human", id="anna"
    )


@pytest.mark.parametrize("later", [5, 2 * DAYS])
def test_somebody_came_when_the_referral_was_told_first(analyst, later):
    said = texts(0, "SM1", **REFERRAL)
    tell(analyst, said, answers(2, "x"), again(later, said))

    columns = "came_at, first_response_seconds, inbound_messages, outbound_messages"
    (came,) = ask(analyst, f"SELECT {columns} FROM parley.acquisitions")
    assert came[1:] == (119.0, 1, 1)
    assert [came[:1]] == ask(
        analyst, "SELECT MIN(sent_at) AS moment FROM parley.messages WHERE direction = 'inbound'"
    )


@pytest.mark.parametrize("later", [30, DAYS])
def test_what_was_bought_is_paid_once(analyst, later):
    told = {"conversion": {"value": 3, "currency": "EUR", "ctwa_clid": "clid-1"}}
    bought = shop(10, metadata=[{"namespace": "contact", "source_id": "customer-1", "metadata": told}])
    ad = {"source_type": "ad", "source_id": "120", "ctwa_clid": "clid-1"}
    tell(analyst, asks(0, referral=ad), bought, again(later, bought))

    columns = "conversions, value_micros, currency"
    assert ask(analyst, f"SELECT {columns} FROM parley.acquisitions") == [(1, 3_000_000, "EUR")]


def test_a_question_that_is_told_again_is_none_in_a_later_session(analyst):
    said = texts(0, "SM1")
    tell(
        analyst,
        *(said, again(2 * DAYS + 60, said)),
        *(answers(2 * DAYS, "x", ContentSid="HX1"), texts(2 * DAYS + 120, "SM2"), answers(2 * DAYS + 130, "y")),
    )

    columns = "inbound_messages, first_response_seconds, first_human_response_seconds"
    report = ask(analyst, f"SELECT {columns} FROM parley.conversation_report ORDER BY session_number")
    assert report == [(1, None, None), (1, 599.0, 599.0)]
    # Nor is it an answer to the template that came between: that is the next question.
    (answered,) = ask(analyst, "SELECT answered_at FROM parley.template_messages")
    assert [answered] == ask(
        analyst, "SELECT MAX(sent_at) AS moment FROM parley.messages WHERE direction = 'inbound'"
    )


def test_a_rating_that_is_told_again_is_one(analyst):
    fact = {"namespace": "conversation", "source_id": "order-1", "source_channel_id": "app"}
    rated = shop(5, metadata=[fact | {"metadata": {"csat": 5}}])
    tell(analyst, shop(0, [desk(0, "m")]), rated, again(DAYS, rated))

    assert ask(analyst, "SELECT ratings, rating FROM parley.conversation_report") == [(1, 1.0)]
