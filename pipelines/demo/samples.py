"""The webhooks that the demo sends: Meta's shapes, values of our own, times of now."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

PAGE, PROFILE = "204577000000001", "17847700000000077"
ANNA, BILAL, CHIYO = "7310000000000001", "7310000000000002", "980000000000003"


class Webhook(NamedTuple):
    """One request of a source."""

    title: str
    body: bytes


def webhooks(start_ms: int | None = None) -> Iterator[Webhook]:
    """Yield a morning of two channels; times are milliseconds since 1970 and begin some minutes ago."""
    clock = iter(range(start_ms or int(time.time() * 1000) - 600_000, 1 << 62, 7_000))

    def page(title: str, *items: dict[str, Any]) -> Webhook:
        return Webhook(title, _body("page", PAGE, next(clock), items))

    def text(contact: str, mid: str, words: str, **more: Any) -> dict[str, Any]:
        return _item(contact, PAGE, next(clock), message={"mid": mid, "text": words, **more})

    def reply(contact: str, mid: str, words: str) -> dict[str, Any]:
        echo = {"mid": mid, "text": words, "is_echo": True, "app_id": 517000000000001}
        return _item(PAGE, contact, next(clock), message=echo)

    yield page("a text", text(ANNA, "m_anna-1", "Hello, is the blue one still to be had?"))
    yield page("emoji and escapes", text(ANNA, "m_anna-2", 'In size "M" / 38 😀 für 20 €\n\\o/'))
    yield page("an echo: the page answers", reply(ANNA, "m_page-1", "It is! Shall we put it aside?"))
    yield page(
        "a delivery", _item(ANNA, PAGE, next(clock), delivery={"mids": ["m_page-1"], "watermark": next(clock)})
    )
    yield page("a read", _item(ANNA, PAGE, next(clock), read={"watermark": next(clock)}))
    reaction = {"mid": "m_page-1", "action": "react", "reaction": "love", "emoji": "❤"}
    yield page("a reaction", _item(ANNA, PAGE, next(clock), reaction=reaction))
    yield page(
        "an attachment",
        text(
            BILAL,
            "m_bilal-1",
            "هذا",
            attachments=[{"type": "image", "payload": {"url": "https://cdn.example/1.png"}}],
        ),
    )
    postback = {"mid": "m_bilal-2", "title": "Talk to a person", "payload": "HUMAN"}
    yield page("a postback", _item(BILAL, PAGE, next(clock), postback=postback))
    yield page("a quick reply", text(BILAL, "m_bilal-3", "Tomorrow", quick_reply={"payload": "DAY_TOMORROW"}))
    story = {
        "mid": "ig_chiyo-1",
        "text": "かわいい",
        "reply_to": {"story": {"id": "1790", "url": "https://cdn.example/s"}},
    }
    chiyo = _item(CHIYO, PROFILE, next(clock), message=story)
    yield Webhook("Instagram: an answer to a story", _body("instagram", PROFILE, next(clock), [chiyo]))
    seen = _item(CHIYO, PROFILE, next(clock), read={"mid": "ig_page-1"})
    yield Webhook("Instagram: a message was seen", _body("instagram", PROFILE, next(clock), [seen]))
    entries = [
        {"id": PAGE, "time": next(clock), "messaging": [text(ANNA, f"m_anna-batch-{n}", f"{n} of 3")]}
        for n in (1, 2, 3)
    ]
    batch = Webhook("a batch of three entries", _json({"object": "page", "entry": entries}))
    yield batch
    yield batch._replace(title="the same batch once more: a redelivery")
    broken = {
        "sender": {"id": ANNA},
        "recipient": {"id": PAGE},
        "timestamp": next(clock),
        "message": "not an object",
    }
    yield page("a good item and a broken one", text(ANNA, "m_anna-3", "Thank you!"), broken)


def sign(body: bytes, app_secret: str) -> str:
    """Return the X-Hub-Signature-256 of a body, as Meta makes it."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def _item(sender: str, recipient: str, timestamp: int, **payload: Any) -> dict[str, Any]:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": timestamp, **payload}


def _body(kind: str, channel: str, moment: int, items: Any) -> bytes:
    return _json({"object": kind, "entry": [{"id": channel, "time": moment, "messaging": list(items)}]})


def _json(value: Any) -> bytes:
    # Meta escapes everything beyond ASCII, and slashes.
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/").encode()
