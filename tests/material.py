"""Every body that tests know, as the raw event that it came in.

Samples are our own. Recorded payloads, and bodies made after public bug reports, are not part of the repository:
they are read where they lie beside the checkout.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.sources import registry
from pipelines.sources.custom import OwnJson
from schemas.raw_event import RawEvent, format_received_at

SAMPLES = Path(__file__).parent / "samples"
SHARED = Path(__file__).parents[2] / "shared"
FIXTURES, FAULTS = SHARED / "fixtures", SHARED / "faults"
RECEIVED_AT = dt.datetime(2026, 11, 18, 18, 30, tzinfo=dt.UTC)
FORM = "application/x-www-form-urlencoded"
ENDPOINTS = {
    "airy_chat_plugin": "airy",
    "custom": "desk",
    "google_business_messages": "google",
    "instagram": "facebook",
    "twilio_sms": "twilio",
    "twilio_whatsapp": "twilio",
    "whatsapp_cloud": "whatsapp",
}
"""The endpoint of a folder that has another name."""
VISITOR = {
    "channel_id": "shop",
    "conversation_id": "3d9ac0d8-2ac1-4b0e-9f0e-4a3c54b3a0aa",
    "message_id": "8a6f2c1e-57b0-5d0e-8c59-0a8f0b7a1c22",
}
"""What the receiver knows of a visitor of the live chat."""
FAULT_SOURCES = """
[chat]
scheme = "none"
[chat.mapping]
items = "/data/item/parts/list/*"
channel = "body.app"
contact = "ancestors[1].user.id"
display_name = "ancestors[1].user.name"
conversation = "ancestors[1].id"
time = "item.at"
[[chat.mapping.message]]
id = "item.id"
from_contact = "item.author.id == ancestors[1].user.id"

[buttons]
scheme = "none"
[buttons.mapping]
items = "/payload"
channel = "item.channel.id"
contact = "item.user.id"
[[buttons.mapping.message]]
id = "item.actions[0].action_ts"
kind = "'postback'"
"""
"""How sources of one's own read those bodies of bug reports that come without a mapping."""


class Known(NamedTuple):
    """A body, and where it comes from."""

    name: str
    event: RawEvent


def event(source: str, data: bytes, *, is_form: bool = False, number: int = 1) -> RawEvent:
    """Return a body as the raw event of an endpoint, its id by a number."""
    attributes = {
        "event_id": str(uuid.UUID(int=number)),
        "source": source,
        "received_at": format_received_at(RECEIVED_AT),
        "content_type": FORM if is_form else "application/json",
        "verified_by": "test",
    }
    return RawEvent(data, attributes | (VISITOR if source == "chatplugin" else {}))


def samples() -> Iterator[Known]:
    """Yield every sample."""
    return _folders(SAMPLES)


def fixtures() -> Iterator[Known]:
    """Yield every recorded payload, none where they are not there."""
    return _folders(FIXTURES)


def faults() -> Iterator[Known]:
    """Yield every body of the bug reports, none where they are not there."""
    for name, (source, _) in index().items():
        data = (FAULTS / name).read_bytes()
        yield Known(f"faults/{name}", event(source, data, is_form=name.endswith(".form"), number=len(name)))


def index() -> dict[str, tuple[str, str]]:
    """Return of each body of the bug reports the endpoint, and what is right; none where they are not there."""
    if not FAULTS.exists():
        return {}
    lines = (FAULTS / "INDEX.tsv").read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    own = {"custom_ancestors.json": "chat", "custom_form_json_field.form": "buttons"}
    return {name: (own.get(name) or source.split(" ")[0], right) for name, source, _, right in rows}


def own_parsers() -> dict[str, registry.Parser]:
    """Return the parsers of the sources of one's own that these bodies are of."""
    texts = [FAULT_SOURCES, (SAMPLES / "custom" / "sources.toml").read_text("utf-8")]
    texts += [path.read_text("utf-8") for path in sorted(FAULTS.glob("*.toml"))]
    return {"desk": OwnJson("desk").parse} | {k: v for text in texts for k, v in registry.parsers(text).items()}


def _folders(root: Path) -> Iterator[Known]:
    for number, path in enumerate(sorted(root.glob("*/*"))):
        if path.suffix in {".json", ".form"}:
            folder = path.parent.name
            source = "viber" if "viber" in path.name else ENDPOINTS.get(folder, folder)
            told = event(source, path.read_bytes(), is_form=path.suffix == ".form", number=number + 1)
            yield Known(f"{root.name}/{folder}/{path.name}", told)
