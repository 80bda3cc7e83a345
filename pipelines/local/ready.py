"""Waits until parts of a local stack answer."""

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import click

_PAUSE = 0.1


class NotReadyError(TimeoutError):
    """A part of the stack did not answer in time; the message names it."""


def wait_for(what: str, is_ready: Callable[[], bool], seconds: float) -> None:
    """Wait until something is ready.

    Raises:
        NotReadyError: it was not, for that long.
    """
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what} did not answer within {seconds:g} s")
        time.sleep(_PAUSE)


def listens(address: str) -> bool:
    """Return whether something accepts connections at `host:port`."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback URL
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def pubsub() -> bool:
    """Return whether the Pub/Sub of the environment listens."""
    return listens(os.environ["PUBSUB_EMULATOR_HOST"])


def bigquery() -> bool:
    """Return whether the BigQuery of the environment answers, and takes appends."""
    return answers(f"{os.environ['BIGQUERY_EMULATOR_HOST']}/readyz") and listens(
        os.environ["BIGQUERY_STORAGE_GRPC_ENDPOINT"]
    )


def tables() -> bool:
    """Return whether the BigQuery of the environment answers, and has tables and views."""
    from google.api_core.exceptions import NotFound  # noqa: PLC0415 - slow to import

    from pipelines.bigquery.target import Target, client  # noqa: PLC0415

    if not bigquery():
        return False
    where = Target.from_environment()
    try:
        client(where).get_table(where.view("messages"))
    except NotFound:
        return False
    return True


def receiver() -> bool:
    """Return whether the receiver of the environment would take webhooks."""
    return answers(f"http://127.0.0.1:{os.environ['PARLEY_PORT']}/__heartbeat__")


def sandbox() -> bool:
    """Return whether the sandbox of the environment answers."""
    return answers(f"{os.environ['PARLEY_TWILIO_URL']}/sandbox/requests")


def make_subscriptions_of_the_sender() -> None:
    """Make the subscriptions by which a sender hears of replies and receipts, where they are not there yet."""
    from pipelines.local.topics import create_topics  # noqa: PLC0415
    from pipelines.replies.send_command import SUBSCRIPTION_PREFIX, TOPICS  # noqa: PLC0415

    create_topics(os.environ["PARLEY_PROJECT"], {f"raw-{name}": SUBSCRIPTION_PREFIX + name for name in TOPICS})


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long to wait.")
@click.option("--part", type=click.Choice(["pipeline", "sender"]), default="pipeline", show_default=True)
def main(seconds: float, part: str) -> None:
    """Wait for Pub/Sub and BigQuery, then make topics, subscriptions, tables and views: what a part needs."""
    if part == "sender":
        wait_for("Pub/Sub", pubsub, seconds)
        make_subscriptions_of_the_sender()
        return
    from pipelines import sources  # noqa: PLC0415 - the wait should begin at once
    from pipelines.bigquery.deploy import deploy  # noqa: PLC0415
    from pipelines.bigquery.target import Target, client  # noqa: PLC0415
    from pipelines.local.topics import create_topics  # noqa: PLC0415
    from pipelines.sources import registry  # noqa: PLC0415

    registry.install_configured()
    wait_for("Pub/Sub", pubsub, seconds)
    where = Target.from_environment()
    create_topics(where.project, {f"raw-{name}": f"parley-{name}" for name in sources.PARSERS})
    wait_for("BigQuery", bigquery, seconds)
    deploy(client(where), where)


if __name__ == "__main__":
    main()
