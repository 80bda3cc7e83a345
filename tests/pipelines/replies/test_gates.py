"""When a channel may be called: its rates, what the provider asks for, and tokens that are no longer good."""

import random

import pytest

from pipelines.replies.channels import Rate
from pipelines.replies.gates import FIRST_STOP_SECONDS, LAST_STOP_SECONDS, Gates

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
    return Gates(clock)


def test_as_many_go_through_as_the_rate_allows_and_the_next_when_it_says(gates: Gates, clock: Clock):
    assert [gates.wait(CHANNEL, (CHANNEL, FAST)) for _ in range(3)] == [0.0] * 3
    wait = gates.wait(CHANNEL, (CHANNEL, FAST))
    assert 1.0 < wait < 1.2
    assert gates.wait(OTHER, (OTHER, FAST)) == 0.0
    clock.now += wait
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0


def test_a_call_that_must_wait_for_one_rate_uses_up_no_other(gates: Gates, clock: Clock):
    rates = ((CHANNEL, FAST), (PERSON, SLOW))
    assert [gates.wait(CHANNEL, *rates) for _ in range(2)] == [0.0] * 2
    for _ in range(5):
        assert gates.wait(CHANNEL, *rates) > 50
    assert gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0


def test_no_window_of_the_rate_ever_holds_more_whatever_the_times(gates: Gates, clock: Clock):
    dice, made = random.Random(20), []
    for _ in range(2000):
        clock.now += dice.choice([0.0, 0.01, 0.3, 1.0])
        if gates.wait(CHANNEL, (CHANNEL, FAST)) == 0.0:
            made.append(clock.now)
    assert len(made) > 300
    for number in range(len(made) - FAST.most):
        assert made[number + FAST.most] - made[number] > FAST.seconds


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
