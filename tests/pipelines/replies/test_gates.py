"""When a channel may be called: its rates, what the provider asks for, and tokens that are no longer good."""

import random
import threading
from unittest.mock import Mock

import pytest

from pipelines.replies.channels import Rate
from pipelines.replies.gates import FIRST_STOP_SECONDS, LAST_STOP_SECONDS, Gates
from pipelines.replies.sender import Sender
from pipelines.replies.turns import Turns

CHANNEL, OTHER = ("whatsapp", "1003"), ("whatsapp", "1004")
PERSON = (*CHANNEL, "4917")
FAST, SLOW = Rate(3, 1.0), Rate(2, 60.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gates(clock: Clock) -> Gates:
    """Gates of a process that has been there for a while."""
    gates = Gates(clock)
    clock.now += 60
    return gates


def called(gates: Gates, *rates: tuple[tuple[str, ...], Rate]) -> float:
    """Make a call that takes no time, where it is let through; return what the gates have said."""
    wait = gates.wait(CHANNEL, *rates)
    if not wait:
        gates.end(*rates)
    return wait


def test_as_many_go_through_as_the_rate_allows_and_the_next_when_it_says(gates: Gates, clock: Clock):
    assert [called(gates, (CHANNEL, FAST)) for _ in range(3)] == [0.0] * 3
    wait = gates.wait(CHANNEL, (CHANNEL, FAST))
    assert 1.0 < wait < 1.2
    assert gates.wait(OTHER, (OTHER, FAST)) == 0.0
    clock.now += wait
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0


def test_a_call_that_must_wait_for_one_rate_uses_up_no_other(gates: Gates, clock: Clock):
    rates = ((CHANNEL, FAST), (PERSON, SLOW))
    assert [called(gates, *rates) for _ in range(2)] == [0.0] * 2
    for _ in range(5):
        assert gates.wait(CHANNEL, *rates) > 50
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0


def test_a_process_that_begins_leaves_time_to_what_the_one_before_it_has_sent(clock: Clock):
    gates, slow = Gates(clock), (PERSON, SLOW)
    assert 1.0 < gates.wait(CHANNEL, (CHANNEL, FAST), slow) < 1.2
    # What takes minutes is not waited for: the provider says no where it is too much.
    assert gates.wait(CHANNEL, slow) == 0.0
    clock.now += 1.1
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0


def test_what_is_under_way_counts_however_long_it_takes(gates: Gates, clock: Clock):
    rates = ((CHANNEL, FAST),)
    assert [gates.wait(CHANNEL, *rates) for _ in range(3)] == [0.0] * 3
    clock.now += 100
    assert 0 < gates.wait(CHANNEL, *rates) < 1.0
    # The first may have arrived as late as now.
    gates.end(*rates)
    assert 1.0 < gates.wait(CHANNEL, *rates) < 1.2


def test_no_window_of_the_rate_ever_holds_more_whatever_the_times(gates: Gates, clock: Clock):
    """Calls take any time, and reach the provider at any moment between their beginning and their end."""
    dice, arrived = random.Random(20), []
    ends: list[float] = []
    for _ in range(5000):
        clock.now += dice.choice([0.0, 0.01, 0.1, 0.3, 1.0])
        while ends and ends[0] <= clock.now:
            ends.pop(0)
            gates.end((CHANNEL, FAST))
        if gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0:
            took = dice.choice([0.0, 0.02, 0.4, 3.0])
            arrived.append(clock.now + took * dice.random())
            ends = sorted([*ends, clock.now + took])
    arrived.sort()
    assert len(arrived) > 300
    for number in range(len(arrived) - FAST.most):
        assert arrived[number + FAST.most] - arrived[number] > FAST.seconds


def test_what_people_write_counts_where_it_is_told(gates: Gates):
    for _ in range(2):
        gates.count(CHANNEL, FAST)
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) > 0


def test_a_channel_is_held_as_long_as_the_longest_that_was_asked_for(gates: Gates, clock: Clock):
    gates.hold(CHANNEL, 10)
    gates.hold(CHANNEL, 5)
    assert gates.wait(CHANNEL) == 10
    assert gates.wait(OTHER) == 0
    clock.now += 10
    assert gates.wait(CHANNEL) == 0


def test_of_a_stopped_channel_one_call_tries_and_later_and_later(gates: Gates, clock: Clock):
    assert gates.stop(CHANNEL) is True
    pauses = []
    for _ in range(8):
        pauses.append(gates.wait(CHANNEL))
        clock.now += pauses[-1]
        assert gates.wait(CHANNEL) == 0.0
        # The others wait for what that one brings.
        assert gates.wait(CHANNEL) > 0
        assert gates.stop(CHANNEL) is False
    assert pauses[:3] == [FIRST_STOP_SECONDS, 2 * FIRST_STOP_SECONDS, 4 * FIRST_STOP_SECONDS]
    assert max(pauses) == LAST_STOP_SECONDS
    assert gates.stopped() == [CHANNEL]
    assert gates.go(CHANNEL) is True
    assert gates.go(CHANNEL) is False
    assert gates.wait(CHANNEL) == 0.0


def test_new_tokens_let_one_call_through_at_once(gates: Gates):
    gates.stop(CHANNEL)
    gates.go_all()
    assert gates.wait(CHANNEL) == 0.0
    assert gates.wait(CHANNEL) == FIRST_STOP_SECONDS


def test_who_waits_for_a_stopped_channel_is_called_when_it_may_be_tried_and_when_it_goes_on(gates: Gates):
    called: list[str] = []
    gates.listen(lambda: called.append("opened"))
    assert not gates.go(CHANNEL) and not called

    gates.stop(CHANNEL)
    gates.go_all()
    assert called == ["opened"]
    assert gates.go(CHANNEL)
    assert called == ["opened", "opened"]


def test_new_tokens_give_a_turn_at_once_to_all_that_wait_for_ten_minutes(gates: Gates):
    turns = Turns()
    gates.listen(turns.nudge_all)
    for number in range(2):
        turns.nudge(str(number), LAST_STOP_SECONDS)
    turns.nudge("busy")
    assert turns.take() == "busy"

    gates.stop(CHANNEL)
    gates.go_all()
    # It was told to wait before the news.
    turns.give_back("busy", LAST_STOP_SECONDS)

    assert {turns.take() for _ in range(3)} == {"0", "1", "busy"}


def test_a_sender_gives_a_turn_to_all_that_wait_when_there_are_new_tokens(gates: Gates):
    turns = Turns()
    Sender(Mock(), Mock(), turns, Mock(), gates, threads=0)
    turns.nudge("waiting", LAST_STOP_SECONDS)
    gates.stop(CHANNEL)

    gates.go_all()

    too_long = threading.Timer(5, turns.close)
    too_long.start()
    assert turns.take() == "waiting"
    too_long.cancel()
