"""Who waits for an answer is one number, wherever it is asked: the view's, the overview's, the list's."""

import datetime as dt

import pytest
from dashboard_shop import WEEK, Shop, before, counted

from pipelines.dashboard.conversations import END_OF_TIME
from pipelines.dashboard.period import Period

pytestmark = pytest.mark.thorough


def test_a_receipt_of_an_old_message_is_no_answer(shop: Shop) -> None:
    shop.wrote("old", before(days=20), inbound=False, state="sent")
    shop.wrote("question", before(hours=3), inbound=True)
    shop.came("old", before(hours=1), "delivered")
    shop.came("old", before(hours=1), "read")

    assert shop.waiting() == shop.view() == [True]


def test_who_reads_only_now_what_was_sent_long_ago_has_no_answer(shop: Shop) -> None:
    shop.receipt("wamid.old", "sent", before(days=40))
    shop.asked(before(hours=3))
    shop.receipt("wamid.old", "read", before(hours=1))

    assert shop.waiting() == shop.view() == [True]


def test_who_reads_now_what_was_sent_before_anybody_told_of_it_has_no_answer(shop: Shop) -> None:
    shop.asked(before(hours=3))
    shop.receipt("wamid.before", "read", before(hours=1))

    assert shop.waiting() == shop.view() == [True]
    (turn,) = shop.analyst.query("SELECT answered_at FROM parley.response_times")
    assert turn["answered_at"] is None


def test_an_answer_that_only_its_receipts_tell_of_is_one(shop: Shop) -> None:
    shop.asked(before(hours=3))
    shop.receipt("wamid.new", "delivered", before(hours=1))
    shop.receipt("wamid.new", "sent", before(hours=2))

    assert shop.waiting() == shop.view() == [False]


def test_who_deletes_what_is_not_known_has_no_answer(shop: Shop) -> None:
    shop.asked(before(hours=3))
    shop.receipt("wamid.before", "deleted", before(hours=2))

    assert shop.waiting() == shop.view() == [True]


@pytest.mark.parametrize(("state", "waits"), [("delivered", False), ("failed", True)])
@pytest.mark.parametrize("is_told", [True, False])
def test_an_answer_that_failed_is_none_however_it_is_known(
    shop: Shop, state: str, waits: bool, is_told: bool
) -> None:
    if is_told:
        shop.wrote("question", before(hours=3), inbound=True)
        shop.wrote("answer", before(hours=2), inbound=False, state=state)
    else:
        shop.asked(before(hours=3))
        shop.receipt("wamid.new", state, before(hours=2))

    assert shop.waiting() == shop.view() == [waits]
    counts = counted(shop.warehouse)["responses"]
    assert (counts["unanswered"], counts["within_4_hours"]) == (int(waits), int(not waits))


def test_what_went_out_at_the_very_time_of_a_question_answers_it(shop: Shop) -> None:
    for name in "abcdef":
        shop.wrote(name, before(hours=1), inbound=name in "ace")

    assert shop.waiting() == shop.view() == [False]
    (row,) = shop.warehouse.ask(
        "conversations",
        contact="",
        waiting=False,
        before=END_OF_TIME,
        after_id="",
        page_size=5,
        **WEEK.parameters(),
    )
    (last,) = shop.analyst.query(
        "SELECT message_id FROM parley.messages ORDER BY sent_at DESC, message_id DESC LIMIT 1"
    )
    assert row["last_message_id"] == last["message_id"]
    counts = counted(shop.warehouse)["responses"]
    assert {name: count for name, count in counts.items() if count} == {"within_1_minute": 1}


def test_a_question_of_the_period_waits_until_it_is_answered_later(shop: Shop) -> None:
    shop.wrote("question", before(days=8), inbound=True)
    earlier = Period(WEEK.first_day - dt.timedelta(days=7), WEEK.first_day - dt.timedelta(days=1))
    assert shop.waiting(earlier) == [True]

    shop.wrote("answer", before(days=5, hours=20), inbound=False)
    assert shop.waiting(earlier) == shop.view() == [False]
