"""`parley send`: sends the replies that were posted, until SIGTERM."""

import logging
import logging.config
import os
import signal
import socket
import threading
from collections.abc import Mapping
from typing import Final

import click
import msgspec
import uuid_utils

from pipelines.replies.calls import GRAPH_URL, TWILIO_URL, Places
from pipelines.replies.channels import Channels, ChannelsError
from pipelines.replies.chats import Chats
from pipelines.replies.conclusions import NO_STEPS, Steps
from pipelines.replies.gates import Gates
from pipelines.replies.proofs import SOURCES
from pipelines.replies.provider import Provider
from pipelines.replies.register import Register
from pipelines.replies.sender import THREADS, Hearing, Sender, Subscriptions
from pipelines.replies.told import Told
from pipelines.replies.turns import Turns
from pipelines.replies.work import Rules, Worker
from pipelines.run import local_stack
from receiver.answers.conversations import open_conversations
from receiver.config import Config, ConfigError, Settings
from receiver.durable.committer import Committers
from receiver.operate import logs
from receiver.replies.archive_keys import keyring_of
from receiver.replies.store import open_store
from schemas import replies
from schemas.archive_layout import REPLIES

SUBSCRIPTION_PREFIX: Final = "parley-sender-"
TOPICS: Final = (replies.SOURCE, *SOURCES, replies.CHAT)
"""The sources of whose raw events a sender has a subscription."""
_CHECK_SECONDS: Final = 1.0


class SenderSettings:
    """What a sender reads from the environment, beside its channels."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read and check it.

        Raises:
            ConfigError: a variable is missing or wrong.
        """
        settings = Settings(environ)
        self.config = Config.from_settings(settings)
        urls = settings.public_urls()
        self.places = Places(
            settings.text("GRAPH_URL", GRAPH_URL).rstrip("/"),
            settings.text("TWILIO_URL", TWILIO_URL).rstrip("/"),
            urls[0] if urls else "",
        )
        self.prefix = settings.text("SENDER_SUBSCRIPTION_PREFIX", SUBSCRIPTION_PREFIX)
        senders = settings.integer("SENDERS", 1, 1, 64)
        self.rules = Rules(doubt=settings.number("DOUBT_SECONDS", 600.0, 1.0, 86_400.0), share=1 / senders)
        # Beside the archive; without one, beside what the sender keeps anyway.
        archive = self.config.archive
        self.archive = (str(self.config.data_dir) if archive == "none" else archive).rstrip("/")
        self.register = f"{self.archive}/{REPLIES}"
        self.answer_days = settings.integer("ANSWER_DAYS", 30, 1, 3650)
        settings.check()

    def subscriptions(self) -> list[str]:
        """Return the full names of what a sender pulls."""
        return [f"projects/{self.config.project}/subscriptions/{self.prefix}{name}" for name in TOPICS]


def serve(
    environ: Mapping[str, str],
    ending: threading.Event,
    threads: int = THREADS,
    steps: Steps = NO_STEPS,
    in_flight: float | None = None,
) -> None:
    """Send until told to end.

    Raises:
        ConfigError: the environment does not configure a sender.
        ChannelsError: nor its channels.
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refuses a subscription.
    """
    settings = SenderSettings(environ)
    rules = settings.rules if in_flight is None else msgspec.structs.replace(settings.rules, in_flight=in_flight)
    channels, gates, turns = Channels(environ), Gates(), Turns()
    register = Register(open_store(settings.register))
    chats = Chats(open_conversations(settings.archive), settings.answer_days)
    # No two processes ever have the same name, nor one process that was started again.
    name = f"{socket.gethostname()[:64]}-{uuid_utils.uuid7()}"
    committers = Committers(settings.config, keyring_of(settings.config))
    committers.start()
    try:
        with Provider(settings.places, threads) as provider:
            worker = Worker(
                name,
                register,
                Told(committers),
                channels,
                provider,
                gates,
                rules,
                steps,
                chats=chats,
            )
            sender = Sender(worker, register, turns, channels, gates, threads, chats)
            sender.start()
            heard = Subscriptions(settings.subscriptions(), Hearing(register, turns, channels, gates, chats).hear)
            try:
                while not ending.wait(_CHECK_SECONDS):
                    heard.check()
            finally:
                heard.close()
                sender.close()
    finally:
        committers.close()


@click.command()
@click.option("--threads", default=THREADS, show_default=True, help="How many replies are under way at once.")
def send(threads: int) -> None:
    """Send the replies that were posted to /replies, each once, until SIGTERM.

    docs/sending.md says how it is configured. Several may run; they share the work.
    """
    local_stack.adopt()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    logging.config.dictConfig(logs.dict_config(os.environ.get("PARLEY_LOG_LEVEL") or "INFO"))
    # It names every address that is called; some hold an account.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        serve(os.environ, ending, threads)
    except (ConfigError, ChannelsError) as error:
        raise click.ClickException(f"the sender is not configured:\n{error}") from None
