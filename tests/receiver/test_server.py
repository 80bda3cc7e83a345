import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from receiver_server import serving
from receiver_support import archived, wait_until

from receiver import server as receiver_of_this_process
from receiver.config import Config, ConfigError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def server(environ, bus, tmp_path):
    with serving(environ | {"PARLEY_ALLOW_UNSIGNED": "facebook"} | unsigned(environ), tmp_path / "log") as server:
        yield server


def unsigned(environ) -> dict[str, str]:
    return {"PARLEY_FACEBOOK_APP_SECRETS": "", "PARLEY_METRICS_TOKENS": "token"}


def bodies(events) -> set[bytes]:
    return {event.data for event in events}


def test_serves_by_several_processes_and_shuts_down_cleanly(server, bus, tmp_path):
    sent = {b'{"n":%d}' % number for number in range(40)}
    assert {server.post(body) for body in sent} == {200}
    metrics = server.request("GET", "/metrics", Authorization="Bearer token").body.decode()
    assert 'parley_receiver_requests_total{source="facebook",status="200"} 40.0' in metrics
    assert server.terminate() == 0
    assert bodies(archived(tmp_path / "archive")) == sent == bodies(bus.published())
    assert not list(tmp_path.rglob("*.open"))


def test_finishes_what_is_in_flight_when_it_is_asked_to_stop(environ, bus, tmp_path):
    environ = environ | unsigned(environ)
    # All requests come while the first group gathers.
    environ |= {"PARLEY_PUBLISH_SECONDS": "60", "PARLEY_COMMIT_SECONDS": "60", "PARLEY_GROUP_SECONDS": "1"}
    with serving(environ | {"PARLEY_ALLOW_UNSIGNED": "facebook"}, tmp_path / "log") as server:
        bus.faults.set("Publish", hang=True)
        connections = [server.connect() for _ in range(10)]
        for number, connection in enumerate(connections):
            connection.request("POST", "/facebook", b"%d" % number)
        wait_until(lambda: len(archived(tmp_path / "archive", open_too=True)) == 10)
        server.process.terminate()
        wait_until(lambda: "Stopping worker" in server.log)
        bus.faults.clear()
        assert [connection.getresponse().status for connection in connections] == [200] * 10
        assert server.process.wait(30) == 0
        for connection in connections:
            connection.close()
    assert len(archived(tmp_path / "archive")) == 10
    assert bodies(archived(tmp_path / "archive")) == bodies(bus.published())


def test_goes_on_when_a_worker_is_killed(server, bus):
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in server.workers() and len(server.workers()) == 2)
    wait_until(server.answers)
    wait_until(lambda: server.post(b"after") == 200)


def test_its_workers_end_when_the_main_process_is_killed(server, tmp_path):
    assert server.post(b"1") == 200
    workers = server.workers()
    server.process.kill()
    # A worker that shuts down may take as long as its configuration says.
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 60)
    assert bodies(archived(tmp_path / "archive")) == {b"1"}


def test_listens_on_a_host_that_has_a_name(environ, bus, tmp_path):
    with serving(environ | {"PARLEY_HOST": "localhost"}, tmp_path / "log") as server:
        assert server.request("GET", "/__lbheartbeat__").status == 200
        assert f"listening on http://localhost:{server.port}" in server.log


def test_does_not_start_where_it_is_not_configured(environ):
    del environ["PARLEY_PROJECT"]
    environ["PARLEY_WORKERS"] = "none"
    command = [sys.executable, "-m", "receiver"]
    process = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 1
    assert "PARLEY_PROJECT is not set" in process.stderr
    assert "PARLEY_WORKERS must be" in process.stderr
    assert "Traceback" not in process.stderr


