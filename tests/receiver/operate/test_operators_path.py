"""The way of whoever is woken: from an alert, by what its page says to look at, to the cause, and back to well."""

import errno
import hmac
import os
import re
import time
from pathlib import Path

import grpc
import pytest
from receiver_support import event, wait_until

from receiver.app import create_app
from receiver.web import intake

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
ALERT = re.compile(
    r"^\| (?P<name>[\w ]+) \| `(?P<expression>[^`]+)` \| \[[^\]]+\]\(#(?P<section>[\w-]+)\) \|$", re.M
)


@pytest.fixture
def watched(environ, bus):
    """A receiver of whose metrics one may ask."""
    app = create_app(environ | {"PARLEY_METRICS_TOKENS": "metrics-token"})
    yield app
    app.extensions[intake.EXTENSION].close()


def alert(name: str) -> tuple[str, str]:
    """Return an alert's expression, and the section that says what to do."""
    found = next(each for each in ALERT.finditer(PAGE) if each["name"] == name)
    section = next(
        text for text in re.split(r"^### ", PAGE, flags=re.M) if _anchor(text.splitlines()[0]) == found["section"]
    )
    return found["expression"], " ".join(section.split())


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def samples(app, metric: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have labels, by regular expressions."""
    told = app.test_client().get("/metrics", headers={"Authorization": "Bearer metrics-token"}).text
    found = re.findall(rf"^{metric}\{{(.*?)\}} (\S+)$", told, re.M)
    return sum(
        float(value)
        for known, value in found
        if all(re.search(rf'\b{name}="{wanted}"', known) for name, wanted in labels.items())
    )


def post(app, body: bytes = b'{"object":"page","entry":[]}'):
    """Post a webhook of a proven sender."""
    proof = {"X-Hub-Signature-256": f"sha256={hmac.digest(b'new-secret', body, 'sha256').hex()}"}
    return app.test_client().post("/facebook", data=body, headers=proof)


def heartbeat(app):
    response = app.test_client().get("/__heartbeat__")
    return response.status_code, response.json


def test_from_the_spool_grows_to_a_dead_pubsub_and_back(watched, bus, monkeypatch, caplog):
    expression, section = alert("spool grows")
    assert expression == "max(parley_receiver_spool_oldest_seconds) > 60"
    bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    watched.extensions[intake.EXTENSION].commit(event(1))
    with monkeypatch.context() as later:
        then = time.time() + 90
        later.setattr(time, "time", lambda: then)
        assert samples(watched, "parley_receiver_spool_oldest_seconds") > 60

    assert "`publishing through the spool:`" in section
    assert "`UNAVAILABLE`" in section
    (line,) = (each for each in caplog.messages if each.startswith("publishing through the spool:"))
    assert "UNAVAILABLE" in line
    code, body = heartbeat(watched)
    assert (code, body["checks"]["pubsub"]) == (200, {"status": "warning", "details": {"facebook": "spool"}})

    bus.faults.clear()
    wait_until(lambda: heartbeat(watched)[1]["status"] == "ok")
    assert samples(watched, "parley_receiver_spool_oldest_seconds") < 60


def test_from_requests_fail_to_a_full_disk_and_back(watched, monkeypatch):
    expression, section = alert("requests fail")
    before = samples(watched, "parley_receiver_requests_total", status="5..")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        refused = post(watched)
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert 'parley_receiver_requests_total{status=~"5.."}' in expression
        assert samples(watched, "parley_receiver_requests_total", status="5..") == before + 1

        assert "If `disk` or `archive` is an error, the disk is full or gone" in section
        code, body = heartbeat(watched)
        assert (code, body["checks"]["disk"]["details"]) == (500, {"error": "No space left on device"})

    assert "by itself" in section
    assert post(watched).status_code == 200
    assert heartbeat(watched)[1]["status"] == "ok"
