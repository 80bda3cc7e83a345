"""A disk that really is full: a small tmpfs, where this machine lets us mount one."""

import subprocess

import grpc
import pytest
from receiver_server import serving
from receiver_support import archived, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path):
    """Give a folder with room for little, and a way to give it more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_room(folder) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)


@pytest.mark.parametrize("pubsub_is_down", [False, True])
def test_refuses_while_the_disk_is_full_and_goes_on_without_a_restart(
    environ, bus, tmp_path, disk, pubsub_is_down
):
    environ |= {
        "PARLEY_FACEBOOK_APP_SECRETS": "",
        "PARLEY_ALLOW_UNSIGNED": "facebook",
        "PARLEY_ARCHIVE": str(disk / "archive"),
        "PARLEY_DATA_DIR": str(disk / "data"),
        "PARLEY_WORKERS": "1",
    }
    if pubsub_is_down:
        bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    with serving(environ, tmp_path / "log") as server:
        bodies = [b"%06d" % number + b"x" * 5000 for number in range(100)]
        codes = {body: server.post(body) for body in bodies}
        assert set(codes.values()) == {200, 503}
        assert server.request("POST", "/facebook", bodies[0]).headers["Retry-After"]
        assert server.request("GET", "/__heartbeat__").status == 500
        acked = {body for body, code in codes.items() if code == 200}
        assert {event.data for event in archived(disk, open_too=True)} == acked

        make_room(disk)
        wait_until(lambda: server.post(b"small") == 200)
        assert server.request("GET", "/__heartbeat__").status == 200
        bus.faults.clear()
        wait_until(lambda: {event.data for event in bus.published()} >= acked | {b"small"})
        assert server.terminate() == 0
    kept = [event.data for event in archived(disk / "archive")]
    assert set(kept) == acked | {b"small"} == {event.data for event in bus.published()}
