"""What the tests of the endpoints share: a receiver of a source, and the events that it published."""

import json
from contextlib import contextmanager
from pathlib import Path

from receiver_support import PROJECT, Bus

from pipelines.local.topics import create_topics
from receiver.app import create_app
from receiver.web import intake

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"
VECTORS = FIXTURES / "signature_vectors.json"


@contextmanager
def receiving(environ: dict[str, str], *sources: str, **more: str):
    """Give the client of a receiver whose environment has more variables, `PARLEY_` before their names."""
    create_topics(PROJECT, {f"raw-{source}": f"of-{source}" for source in sources})
    app = create_app(environ | {f"PARLEY_{name}": value for name, value in more.items()})
    try:
        yield app.test_client()
    finally:
        app.extensions[intake.EXTENSION].close()


def published(bus: Bus, source: str):
    """Return the events of a source so far."""
    # Not by the source's name alone: names in Pub/Sub must not start with "goog".
    return bus.published(f"of-{source}")


def only(bus: Bus, source: str):
    """Return the one event of a source."""
    (event,) = published(bus, source)
    return event


def vectors(scheme: str):
    """Return the known-answer vectors of a signature scheme, none where the shared fixtures are missing."""
    if not VECTORS.exists():
        return []
    return [vector for vector in json.loads(VECTORS.read_text()) if vector["scheme"] == scheme]


def one_byte_changed(data: bytes):
    """Yield the data with one byte changed, at the beginning, in the middle and at the end."""
    for at in {0, len(data) // 2, len(data) - 1}:
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
