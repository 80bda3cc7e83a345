import threading

import pytest
from receiver_support import on_a_loop, wait_until

from receiver.answers.news import Notice
from receiver.answers.watch import STALE_SECONDS, TooManyError, Watch


class Board:
    """The news, as a test tells them."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.reads = 0
        self.failing = False

    def tell(self, key: str, what: str = "entry", at: float = 1000.0) -> None:
        self.notices.append(Notice(f"{len(self.notices)}", at, key, what))

    def read(self) -> list[Notice]:
        self.reads += 1
        if self.failing:
            raise OSError("no disk")
        return list(self.notices)


def watch(board: Board, most: int = 10, of_conversation: int = 3, of_address: int = 5) -> Watch:
    return Watch(
        board.read,
        0.005,
        most=most,
        most_of_conversation=of_conversation,
        most_of_address=of_address,
        clock=lambda: 1000.0,
    )


def test_who_waits_for_a_conversation_is_woken_by_it_and_by_no_other():
    board = Board()
    watched = watch(board)
    listener, other = watched.listen("a", "1"), watched.listen("b", "1")
    board.tell("a")

    assert listener.wait(20)
    assert [notice.what for notice in listener.take()] == ["entry"]
    # Known by now: nobody is woken by it again.
    before = board.reads
    wait_until(lambda: board.reads > before + 2)
    assert (listener.take(), other.take()) == ([], [])
    listener.close()
    other.close()


def test_on_an_event_loop_many_wait_in_one_thread():
    board = Board()
    watched = watch(board)
    listeners = [watched.listen(name, name) for name in "abc"]
    # Not their number: one of an earlier test may end meanwhile.
    before = set(threading.enumerate())

    def wait(listener):
        board.tell(listener.key)
        return listener.wait(20), len(set(threading.enumerate()) - before)

    assert on_a_loop(*(lambda each=each: wait(each) for each in listeners)) == [(True, 1)] * 3
    for listener in listeners:
        listener.close()


def test_who_types_is_not_told_long_afterwards():
    board = Board()
    board.tell("a", "typing_on", at=1000.0 - STALE_SECONDS - 1)
    board.tell("a", "typing_off", at=1000.0)
    listener = watch(board).listen("a", "1")

    assert listener.wait(20)
    assert [notice.what for notice in listener.take()] == ["typing_off"]
    listener.close()


@pytest.mark.parametrize(
    ("limits", "keys", "addresses"),
    [
        ({"most": 2}, "abc", "123"),
        ({"of_conversation": 2}, "aaa", "123"),
        ({"of_address": 2}, "abc", "111"),
    ],
)
def test_so_many_may_wait_until_one_leaves(limits: dict[str, int], keys: str, addresses: str):
    watched = watch(Board(), **limits)
    listeners = [watched.listen(keys[0], addresses[0]), watched.listen(keys[1], addresses[1])]
    with pytest.raises(TooManyError):
        watched.listen(keys[2], addresses[2])

    listeners[0].close()
    listeners[0].close()

    listeners.append(watched.listen(keys[2], addresses[2]))
    with pytest.raises(TooManyError):
        watched.listen(keys[2], addresses[2])
    for listener in listeners:
        listener.close()


def test_nobody_looks_while_nobody_waits_and_trouble_passes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("receiver.answers.watch._TROUBLE_SECONDS", 0.01)
    board = Board()
    board.failing = True
    watched = watch(board)
    assert board.reads == 0
    listener = watched.listen("a", "1")
    wait_until(lambda: board.reads > 1)
    board.failing = False
    board.tell("a")
    assert listener.wait(20)

    listener.close()
    wait_until(lambda: watched._thread is None)
    reads = board.reads
    again = watched.listen("b", "1")
    board.tell("b")
    assert again.wait(20)
    assert board.reads > reads
    again.close()
