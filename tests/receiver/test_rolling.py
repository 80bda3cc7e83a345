"""Rolls two receivers to another version under load, as docs/upgrading.md says, while Pub/Sub fails."""

import contextlib
import http.client
import itertools
import json
import sys
import threading

import grpc
import pytest
from receiver_server import Server, serving
from receiver_support import archived, wait_until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="runs worker processes"), pytest.mark.thorough]


class Balancer:
    """Sends unique bodies to one receiver or the other: to who answers, as a load balancer does."""

    def __init__(self, servers: list[Server], threads: int = 4) -> None:
        self.acked: set[bytes] = set()
        self.refused: list[bytes] = []
        self._servers = servers
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            body = b'{"n":%d}' % number
            turn = number % len(self._servers)
            for server in self._servers[turn:] + self._servers[:turn]:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if server.post(body) == 200:
                        self.acked.add(body)
                        break
            else:
                self.refused.append(body)

    def pass_on(self, count: int) -> None:
        """Wait until so many more requests were answered with 200."""
        enough = len(self.acked) + count
        wait_until(lambda: len(self.acked) >= enough, 60)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def version(server: Server) -> str:
    return json.loads(server.request("GET", "/__version__").body)["commit"]


def test_receivers_are_rolled_one_by_one_and_no_request_is_lost(environ, bus, tmp_path):
    environ |= {"PARLEY_FACEBOOK_APP_SECRETS": "", "PARLEY_ALLOW_UNSIGNED": "facebook", "PARLEY_WORKERS": "1"}
    # A disk each, and one archive for both.
    of = {name: environ | {"PARLEY_DATA_DIR": str(tmp_path / name)} for name in "ab"}
    with contextlib.ExitStack() as stack:

        def started(name: str, commit: str) -> Server:
            return stack.enter_context(
                serving(of[name] | {"PARLEY_COMMIT": commit}, tmp_path / f"{name}-{commit}")
            )

        servers = [started(name, "old") for name in "ab"]
        balancer = Balancer(servers)
        stack.callback(balancer.stop)
        balancer.pass_on(50)
        bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
        for place, name in enumerate("ab"):
            balancer.pass_on(50)
            assert servers[place].terminate() == 0
            # The next version finds a spool that is not empty.
            assert list((tmp_path / name / "spool").rglob("*.avro"))
            balancer.pass_on(50)
            servers[place] = started(name, "new")
        bus.faults.clear()
        balancer.pass_on(50)
        balancer.stop()
        assert [version(server) for server in servers] == ["new", "new"]
        assert balancer.refused == []
        wait_until(lambda: {event.data for event in bus.published()} >= balancer.acked, 60)
        assert [server.terminate() for server in servers] == [0, 0]
    assert {event.data for event in archived(tmp_path / "archive")} >= balancer.acked
    assert not list(tmp_path.glob("?/spool/**/*.avro"))
