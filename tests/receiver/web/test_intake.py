import datetime as dt
import logging
import re
import uuid

import pytest
from flask import Response
from receiver_support import archived
from werkzeug.test import EnvironBuilder

from receiver.app import create_app
from receiver.durable.committer import Committers, UnavailableError
from receiver.web import intake
from receiver.web.gateway import PROVEN


@pytest.fixture
def client(app):
    app.add_url_rule(
        "/plain",
        "plain",
        view_func=lambda: intake.receive("facebook", verified_by="test", headers=["X-Kept"]),
        methods=["GET", "POST"],
    )
    app.add_url_rule(
        "/answer",
        "answer",
        view_func=lambda: intake.receive(
            "facebook", verified_by="test", answer=Response("<Response/>", content_type="text/xml")
        ),
        methods=["POST"],
    )
    return app.test_client()


def test_gives_every_event_an_id_and_a_time(client, bus):
    before = dt.datetime.now(dt.UTC)
    client.post("/plain", data=b"1")
    client.post("/plain", data=b"2")
    first, second = bus.published()
    assert uuid.UUID(first.event_id).version == 7
    assert first.event_id < second.event_id
    assert before <= first.received_at <= second.received_at <= dt.datetime.now(dt.UTC)
    assert re.fullmatch(r"[\d-]+T[\d:]+\.\d{6}Z", first.attributes["received_at"])


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf{}", b"\x00\xff\r\n", b"a=b&c=%FF", "ä".encode()])
def test_keeps_the_body_byte_for_byte(client, bus, tmp_path, body):
    form = "application/x-www-form-urlencoded"
    assert client.post("/plain", data=body, content_type=form).status_code == 200
    (event,) = bus.published()
    assert event.data == body
    assert archived(tmp_path / "archive", open_too=True) == [event]


def test_keeps_no_header_that_is_not_asked_for(client, bus):
    client.post(
        "/plain",
        data=b"{}",
        content_type="application/json; charset=utf-8",
        headers={
            "Authorization": "Bearer secret",
            "Cookie": "session=1",
            "X-Forwarded-For": "10.0.0.1",
            "X-Hub-Signature-256": "sha256=00",
            "User-Agent": "sender/1",
            "X-Kept": "yes",
        },
    )
    (event,) = bus.published()
    assert set(event.attributes) == {
        "event_id",
        "source",
        "received_at",
        "verified_by",
        "content_type",
        "header.user-agent",
        "header.x-kept",
    }
    assert event.content_type == "application/json; charset=utf-8"
    assert event.attributes["header.x-kept"] == "yes"


@pytest.mark.parametrize("query", ["a=%2F%7E+b&c", "x=" + "y" * 5000, ""])
def test_keeps_the_query_as_it_was_sent_however_long(client, bus, query):
    assert client.get(f"/plain?{query}").status_code == 200
    (event,) = bus.published()
    assert event.query == query
    assert all(len(value) <= 1024 for value in event.attributes.values())


def test_refuses_an_endless_query(client, bus):
    assert client.get("/plain?" + "x" * 33_000).status_code == 414
    assert not bus.published()


def test_cuts_a_header_to_what_pubsub_takes(client, bus):
    client.post("/plain", data=b"{}", headers={"User-Agent": "é" * 1000})
    (event,) = bus.published()
    assert 1000 < len(event.attributes["header.user-agent"].encode()) <= 1024


def test_gives_the_answer_that_a_source_wants(client):
    response = client.post("/answer", data=b"{}")
    assert (response.status_code, response.data, response.mimetype) == (200, b"<Response/>", "text/xml")


def test_says_nothing_by_default(client):
    response = client.post("/plain", data=b"{}")
    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize(
    ("given", "proven"),
    [
        ({"verified_by": "test"}, True),
        ({"verified_by": intake.UNSIGNED}, False),
        ({"verified_by": "test", "anonymous": True}, False),
    ],
)
def test_tells_the_server_whose_connection_has_proven_itself(app, given, proven):
    environ = EnvironBuilder("/facebook", method="POST", data=b"{}").get_environ()
    with app.request_context(environ):
        intake.receive("facebook", **given)
    assert (PROVEN in environ) is proven


def test_refuses_a_body_over_the_limit(environ, bus, tmp_path):
    app = create_app(environ | {"PARLEY_MAX_BODY_BYTES": "2000"})
    response = app.test_client().post("/facebook", data=b"x" * 2001)
    assert (response.status_code, response.data) == (413, b"Request Entity Too Large\n")
    assert not (tmp_path / "archive").exists()


def test_refuses_a_body_that_was_cut_off(client, bus):
    response = client.post("/plain", data=b"12345", environ_overrides={"CONTENT_LENGTH": "6"})
    assert response.status_code == 400
    assert not bus.published()


def test_asks_to_try_again_where_the_event_is_not_durable(client, monkeypatch, caplog):
    def fail(*_):
        raise UnavailableError("the queue is full")

    monkeypatch.setattr(Committers, "commit", fail)
    response = client.post("/plain", data=b"private text")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    (record,) = caplog.records
    assert uuid.UUID(record.event_id)
    assert "private" not in caplog.text


def test_logs_a_rejection_without_body_signature_or_token(app, caplog):
    caplog.set_level(logging.DEBUG)
    client = app.test_client()
    client.post("/facebook", data=b"private", headers={"X-Hub-Signature-256": "sha256=abcdef"})
    client.get("/facebook?hub.mode=subscribe&hub.verify_token=guess")
    assert [record.source for record in caplog.records] == ["facebook", "facebook"]
    assert not re.search("private|abcdef|guess|secret", caplog.text)
