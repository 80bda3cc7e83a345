"""What the receiver is compared with: a route that does nothing, and the plain way of doing it all.

Served as `python -m granian` and `python -m gunicorn` serve any app: see `bench_receiver.py`.
"""

import hmac
import json
import os
import threading
import time
import uuid
from pathlib import Path

from flask import Flask, Response, abort, request


def bare() -> Flask:
    """Return an app that reads the body and answers: what Flask and its server alone can do."""
    app = Flask("bare")

    @app.post("/facebook")
    def webhook() -> Response:
        request.get_data()
        return Response(status=200)

    return app


def plain() -> Flask:
    """Return an app that checks, publishes and archives each request by itself, as most people do."""
    from google.cloud.pubsub_v1 import PublisherClient

    app = Flask("plain")
    secret = os.environ["PARLEY_FACEBOOK_APP_SECRETS"].encode()
    topic = f"projects/{os.environ['PARLEY_PROJECT']}/topics/raw-facebook"
    folder = Path(os.environ["PARLEY_DATA_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    archive = (folder / f"archive-{os.getpid()}.jsonl").open("ab")
    lock = threading.Lock()
    publisher = PublisherClient()

    @app.post("/facebook")
    def webhook() -> Response:
        body = request.get_data()
        expected = "sha256=" + hmac.new(secret, body, "sha256").hexdigest()
        if not hmac.compare_digest(request.headers.get("X-Hub-Signature-256", ""), expected):
            abort(403)
        attributes = {
            "event_id": str(uuid.uuid4()),
            "source": "facebook",
            "received_at": str(time.time()),
            "content_type": request.content_type or "",
        }
        line = json.dumps({**attributes, "body": body.decode()}).encode() + b"\n"
        with lock:
            archive.write(line)
            archive.flush()
            os.fsync(archive.fileno())
        publisher.publish(topic, body, **attributes).result(timeout=10)
        return Response(status=200)

    return app
