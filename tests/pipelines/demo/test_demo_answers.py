"""The demo tells of answers only what it has seen: an answer sent twice, or lost, fails it."""

import pytest
from rich.console import Console

from pipelines.demo import answers
from pipelines.demo.answers import VISITORS
from pipelines.demo.story import StoryError

ANSWERED = {f"reply-{visitor.source}": visitor for visitor in VISITORS}


def told(**changed):
    """Return the rows of all answers, the first of which is changed."""
    rows = [
        {
            "reply_id": reply_id,
            "state": "accepted",
            "actor_name": "Dana",
            "text": visitor.answer,
            "delivery_state": visitor.last_state,
            "messages": 1,
            "attempts": 1,
        }
        for reply_id, visitor in ANSWERED.items()
    ]
    rows[0] |= changed
    return [tuple(row.values()) for row in rows]


def test_each_answer_is_one_message_with_text_actor_and_receipts():
    answers.check(told(), ANSWERED, len(VISITORS))
    answers.check(told(attempts=3), ANSWERED, len(VISITORS) + 2)


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "in_doubt"},
        {"actor_name": None},
        {"text": "From 10 to 5."},
        {"delivery_state": "sent"},
        {"messages": 2},
        {"messages": 0},
        {"attempts": 2},
    ],
)
def test_what_is_otherwise_fails_the_demo(changed):
    with pytest.raises(StoryError):
        answers.check(told(**changed), ANSWERED, len(VISITORS))


def test_an_answer_that_is_missing_fails_the_demo():
    with pytest.raises(StoryError):
        answers.check(told()[1:], ANSWERED, len(VISITORS) - 1)


def test_two_ids_of_one_answer_fail_the_demo():
    with pytest.raises(StoryError):
        answers.check(told(), ANSWERED | {"another": VISITORS[0]}, len(VISITORS))


def test_a_call_while_the_archive_is_reprocessed_fails_the_demo(monkeypatch):
    monkeypatch.setattr(answers, "requests", lambda: 5)
    console = Console(quiet=True)

    answers.check_nothing_sent(console, 5)
    with pytest.raises(StoryError):
        answers.check_nothing_sent(console, 4)
