import pytest

from receiver.chatplugin import limits
from receiver.chatplugin.limits import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_third_at_once_then_one_per_interval():
    clock = Clock()
    limit = RateLimit(6, clock)

    assert [limit.wait("a") for _ in range(2)] == [0.0, 0.0]
    assert limit.wait("a") == pytest.approx(10.0)
    clock.now += 10.0
    assert limit.wait("a") == 0.0
    assert limit.wait("a") > 0


def test_who_waits_is_not_made_to_wait_longer_for_asking():
    limit = RateLimit(3, Clock())
    limit.wait("a")

    assert {limit.wait("a") for _ in range(5)} == {20.0}


def test_keys_do_not_share():
    limit = RateLimit(1, Clock())

    assert limit.wait("a") == limit.wait("b") == 0.0
    assert limit.wait("a") > 0


def test_a_minute_never_holds_more_than_the_limit_and_its_burst():
    clock = Clock()
    limit = RateLimit(60, clock)
    taken = 0
    for _ in range(600):
        taken += limit.wait("a") == 0.0
        clock.now += 0.1

    assert 60 <= taken <= 80


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_KEYS", 4)
    limit = RateLimit(6, Clock())
    for key in "abcad":
        limit.wait(key)

    # In place of "b", which came longest ago.
    assert limit.wait("e") == 0.0
    assert limit.wait("a") > 0
    assert [limit.wait("b") for _ in range(2)] == [0.0, 0.0]
