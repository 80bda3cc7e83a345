from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from receiver_support import PROJECT, TOPICS, Bus

from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics
from receiver.app import create_app
from receiver.durable.publisher import Publisher
from receiver.web import intake


@pytest.fixture
def bus(pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    create_topics(PROJECT, TOPICS)
    bus = Bus(pubsub)
    yield bus
    bus.close()


@pytest.fixture
def publisher(bus: Bus) -> Iterator[Publisher]:
    publisher = Publisher(PROJECT, "raw-")
    yield publisher
    publisher.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A receiver's environment with one source; tests add to it before they ask for `app`."""
    return {
        "PARLEY_PROJECT": PROJECT,
        "PARLEY_ARCHIVE": str(tmp_path / "archive"),
        "PARLEY_DATA_DIR": str(tmp_path / "data"),
        "PARLEY_FACEBOOK_APP_SECRETS": "old-secret,new-secret",
        "PARLEY_FACEBOOK_VERIFY_TOKENS": "token",
    }


@pytest.fixture
def app(environ: dict[str, str], bus: Bus) -> Iterator[Flask]:
    app = create_app(environ)
    yield app
    app.extensions[intake.EXTENSION].close()
