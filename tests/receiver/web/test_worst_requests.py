"""Every route gets the worst that a stranger can send, and the event loop is not held up by any of it.

What is counted is work and not time: calls that are made on the loop's thread until the answer is there. A call
takes some tenths of a microsecond, so that the bound lies around five milliseconds. What a single call of the
interpreter does to a body is bounded by the length up to which bodies are answered on the loop at all.
"""

import asyncio
import itertools
import json
import logging
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from receiver_support import PROJECT, run_loop

from pipelines.local.topics import create_topics
from receiver.app import create_app
from receiver.config import Limits
from receiver.web import intake
from receiver.web.bodies import WHOLE_BYTES
from receiver.web.connections import Connections
from receiver.web.gateway import Gateway
from receiver.web.limits import by_path

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

MOST_CALLS = 25_000
MAX_BODY = 4 * 1024 * 1024
ORIGIN = "https://shop.example"
SOURCES = """
[standard]
scheme = "standard-webhooks"
[signed]
scheme = "hmac"
[signed.hmac]
header = "X-Signature"
signed = "{timestamp}:{body}"
timestamp_header = "X-Time"
[form]
scheme = "hmac"
[form.hmac]
field = "/sig"
signed = "{url}{fields}"
[token]
scheme = "bearer"
[open]
scheme = "none"
"""
SECRETS = ",".join(f"secret-{number}-of-sixteen-and-more" for number in range(3))


def filled(part: bytes, length: int, first: bytes = b"", last: bytes = b"") -> bytes:
    count = (length - len(first) - len(last)) // len(part)
    return first + part * count + last


