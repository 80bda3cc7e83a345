import contextlib
import logging
import socket
import sys
import time

import pytest
from receiver_support import wait_until

from receiver.web import connections as looked_after
from receiver.web.connections import (
    FAREWELL_SECONDS,
    LEAVING_TAKE_SECONDS,
    LOOK_SECONDS,
    SCAN_SECONDS,
    TAKE_SECONDS,
    Connections,
    _client,
    _close,
    _traffic,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class World:
    """A server of this process, and those who connect to it."""

    def __init__(self, listener: socket.socket, stack: contextlib.ExitStack) -> None:
        self._listener = listener
        self._stack = stack

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Return the two ends of a connection, the server's last."""
        theirs = self._stack.enter_context(socket.create_connection(self._listener.getsockname()))
        ours, _ = self._listener.accept()
        return theirs, self._stack.enter_context(ours)

    def close(self) -> None:
        """Take no connections any more."""
        self._listener.close()


@pytest.fixture
def world():
    with contextlib.ExitStack() as stack:
        yield World(stack.enter_context(socket.create_server(("127.0.0.1", 0))), stack)


def is_closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


def ask(theirs: socket.socket, ours: socket.socket) -> None:
    received = _traffic(ours).received
    theirs.sendall(b"x")
    wait_until(lambda: _traffic(ours).received > received)


def answer(theirs: socket.socket, ours: socket.socket) -> None:
    sent = _traffic(ours).sent
    ours.sendall(b"y")
    theirs.recv(1)
    wait_until(lambda: _traffic(ours).sent > sent)


def idle_connection(world: World) -> socket.socket:
    """Return a sender's end of a connection over which one request was answered."""
    theirs, ours = world.connect()
    ask(theirs, ours)
    answer(theirs, ours)
    return theirs


def test_who_says_nothing_is_cut_off_and_who_was_answered_may_idle(world, clock):
    connections = Connections(100, 10, clock)
    silent, _ = world.connect()
    answered = idle_connection(world)
    connections.scan()
    clock.now += 9
    connections.scan()
    assert not is_closed(silent)
    clock.now += 2
    connections.scan()

    assert (is_closed(silent), is_closed(answered)) == (True, False)
    clock.now += 10_000
    connections.scan()
    assert not is_closed(answered)


def fill(ours: socket.socket) -> None:
    """Send what nobody takes, until no more goes out."""
    ours.setblocking(False)
    before = -1
    while before != (before := _traffic(ours).sent):
        with contextlib.suppress(BlockingIOError):
            while ours.send(65_536 * b"z"):
                pass
        time.sleep(0.3)
    assert _traffic(ours).is_owed


def test_who_takes_nothing_of_an_answer_is_cut_off_also_while_it_lasts(world, clock):
    connections = Connections(100, 10, clock)
    pairs = [world.connect() for _ in range(3)]
    for theirs, ours in pairs:
        ask(theirs, ours)
        fill(ours)
    _, (_, lasting), (slow, slowly) = pairs
    connections.busy.add(_client(lasting))
    read = bytearray(4_000_000)
    for _ in range(2):
        connections.scan()
        clock.now += TAKE_SECONDS - 1
        sent = _traffic(slowly).sent
        slow.recv_into(read, flags=socket.MSG_WAITALL, nbytes=500_000)
        wait_until(lambda: _traffic(slowly).sent > sent)  # noqa: B023
    connections.scan()

    # What had come by then can still be read.
    assert [_state(ours) for _, ours in pairs] == ["closed", "closed", "open"]


def test_a_server_that_ends_waits_for_nobody_who_takes_nothing(world, clock):
    connections = Connections(100, 10, clock)
    theirs, ours = world.connect()
    ask(theirs, ours)
    fill(ours)
    connections.scan()
    world.close()
    clock.now += LEAVING_TAKE_SECONDS + 1
    connections.scan()
    assert _state(ours) == "open"

    connections.leave()
    connections.scan()

    assert _state(ours) == "closed"


def _state(ours: socket.socket) -> str:
    try:
        ours.send(b"z")
    except BlockingIOError:
        return "open"
    except OSError:
        return "closed"
    return "open"


def test_headers_that_come_byte_by_byte_have_the_same_time(world, clock):
    connections = Connections(100, 10, clock)
    slow, ours = world.connect()
    for _ in range(12):
        ask(slow, ours)
        connections.scan()
        clock.now += 1
    assert is_closed(slow)


def test_a_further_request_that_is_begun_and_not_ended_is_cut_off(world, clock):
    connections = Connections(100, 10, clock)
    theirs, ours = world.connect()
    ask(theirs, ours)
    answer(theirs, ours)
    connections.scan()
    ask(theirs, ours)
    connections.scan()
    clock.now += 11
    connections.scan()

    assert is_closed(theirs)


def test_requests_that_are_answered_between_two_looks_are_no_beginning_of_one(world, clock):
    connections = Connections(100, 10, clock)
    theirs, ours = world.connect()
    for _ in range(5):
        ask(theirs, ours)
        answer(theirs, ours)
        connections.scan()
        clock.now += 9
    connections.scan()
    clock.now += 1_000
    connections.scan()
    assert not is_closed(theirs)


def test_a_connection_whose_request_is_being_answered_is_left_alone(world, clock):
    connections = Connections(4, 10, clock)
    busy, ours = world.connect()
    connections.busy.add(_client(ours))
    others = [world.connect() for _ in range(6)]
    for _ in range(3):
        connections.scan()
        clock.now += 1_000
    assert not is_closed(busy)
    assert all(is_closed(theirs) for theirs, _ in others)


def test_where_they_are_too_many_those_give_way_that_were_never_answered_and_then_those_that_idle_longest(
    world, clock
):
    connections = Connections(10, 10, clock)
    answered = []
    for _ in range(4):
        answered.append(idle_connection(world))
        connections.scan()
        clock.now += 1
    silent = [world.connect()[0] for _ in range(3)]
    connections._most = 100
    connections.scan()
    connections._most = 10
    clock.now += 2
    fresh = world.connect()[0]
    connections.scan()
    assert not is_closed(fresh)
    assert [is_closed(each) for each in silent] == [True] * 3
    assert not any(is_closed(each) for each in answered)


def test_of_idle_connections_those_give_way_that_idle_longest(world, clock):
    connections = Connections(100, 10, clock)
    answered = []
    for _ in range(4):
        answered.append(idle_connection(world))
        connections.scan()
        clock.now += 1
    connections._most = 4
    connections.scan()

    assert [is_closed(each) for each in answered] == [True, True, False, False]


def test_sources_that_idle_are_kept_while_those_give_way_who_say_nothing(world, clock):
    connections = Connections(100, 10, clock)
    ends = {}

    def connect(name: str, asks: bool = False, answered: bool = False, proven: bool = False) -> None:
        ends[name] = theirs, ours = world.connect()
        if asks or answered:
            ask(theirs, ours)
        if answered:
            answer(theirs, ours)
        if proven:
            connections.prove(_client(ours))

    def left_of(most: int) -> set[str]:
        connections._most = most
        connections.scan()
        for name in [name for name, (theirs, _) in ends.items() if is_closed(theirs)]:
            # As the server does.
            for each in ends.pop(name):
                each.close()
        return set(ends)

    for number in range(4):
        connect(f"proven {number}", answered=True, proven=True)
        connections.scan()
        clock.now += 1
    connect("answered", answered=True)
    # It has just begun, and its request has not come through yet.
    connect("asks", asks=True)
    connections.scan()
    # All is slow: who said something may wait longer than who said nothing.
    clock.now += 2
    for number in range(4):
        connect(f"silent {number}")
    connections.scan()
    clock.now += 0.5
    # Only half of them may wait. A quarter, two, are kept of those who are proven.
    assert left_of(8) == {"proven 2", "proven 3", "answered", "asks"}
    assert left_of(4) == {"proven 3", "asks"}
    clock.now += 4
    for name in ("asks later", "asks last"):
        connect(name, asks=True)
        connections.scan()
        clock.now += 0.1
    # Who did not go on has had its time.
    assert left_of(4) == {"proven 3", "asks last"}


def test_who_came_this_moment_gives_way_after_those_that_idle(world, clock):
    connections = Connections(4, 10, clock)
    idle = [idle_connection(world) for _ in range(4)]
    # Its request is on its way.
    new, _ = world.connect()
    connections.scan()

    assert not is_closed(new)
    assert sum(map(is_closed, idle)) == 3


def test_of_those_that_came_between_two_looks_the_last_is_kept(world, clock):
    connections = Connections(4, 10, clock)
    pairs = []
    for _ in range(4):
        theirs, ours = world.connect()
        ask(theirs, ours)
        pairs.append(theirs)
        wait_until(lambda: _traffic(ours).quiet > 0.02)  # noqa: B023
    connections.scan()
    assert [is_closed(each) for each in pairs] == [True, True, False, False]


def test_who_was_proven_is_forgotten_with_the_connection(world, clock):
    connections = Connections(100, 10, clock)
    theirs, ours = world.connect()
    client = _client(ours)
    connections.prove(client)
    connections.scan()
    assert connections._proven == {client}
    theirs.close()
    ours.close()
    connections.scan()
    assert connections._proven == set()


def test_a_descriptor_that_has_become_anothers_is_left_alone(world):
    theirs, ours = world.connect()
    for other in ("192.0.2.1:1", "0.0.0.0:1"):
        _close(other, ours.fileno())
        assert not is_closed(theirs)
    _close(_client(ours), ours.fileno())
    assert is_closed(theirs)


def test_who_sends_what_nobody_wants_is_cut_off_once_answered(world, clock):
    connections = Connections(100, 1_000, clock)
    theirs, ours = world.connect()
    connections.condemn(_client(ours))
    connections.busy.add(_client(ours))
    clock.now += 10
    connections.scan()
    assert not is_closed(theirs)
    connections.busy.clear()
    connections.condemn(_client(ours))
    clock.now += FAREWELL_SECONDS / 2
    connections.scan()
    # Its answer may not be out yet.
    assert not is_closed(theirs)
    clock.now += FAREWELL_SECONDS
    connections.scan()
    assert is_closed(theirs)
    ours.close()
    connections.scan()
    assert connections._condemned == {}


def test_connections_of_others_are_left_alone(world, clock):
    with (
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        socket.create_connection(elsewhere.getsockname()) as outgoing,
    ):
        there, _ = elsewhere.accept()
        world.connect()
        # Only what came in by a port that this process listens on is its server's.
        elsewhere.close()
        connections = Connections(100, 10, clock)
        connections.scan()
        clock.now += 1_000
        connections.scan()
        assert not is_closed(outgoing)
        there.close()


def test_an_address_is_written_as_the_server_does():
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as listener,
        socket.create_connection(listener.getsockname()[:2]) as theirs,
    ):
        ours, _ = listener.accept()
        with ours:
            assert _client(ours) == f"[::1]:{theirs.getsockname()[1]}"


