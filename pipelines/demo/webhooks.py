"""The webhooks of the demo, signed as their sources sign them and sent to the receiver."""

import datetime as dt
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import click
from rich.console import Console
from rich.progress import track

from pipelines.core.times import MICROS_PER_DAY, to_micros
from pipelines.demo import samples
from pipelines.generate.delivery import of_day
from pipelines.generate.generate_command import UNSENDABLE
from pipelines.generate.send import send
from pipelines.generate.signing import signers
from pipelines.generate.story import WEIGHTS, World
from pipelines.local import environment

ARRIVING: Final = "m_arriving-"
"""How the ids of `Arrivals` begin."""
_CONVERSATIONS: Final = 60
_DAYS: Final = 5
_PAUSE_SECONDS: Final = 0.5


def send_all(console: Console) -> int:
    """Send the samples, a world of many people, and a live chat; return how many webhooks that were."""
    return _send_samples(console) + _send_world(console) + _send_chat()


def post_text(mid: str) -> None:
    """Send a Messenger text with an id.

    Raises:
        click.ClickException: the receiver did not take it.
    """
    _post(next(iter(samples.webhooks())).body.replace(b"m_anna-1", mid.encode()))


class Arrivals:
    """One text after the other, from another thread while the block runs."""

    def __init__(self) -> None:
        self.taken = 0
        """How many the receiver has answered with 200."""
        self._failure: click.ClickException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, name="arrivals", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _send(self) -> None:
        try:
            while not self._ended.wait(_PAUSE_SECONDS):
                post_text(f"{ARRIVING}{self.taken}")
                self.taken += 1
        except click.ClickException as error:
            self._failure = error


def _send_samples(console: Console) -> int:
    webhooks = list(samples.webhooks())
    for webhook in track(webhooks, description="sending signed webhooks    ", console=console):
        _post(webhook.body)
    return len(webhooks)


def _send_world(console: Console) -> int:
    """Send what some dozens of people wrote through every source that signs its webhooks."""
    sources = tuple(source for source in WEIGHTS if source not in UNSENDABLE)
    start = to_micros(dt.datetime.now(dt.UTC)) - _DAYS * MICROS_PER_DAY
    world = World(_CONVERSATIONS, 1, start // MICROS_PER_DAY * MICROS_PER_DAY, _DAYS, sources)
    endpoints = frozenset({"facebook", "whatsapp", "twilio", "google", "airy"})
    told = (delivery for day in range(world.days) for delivery in of_day(world, day))
    deliveries = [delivery for delivery in told if delivery.webhook.endpoint in endpoints]
    watched = track(deliveries, description="sending a sample world     ", console=console)
    answers = send(watched, receiver(), 0.0, signers(os.environ, endpoints))
    if not set(answers) <= {200, 204}:
        raise click.ClickException(f"the receiver did not take every webhook: {dict(answers)}")
    return len(deliveries)


def _send_chat() -> int:
    """Write in the live chat as its widget does; one message twice, as after a lost answer."""
    texts = ["Hi! Do you deliver to Iceland?", "It is for my sister.", "It is for my sister."]
    door = {"Origin": receiver()}
    opened = call(f"{receiver()}/chatplugin.authenticate", {"channel_id": environment.CHAT_CHANNEL}, door)
    for text in texts:
        key = {"Authorization": f"Bearer {opened['token']}", "Idempotency-Key": f"demo-{texts.index(text)}"}
        call(f"{receiver()}/chatplugin.send", {"message": {"text": text}}, door | key)
    return len(texts)


def call(
    url: str, body: object = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> Any:
    """Return the JSON answer of a part of the stack, if it gives one; a body is sent as JSON, bytes as they are.

    Raises:
        click.ClickException: it did not take the request.
    """
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    told = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, told, method=method)  # noqa: S310 - our own loopback URL
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(f"{url} answered {error.code}: {error.read()[:300]!r}") from error
    except urllib.error.URLError as error:
        raise click.ClickException(f"{url} did not answer: {error}") from error


def receiver() -> str:
    """Return the receiver's URL."""
    return f"http://127.0.0.1:{os.environ['PARLEY_PORT']}"


def _post(body: bytes) -> None:
    signature = samples.sign(body, os.environ["PARLEY_FACEBOOK_APP_SECRETS"])
    call(f"{receiver()}/facebook", body, {"X-Hub-Signature-256": signature})