def bodies(length: int) -> dict[str, bytes]:
    return {
        "nothing": b"",
        "fields": filled(b"a=b&", length),
        "empty fields": filled(b"&", length),
        "fields of escapes": filled(b"%41=%42&", length),
        "few fields of escapes": filled(b"%41", length),
        "a signature of escapes": filled(b"%41", length, b"sig="),
        "deep": filled(b"[", length),
        "deep objects": filled(b'{"a":', length),
        "deep and whole": filled(b"[", length // 2) + filled(b"]", length // 2),
        "wide": filled(b"0,", length, b"[", b"0]"),
        "wide object": filled(b'"a":[],', length, b"{", b'"b":1}'),
        "escapes": filled(b"\\u0041", length, b'{"message":"', b'"}'),
        "long number": filled(b"9", length, b'{"message":', b"}"),
        "no text": filled(b"\xff", length),
        "blanks": filled(b" ", length),
    }


def headers() -> dict[str, dict[str, str]]:
    long = 60_000
    many = {
        "authorization": "Bearer " + "a." * (long // 2),
        "tokens": "Bearer " + "eyJhbGciOiJIUzI1NiJ9." + "e30" * (long // 3) + ".x",
        "addresses": "1.2.3.4," * (long // 8),
        "signatures": "v1,AAAA " * (long // 8),
        "long": "x" * long,
        "digits": "9" * long,
        "etags": '"a",' * (long // 4),
        "qualities": "a;q=0.1," * (long // 8),
        "parameters": "application/json" + ';a="b"' * (long // 6),
        "cookies": "a=b;" * (long // 4),
        "ranges": "bytes=" + "0-1," * (long // 4),
    }
    return {
        "none": {},
        **{f"authorization: {name}": {"authorization": many[name]} for name in ("authorization", "tokens")},
        "x-forwarded-for": {"x-forwarded-for": many["addresses"]},
        **{
            name: {name: many["long"]}
            for name in (
                *("x-hub-signature-256", "x-hub-signature", "x-twilio-signature", "x-goog-signature"),
                *("x-airy-content-signature", "x-signature", "x-time", "origin", "idempotency-key"),
            )
        },
        "x-time": {"x-time": many["digits"], "x-signature": "x"},
        "webhook-signature": {
            "webhook-id": "i",
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": many["signatures"],
        },
        "if-none-match": {"if-none-match": many["etags"], "if-match": "*"},
        "accept-encoding": {"accept-encoding": many["qualities"]},
        "content-type": {"content-type": many["parameters"]},
        "cookie": {"cookie": many["cookies"]},
        "range": {"range": many["ranges"]},
    }


QUERIES = {"none": "", "fields": "a=b&" * 8_000, "escapes": "%41" * 10_000, "hash": "bodySHA256=" + "0" * 30_000}
TYPES = ("application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=a")


@pytest.fixture
def app(environ, bus, tmp_path):
    (tmp_path / "sources.toml").write_text(SOURCES)
    whsec = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
    create_topics(PROJECT, {"raw-open": "open"})
    app = create_app(
        environ
        | {
            "PARLEY_PUBLIC_URL": "https://hooks.example,https://other.example",
            "PARLEY_METRICS_TOKENS": SECRETS,
            "PARLEY_WHATSAPP_APP_SECRETS": SECRETS,
            "PARLEY_WHATSAPP_VERIFY_TOKENS": SECRETS,
            "PARLEY_TWILIO_AUTH_TOKENS": SECRETS,
            "PARLEY_GOOGLE_KEYS": SECRETS,
            "PARLEY_GOOGLE_CLIENT_TOKENS": SECRETS,
            "PARLEY_AIRY_SIGNATURE_KEYS": SECRETS,
            "PARLEY_CHATPLUGIN_SECRETS": "s" * 32,
            "PARLEY_CHATPLUGIN_CHANNELS": json.dumps({"shop": [ORIGIN]}),
            "PARLEY_CHATPLUGIN_DEMO": "shop",
            "PARLEY_CHATPLUGIN_REQUESTS_PER_MINUTE": "1000000",
            "PARLEY_SOURCES_FILE": str(tmp_path / "sources.toml"),
            "PARLEY_SOURCE_STANDARD_SECRETS": f"{whsec},{whsec}",
            "PARLEY_SOURCE_SIGNED_SECRETS": SECRETS,
            "PARLEY_SOURCE_FORM_SECRETS": SECRETS,
            "PARLEY_SOURCE_TOKEN_SECRETS": SECRETS,
        }
    )
    yield app
    app.extensions[intake.EXTENSION].close()


class Counted:
    """An app of which the calls are counted that it makes on the loop's thread."""

    def __init__(self, app) -> None:
        self._app = app
        self.loop_thread = 0
        self.calls = 0

    def __call__(self, environ, start_response):
        def count(frame, event, argument) -> None:
            self.calls += event in {"call", "c_call"}

        if threading.get_ident() != self.loop_thread:
            return self._app(environ, start_response)
        sys.setprofile(count)
        try:
            return self._app(environ, start_response)
        finally:
            sys.setprofile(None)


class Protocol:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status = 0

    async def __call__(self) -> bytes:
        return self._body

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        if not self._body:
            raise StopAsyncIteration
        part, self._body = self._body[:WHOLE_BYTES], self._body[WHOLE_BYTES:]
        return part

    def response_bytes(self, status, headers, body) -> None:
        self.status = status


def routes(app) -> list[tuple[str, str]]:
    found = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD"}
        # It measures disks, in a thread of its own.
        if rule.rule != "/__heartbeat__"
    }
    return sorted(found | {("/nowhere", "POST")})


def requests(app):
    """Yield every route with each of the worst bodies, headers and queries."""
    limits = by_path(app, MAX_BODY)
    for path, method in routes(app):
        limit = limits.get(path, MAX_BODY) if method == "POST" else 0
        for length in {min(limit, WHOLE_BYTES), limit}:
            for (name, body), kind in itertools.product(bodies(length).items(), TYPES):
                told = {"content-type": kind, "content-length": str(len(body)), "origin": ORIGIN}
                yield f"{method} {path} {name} of {length} as {kind}", method, path, "", told, body
            # As many fields as are taken apart, of a sender who seems to sign.
            form = b"&".join(b"%d=%s" % (number, b"x" * (limit and length // 500 - 5)) for number in range(500))
            told = {"content-type": TYPES[0], "content-length": str(len(form)), "x-twilio-signature": "x" * 28}
            yield f"{method} {path} most fields of {length}", method, path, "", told, form
        usual = {"content-type": "application/json", "origin": ORIGIN, "content-length": "2"}
        for name, costly in headers().items():
            yield f"{method} {path} {name}", method, path, "", usual | costly, b"{}"
        for name, query in QUERIES.items():
            yield f"{method} {path} query of {name}", method, path, query, {"origin": ORIGIN}, b""


def test_no_request_holds_up_the_event_loop(app, caplog):
    # Each refusal writes a line.
    caplog.set_level(logging.CRITICAL)
    counted = Counted(app)
    worst: dict[str, int] = {}

    async def main() -> None:
        counted.loop_thread = threading.get_ident()
        gateway = Gateway(counted, Limits(), by_path(app, MAX_BODY), Connections(100, 10))
        gateway.__rsgi_init__(asyncio.get_running_loop())
        for name, method, path, query, told, body in requests(app):
            scope = SimpleNamespace(
                method=method,
                path=path,
                query_string=query,
                http_version="1.1",
                client="127.0.0.1:1",
                server="127.0.0.1:2",
                scheme="http",
                headers=told,
            )
            counted.calls = 0
            protocol = Protocol(body)
            await gateway(scope, protocol)
            assert 200 <= protocol.status < 600, name
            assert protocol.status != 500, name
            worst[name] = counted.calls

    run_loop(main)

    assert {
        "/sources/standard",
        "/sources/signed",
        "/sources/form",
        "/sources/token",
        "/sources.webhook",
        "/twilio",
        "/chatplugin.send",
    } <= {path for path, _ in routes(app)}
    assert len(worst) > 1_000
    too_much = [f"{name}: {calls}" for name, calls in worst.items() if calls > MOST_CALLS]
    assert not too_much, "\n".join(too_much)
