import errno
import threading
import time

import grpc
import pytest
from receiver_support import event, on_a_loop, wait_until

from receiver.app import create_app
from receiver.durable.spool import Spool
from receiver.operate import health
from receiver.web import intake


def heartbeat(app):
    response = app.test_client().get("/__heartbeat__")
    return response.status_code, response.json


def test_all_is_well(app):
    app.extensions[intake.EXTENSION].commit(event(1))
    code, body = heartbeat(app)
    assert (code, body["status"]) == (200, "ok")
    assert set(body["checks"]) == {"disk", "archive", "pubsub", "spool", "refused", "segments"}
    assert body["checks"]["pubsub"]["details"] == {"facebook": "direct"}
    assert body["checks"]["disk"]["details"]["free_bytes"] > 0


@pytest.mark.parametrize("failing", ["os.fsync", "shutil.disk_usage"])
def test_says_500_when_events_cannot_be_kept(app, monkeypatch, failing):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert heartbeat(app)[0] == 200
    monkeypatch.setattr(failing, fail)
    code, body = heartbeat(app)
    assert code == 500
    assert body["checks"]["disk"] == {"status": "error", "details": {"error": "No space left on device"}}


def test_says_500_when_the_disk_is_almost_full(app, monkeypatch):
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 1 << 60)
    assert heartbeat(app)[0] == 500


def test_a_disk_that_hangs_holds_up_only_who_asks_for_it(app, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(health, "check_disk", lambda folder: health.Check("ok", {"waited": go_on.wait(20)}))

    def request():
        assert app.test_client().get("/__lbheartbeat__").status_code == 200
        go_on.set()

    (code, body), _ = on_a_loop(lambda: heartbeat(app), request)
    assert code == 200
    assert body["checks"]["disk"]["details"] == {"waited": True}


def test_warns_while_pubsub_is_down_but_goes_on(app, bus):
    bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    app.extensions[intake.EXTENSION].commit(event(1))
    code, body = heartbeat(app)
    assert (code, body["status"]) == (200, "warning")
    assert body["checks"]["pubsub"]["details"] == {"facebook": "spool"}
    assert body["checks"]["spool"]["details"]["events"] == 1
    bus.faults.clear()
    wait_until(lambda: heartbeat(app)[1]["status"] == "ok")


def test_warns_when_the_spool_gets_old(tmp_path, monkeypatch):
    spool = Spool(tmp_path, "facebook")
    spool.append([event(1)])
    spool.seal()
    assert health.check_waiting(tmp_path, 60).status == "ok"
    later = time.time() + 61
    monkeypatch.setattr("time.time", lambda: later)
    assert health.check_waiting(tmp_path, 60).status == "warning"
    assert health.check_waiting(tmp_path / "none", 60).status == "ok"


def test_warns_of_segments_that_are_damaged_or_could_not_be_taken_over(tmp_path):
    assert health.check_segments([tmp_path], recovering=False).status == "ok"
    assert health.check_segments([tmp_path], recovering=True).status == "warning"
    folder = tmp_path / "other" / "source=facebook"
    folder.mkdir(parents=True)
    (folder / "one.avro.open.corrupt").touch()
    found = health.check_segments([folder.parent], recovering=False)
    assert found.status == "warning"
    assert found.details == {"damaged": 1, "names": ["one.avro.open.corrupt"], "not_taken_over": False}


def test_tells_how_uploads_are_doing_where_there_is_a_bucket(environ):
    app = create_app(environ | {"PARLEY_ARCHIVE": "gs://bucket"})
    assert heartbeat(app)[1]["checks"]["upload"]["details"]["segments"] == 0


def test_the_load_balancer_hears_only_that_the_process_lives(app, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: 1 / 0)
    response = app.test_client().get("/__lbheartbeat__")
    assert (response.status_code, response.data) == (200, b"")


def test_tells_its_version(app, monkeypatch):
    monkeypatch.setenv("PARLEY_COMMIT", "abc123")
    body = app.test_client().get("/__version__").json
    assert (body["name"], body["commit"]) == ("parley", "abc123")
    assert body["version"]
