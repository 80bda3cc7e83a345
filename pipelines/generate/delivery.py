"""When webhooks come, and how often: latency, redeliveries, batches; each as the raw event of a receiver."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

from pipelines.core.times import rfc3339
from pipelines.generate import flaws, templates
from pipelines.generate.story import Conversation, World, conversation
from pipelines.generate.talk import SECOND
from pipelines.generate.voices import webhook_of
from pipelines.generate.wire import Webhook
from schemas import raw_event
from schemas.raw_event import RawEvent

SCHEMES: Final = {
    "facebook": "x-hub-signature-256",
    "whatsapp": "x-hub-signature-256",
    "twilio": "x-twilio-signature",
    "google": "x-goog-signature",
    "chatplugin": "chatplugin-token",
    "airy": "x-airy-content-signature",
    "replies": "reply-token",
}
"""The attribute `verified_by` by endpoint; custom sources have Standard Webhooks."""
_REDELIVERED: Final = 0.015
_BATCHED: Final = 0.08


class Delivery(NamedTuple):
    """A webhook and when it comes."""

    received: int
    """Microseconds since 1970."""
    webhook: Webhook
    mark: int
    """Chooses the event's id."""

    @property
    def event(self) -> RawEvent:
        """The raw event that a receiver would make."""
        webhook = self.webhook
        return RawEvent(
            webhook.body,
            {
                raw_event.EVENT_ID: _uuid7(self.received // 1000, self.mark),
                raw_event.SOURCE: webhook.endpoint,
                raw_event.RECEIVED_AT: rfc3339(self.received),
                raw_event.CONTENT_TYPE: webhook.content_type,
                raw_event.VERIFIED_BY: SCHEMES.get(webhook.endpoint, "standard-webhooks"),
                **webhook.attributes,
            },
        )


def of_day(world: World, day: int) -> list[Delivery]:
    """Return the deliveries of all conversations that begin on a day, by time."""
    found = [
        delivery for number in world.of_day(day) for delivery in of_conversation(conversation(world, number, day))
    ]
    random = Random(world.seed << 40 ^ day)  # noqa: S311 - a sample, no secret
    for at, change in templates.changes_of(world, day):
        found += _deliveries(random, at, change)
    found += [flawed for whole in found if (flawed := _flawed(world, whole))]
    found.sort(key=lambda delivery: delivery.received)
    return found if world.until is None else [each for each in found if each.received < world.until]


def _flawed(world: World, whole: Delivery) -> Delivery | None:
    webhook = flaws.beside(whole.webhook, whole.mark, world.flawed)
    return webhook and Delivery(whole.received + SECOND, webhook, whole.mark ^ 1)


def of_conversation(talk: Conversation) -> Iterator[Delivery]:
    """Yield the webhooks of a conversation, some of them batches, some more than once."""
    random = talk.random
    waiting: tuple[int, Webhook] | None = None
    for happening in talk.happenings:
        webhook = webhook_of(talk, happening)
        if webhook is None:
            continue
        if waiting is not None and waiting[1].endpoint == webhook.endpoint:
            webhook, waiting = merged(waiting[1], webhook), None
        elif waiting is not None:
            yield from _deliveries(random, *waiting)
            waiting = None
        if webhook.endpoint in {"facebook", "whatsapp"} and random.random() < _BATCHED:
            waiting = happening.at, webhook
            continue
        yield from _deliveries(random, happening.at, webhook)
    if waiting is not None:
        yield from _deliveries(random, *waiting)


def merged(first: Webhook, second: Webhook) -> Webhook:
    """Return one of Meta's webhooks with the entries of two."""
    head: dict[str, Any] = json.loads(first.body)
    head["entry"] += json.loads(second.body)["entry"]
    body = json.dumps(head, separators=(",", ":")).replace("/", "\\/")
    return first._replace(body=body.encode())


def _deliveries(random: Random, at: int, webhook: Webhook) -> Iterator[Delivery]:
    received = at + int(random.expovariate(1 / 0.4) * SECOND) + 20_000
    yield Delivery(received, webhook, random.getrandbits(74))
    if random.random() < _REDELIVERED:
        yield Delivery(received + int(random.uniform(1, 3_600) * SECOND), webhook, random.getrandbits(74))


def _uuid7(milliseconds: int, mark: int) -> str:
    """Return an RFC 9562 UUIDv7 with 74 bits of a mark."""
    number = (milliseconds << 80) | (7 << 76) | ((mark >> 62) << 64) | (2 << 62) | (mark & ((1 << 62) - 1))
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
