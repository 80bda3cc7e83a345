"""A receiver with a live chat, as a visitor's browser sees it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fastavro
from flask import Flask
from werkzeug.test import TestResponse

from pipelines.local.topics import create_topics
from receiver.app import create_app
from receiver.web import intake
from schemas.raw_event import RawEvent

PROJECT = "parley-test"
OLD_SECRET, SECRET = "o" * 32, "s" * 32
SHOP, HELP = "https://shop.example", "https://help.example"
CHANNELS = '{"shop": ["https://shop.example", "http://127.0.0.1:5000"], "help": ["https://help.example"]}'


class Chat:
    """The API of one receiver, called from a web site's origin."""

    def __init__(self, app: Flask, archive: Path) -> None:
        self.client = app.test_client()
        self._committers: Any = app.extensions[intake.EXTENSION]
        self._archive = archive

    def post(self, name: str, body: Any = None, *, origin: str | None = SHOP, **headers: str) -> TestResponse:
        sent = {"Origin": origin} if origin else {}
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.post(f"/chatplugin.{name}", json={} if body is None else body, headers=sent)

    def authenticate(self, channel_id: str = "shop", **more: Any) -> dict[str, Any]:
        response = self.post("authenticate", {"channel_id": channel_id, **more})
        assert response.status_code == 200, response.text
        return response.json

    def send(self, token: str, message: Any = None, *, key: str | None = None, **more: Any) -> TestResponse:
        headers = {"Idempotency_Key": key} if key else {}
        headers["Authorization"] = f"Bearer {token}"
        return self.post("send", {"message": message or {"text": "Hello"}}, **headers, **more)

    def stored(self) -> list[RawEvent]:
        """Stop the receiver, and return the raw events that it had taken."""
        self._committers.close()
        events = []
        for path in sorted(self._archive.rglob("*.avro")):
            with path.open("rb") as file:
                events += [RawEvent.from_avro(record) for record in fastavro.reader(file)]
        return events


def environ_of_a_chat(folder: Path, **settings: str) -> dict[str, str]:
    """Return the variables of a chat of two channels; settings are given without their prefix."""
    environ = {
        "PROJECT": PROJECT,
        "ARCHIVE": str(folder / "archive"),
        "DATA_DIR": str(folder / "data"),
        "CHATPLUGIN_SECRETS": SECRET,
        "CHATPLUGIN_CHANNELS": CHANNELS,
    } | settings
    return {f"PARLEY_{name}": value for name, value in environ.items()}


@contextmanager
def chat(folder: Path, **settings: str) -> Iterator[Chat]:
    """A chat of two channels; settings are given without their prefix."""
    create_topics(PROJECT, {"raw-chatplugin": "chatplugin"})
    app = create_app(environ_of_a_chat(folder, **settings))
    with closing(app.extensions[intake.EXTENSION]):
        yield Chat(app, folder / "archive")