def test_where_there_is_room_nobody_gives_way(world, clock):
    connections = Connections(10, 1_000, clock)
    idle = [world.connect()[0] for _ in range(7)]
    clock.now += 900
    connections.scan()
    clock.now += 90
    connections.scan()
    assert not any(map(is_closed, idle))


def test_who_is_cut_off_anyhow_makes_room_beside_those_who_give_way(world, clock):
    connections = Connections(8, 10, clock)
    silent = [world.connect()[0] for _ in range(2)]
    connections.scan()
    clock.now += 11
    idle = [idle_connection(world) for _ in range(6)]
    connections.scan()
    # Half of the eight may wait: of those that idle two have to go.
    assert all(map(is_closed, silent))
    assert sum(map(is_closed, idle)) == 2


def test_the_kernel_tells_for_how_long_nothing_came(world):
    theirs, ours = world.connect()
    # Before it is sent: what is between sending and looking the kernel counts, too.
    began = time.monotonic()
    ask(theirs, ours)
    wait_until(lambda: _traffic(ours).quiet > 1.1)
    assert _traffic(ours).quiet <= time.monotonic() - began + 0.1


def test_looking_takes_no_more_than_its_share_of_the_time(monkeypatch, clock, caplog):
    """Where there are few, each second; where they are many, as often as three times the look leaves to others."""
    connections = Connections(100, 10, clock)
    count, slept, scans = [10], [], []

    class Over(BaseException):
        pass

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        clock.now += seconds
        if len(slept) == 40:
            raise Over

    def scan() -> None:
        scans.append(round(clock.now - 1_000, 3))
        clock.now += 0.2
        if len(scans) == 2:
            count[0] = 76

    monkeypatch.setattr(looked_after, "_count", lambda: count[0])
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(connections, "scan", scan)
    with pytest.raises(Over), caplog.at_level(logging.ERROR, "receiver.web.connections"):
        connections._run()
    assert set(slept) == {LOOK_SECONDS, 0.6}
    apart = [round(later - one, 3) for one, later in zip([0.0, *scans], scans, strict=False)]
    assert apart[:2] == [SCAN_SECONDS] * 2
    assert set(apart[2:]) == {round(0.2 + 0.6 + LOOK_SECONDS, 3)}
    assert caplog.text == ""
