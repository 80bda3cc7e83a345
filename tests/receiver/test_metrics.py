import time

import pytest
from receiver_support import event, events

from receiver.app import create_app
from receiver.durable.spool import Spool
from receiver.web import intake

BEARER = {"Authorization": "Bearer metrics-token"}


def scrape(app) -> dict[str, float]:
    text = app.test_client().get("/metrics", headers=BEARER).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_counts_requests_rejections_and_commits(environ, bus):
    app = create_app(environ | {"PARLEY_METRICS_TOKENS": "metrics-token"})
    before = scrape(app)
    app.test_client().post("/facebook", data=b"{}")
    app.extensions[intake.EXTENSION].commit(event(1))
    after = scrape(app)
    app.extensions[intake.EXTENSION].close()

    def grown(name: str) -> float:
        return after[f"parley_receiver_{name}"] - before.get(f"parley_receiver_{name}", 0)

    assert grown('requests_total{source="facebook",status="403"}') == 1
    reason = "wrong or missing X-Hub-Signature-256"
    assert grown(f'rejected_total{{reason="{reason}",source="facebook"}}') == 1
    assert grown('commit_seconds_count{source="facebook"}') == 1
    assert grown('group_events_count{source="facebook"}') == 1
    assert grown('published_total{source="facebook",way="direct"}') == 1


def test_shows_the_spool_of_all_processes(environ, tmp_path):
    app = create_app(environ | {"PARLEY_METRICS_TOKENS": "metrics-token"})
    spool = Spool(tmp_path / "data" / "spool", "other")
    spool.append(events(3, source="other"))
    spool.seal()
    shown = scrape(app)
    assert shown['parley_receiver_spool_events{source="other"}'] == 3
    assert shown['parley_receiver_spool_oldest_seconds{source="other"}'] >= 0


def test_shows_what_is_not_uploaded_yet(environ, tmp_path):
    environ |= {"PARLEY_METRICS_TOKENS": "metrics-token", "PARLEY_ARCHIVE": "gs://bucket"}
    spool = Spool(tmp_path / "data" / "archive", "other")
    spool.append(events(2, source="other"))
    spool.seal()
    assert scrape(create_app(environ))['parley_receiver_upload_events{source="other"}'] == 2


def test_a_segment_that_is_still_written_is_not_late(environ, tmp_path, monkeypatch):
    """However long it may be open: only what should have been closed waits to be uploaded."""
    environ |= {"PARLEY_METRICS_TOKENS": "metrics-token", "PARLEY_ARCHIVE": "gs://bucket"}
    app = create_app(environ | {"PARLEY_SEGMENT_SECONDS": "3600"})
    spool = Spool(tmp_path / "data" / "archive", "other")
    spool.append(events(2, source="other"))
    began = time.time()
    for age, late, status in ((3500, 0, "ok"), (4400, 800, "ok"), (4600, 1000, "warning")):
        monkeypatch.setattr("time.time", lambda age=age: began + age)
        shown = scrape(app)['parley_receiver_upload_oldest_seconds{source="other"}']
        assert shown == pytest.approx(late, abs=5)
        assert app.test_client().get("/__heartbeat__").json["checks"]["upload"]["status"] == status
    spool.seal()


def test_is_for_bearers_of_the_token_only(environ):
    client = create_app(environ | {"PARLEY_METRICS_TOKENS": "one,two"}).test_client()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401
    assert client.get("/metrics", headers=BEARER).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer two"}).status_code == 200


def test_is_not_there_without_a_token(environ):
    assert create_app(environ).test_client().get("/metrics").status_code == 404
