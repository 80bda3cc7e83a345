"""Contention ends in words."""

import pytest
from google.api_core.exceptions import BadRequest

from pipelines.reprocess import RefusedError, moves

ABORTED = "Transaction is aborted due to concurrent update against table p:d.reprocessing_lock. Transaction ID: 6"


class _Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(moves, "time", clock)
    return clock


def test_contention_without_end_is_refused_in_words(clock: _Clock):
    tried = []

    def attempt() -> None:
        tried.append(1)
        raise BadRequest(f"Query error: {moves.MOVED} at [2:1]")

    with pytest.raises(RefusedError, match=r"run 7 is as it was: .* 5 times in a row"):
        moves.until_unmoved("run 7", attempt)
    assert len(tried) == 5
    assert clock.now < 5


def test_a_move_that_is_under_way_is_waited_for(clock: _Clock):
    """BigQuery cancels the second transaction at once, and the first takes minutes where it has many rows."""

    def attempt() -> str:
        if clock.now < 300:
            raise BadRequest(ABORTED)
        return "done"

    assert moves.until_unmoved("run 7", attempt) == "done"


def test_a_move_that_never_ends_is_not_waited_for_for_ever(clock: _Clock):
    def attempt() -> None:
        raise BadRequest(ABORTED)

    with pytest.raises(RefusedError, match="run 7 is as it was"):
        moves.until_unmoved("run 7", attempt)
    assert 600 < clock.now < 620


def test_what_is_no_contention_is_told_as_it_is():
    def attempt() -> None:
        raise BadRequest("no such column")

    with pytest.raises(BadRequest, match="no such column"):
        moves.until_unmoved("run 7", attempt)
