"""Panels that show parts of one answer ask for it together."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from pipelines.bigquery.target import Target
from pipelines.dashboard.warehouse import Row, Warehouse

ROWS = [{"number": 1}]


class Answer(Future[list[Row]]):
    """An answer that comes when a test says so, and tells who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._waits = threading.Semaphore(0)

    def result(self, timeout: float | None = None) -> list[Row]:
        self._waits.release()
        return super().result(60 if timeout is None else timeout)

    def until_waited_for(self, times: int) -> None:
        for _ in range(times):
            assert self._waits.acquire(timeout=20)


class Asked(Warehouse):
    """Remembers what is asked, and leaves the answers to the test."""

    def __init__(self) -> None:
        super().__init__(Target("some-project", "rows", "views"), lambda: None)  # type: ignore[arg-type, return-value]
        self.answers: dict[int, list[Answer]] = {1: [], 2: []}
        self.begun = threading.Semaphore(0)

    def begin(self, question: str, **parameters: Any) -> Future[list[Row]]:
        answer = Answer()
        self.answers[parameters["day"]].append(answer)
        self.begun.release()
        return answer


@contextlib.contextmanager
def panels(warehouse: Asked) -> Iterator[ThreadPoolExecutor]:
    """Threads that ask; whoever still waits in the end is let go, so that a test can fail."""
    with ThreadPoolExecutor(4) as asking:
        try:
            yield asking
        finally:
            for answer in [each for day in warehouse.answers.values() for each in day]:
                if not answer.done():
                    answer.cancel()


def test_who_asks_while_the_same_is_asked_gets_the_same_answer() -> None:
    warehouse = Asked()
    with panels(warehouse) as asking:
        waiting = [asking.submit(warehouse.together, "overview", day=day) for day in (1, 1, 2, 1)]
        for _ in range(2):
            assert warehouse.begun.acquire(timeout=60)
        ((one,), (other,)) = warehouse.answers.values()
        one.until_waited_for(3)
        one.set_result(ROWS)
        other.set_result([])
        assert [each.result(60) for each in waiting] == [ROWS, ROWS, [], ROWS]


@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_and_a_failure_are_not_kept_for_who_asks_later(fails: bool) -> None:
    warehouse = Asked()
    with panels(warehouse) as asking:
        for number in range(2):
            waiting = [asking.submit(warehouse.together, "overview", day=1) for _ in range(2)]
            assert warehouse.begun.acquire(timeout=60)
            answer = warehouse.answers[1][number]
            answer.until_waited_for(2)
            if fails:
                answer.set_exception(ValueError("refused"))
            else:
                answer.set_result(ROWS)
            assert [each.exception(60) is not None for each in waiting] == [fails, fails]
    assert len(warehouse.answers[1]) == 2