def test_does_not_start_on_a_port_that_another_receiver_has(server, environ):
    process = subprocess.run(
        [sys.executable, "-m", "receiver"],
        env=os.environ | environ | {"PARLEY_HOST": "127.0.0.1", "PARLEY_PORT": str(server.port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in process.stderr
    assert "Traceback" not in process.stderr


def answer_to(server, start: bytes, *, goes_away: bool) -> bytes:
    """Return the beginning of the answer to what a sender has written."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), timeout=20)) as sock:
        sock.sendall(b"POST /facebook HTTP/1.1\r\nHost: x\r\n" + start)
        if goes_away:
            sock.shutdown(socket.SHUT_WR)
        return sock.recv(12)


def test_a_body_that_its_sender_cuts_off_is_not_kept(server, bus, tmp_path):
    chunked = b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
    for cut in (b"Content-Length: 100\r\n\r\n12345", chunked):
        assert not answer_to(server, cut, goes_away=True).startswith(b"HTTP/1.1 2")
    assert answer_to(server, chunked + b"0\r\n\r\n", goes_away=False) == b"HTTP/1.1 411"
    assert server.post(b"whole") == 200
    assert server.terminate() == 0
    assert bodies(archived(tmp_path / "archive")) == {b"whole"} == bodies(bus.published())
    assert "Traceback" not in server.log


def test_slow_senders_hold_up_nobody_else(server):
    slow = []
    try:
        for number in range(150):
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            start = b"POST /facebook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            sock.sendall(start if number % 2 else start + b"\r\n1")
            slow.append(sock)
        assert {server.post(b"%d" % number) for number in range(20)} == {200}
    finally:
        for sock in slow:
            sock.close()


def test_headers_have_a_limit(server):
    response = server.request("GET", "/__lbheartbeat__", **{"X-Long": "x" * 200_000})
    assert response.status == 431


def test_a_sender_of_slow_headers_is_cut_off(environ, bus, tmp_path):
    with (
        serving(environ | {"PARLEY_KEEP_ALIVE_SECONDS": "1"}, tmp_path / "log") as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), timeout=30)) as sock,
    ):
        sock.sendall(b"POST /facebook HTTP/1.1\r\nHost:")
        assert sock.recv(1) == b""


def test_keeps_a_connection_open_longer_than_a_load_balancer_does(environ):
    assert Config.from_environ(environ).keep_alive_seconds > 600


def test_a_sender_of_a_slow_body_is_cut_off(environ, bus, tmp_path):
    environ = environ | unsigned(environ) | {"PARLEY_ALLOW_UNSIGNED": "facebook", "PARLEY_BODY_SECONDS": "0.2"}
    with serving(environ, tmp_path / "log") as server:
        assert answer_to(server, b"Content-Length: 100\r\n\r\n1", goes_away=False) == b"HTTP/1.1 408"
        assert server.post(b"whole") == 200
    assert bodies(bus.published()) == {b"whole"}


def test_a_body_that_is_too_long_is_refused_before_it_comes(server):
    assert answer_to(server, b"Content-Length: 100000000\r\n\r\n1", goes_away=False) == b"HTTP/1.1 413"


@pytest.mark.parametrize(
    ("limits", "allowed", "told"),
    [
        ((1024, 1_000_000), 2000, (2256, 1_000_000)),
        # As far as the system lets us.
        ((1024, 2000), 1744, (2000, 2000)),
        ((1024, resource.RLIM_INFINITY), 2000, (2256, resource.RLIM_INFINITY)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 2000, None),
        ((5000, 5000), 2000, None),
    ],
)
def test_takes_more_connections_than_it_keeps_so_that_nobody_waits_for_others_to_give_way(
    monkeypatch, limits, allowed, told
):
    said = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: said.append(given))
    assert receiver_of_this_process._allowed_connections(1000) == allowed
    assert said == ([told] if told else [])


def test_does_not_start_where_the_system_allows_less_connections_than_it_is_told(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1200))
    with pytest.raises(ConfigError, match="at most 944 here"):
        receiver_of_this_process._allowed_connections(1000)


def test_a_worker_whose_main_process_died_at_its_birth_ends_by_itself():
    # As a worker does it: the process that started it is gone before it says that it wants to hear of that.
    program = (
        "import multiprocessing, os, sys, time\n"
        "from receiver import server\n"
        "def worker(pid):\n"
        "    while os.getppid() == pid: time.sleep(0.01)\n"
        "    server._end_with_parent()\n"
        "    os.write(1, b'lives')\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.get_context('fork').Process(target=worker, args=(os.getpid(),)).start()\n"
        "    os._exit(0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    # The pipe ends when the last who could write to it has ended.
    assert ended.stdout == b""


def test_a_worker_of_a_living_main_process_goes_on():
    program = (
        "import multiprocessing, os\n"
        "from receiver import server\n"
        "def worker():\n"
        "    server._end_with_parent()\n"
        "    os.write(1, b'lives')\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('fork').Process(target=worker)\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"lives"
