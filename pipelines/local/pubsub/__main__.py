"""`python -m pipelines.local.pubsub`: the local Pub/Sub as a process of its own."""

import os
import signal
from pathlib import Path

import click
from google.api_core.exceptions import GoogleAPICallError

from pipelines.local.pubsub.server import MAX_BYTES, PubSubServer
from pipelines.local.topics import create_topics


@click.command()
@click.option("--port", default=8085, show_default=True, help="0 takes a free one.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where unacknowledged messages outlive a restart; in memory only without it.",
)
@click.option("--max-bytes", default=MAX_BYTES, show_default=True, help="Kept at most, in memory.")
@click.option("--project", default="parley-local", show_default=True)
@click.option("--topic", "topics", multiple=True, metavar="TOPIC:SUBSCRIPTION", help="Made where missing.")
def main(port: int, data_dir: Path | None, max_bytes: int, project: str, topics: tuple[str, ...]) -> None:
    """Run Pub/Sub on this machine until SIGTERM or Ctrl-C."""
    # Before any thread starts, so that the signals wait for `sigwait` instead of interrupting one.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    pairs = dict(_pair(topic) for topic in topics)
    try:
        server = PubSubServer(port, data_dir, max_bytes)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    with server:
        os.environ["PUBSUB_EMULATOR_HOST"] = server.address
        try:
            create_topics(project, pairs)
        except GoogleAPICallError as error:
            raise click.ClickException(error.message) from error
        kept = f"keeps messages in {data_dir}" if data_dir else "keeps messages in memory only"
        click.echo(f"Pub/Sub listens on {server.address} and {kept}.")
        signal.sigwait(signals)


def _pair(topic: str) -> tuple[str, str]:
    name, _, subscription = topic.partition(":")
    if not (name and subscription):
        raise click.BadParameter(f"{topic} is not TOPIC:SUBSCRIPTION", param_hint="--topic")
    return name, subscription


if __name__ == "__main__":
    main()
