"""Puts a sample world into a local stack, as its receiver would have left it on the days of the world.

Over HTTP everything is received now: sources whose webhooks carry no time would have had one busy minute.
So what a receiver does with a webhook is done here, at the webhook's own time: archive it, then publish it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from google.cloud.pubsub_v1 import PublisherClient

from pipelines.generate.delivery import Delivery
from pipelines.generate.write_archive import write_segments

_TIMEOUT_SECONDS: Final = 60.0


class NoStackError(LookupError):
    """No local stack is known, or what is known is none."""


def put(days: Iterable[Sequence[Delivery]], name: str, environ: Mapping[str, str] = os.environ) -> Iterator[int]:
    """Archive and publish deliveries, and yield how many events each day has.

    Args:
        days: the deliveries of each day.
        name: of this world: the same world again replaces its segments, and is published as redeliveries.
        environ: names the stack.

    Raises:
        NoStackError: it names none that is local.
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refuses, or does not answer.
        OSError: the archive cannot be written.
    """
    root, project = environ.get("PARLEY_ARCHIVE", ""), environ.get("PARLEY_PROJECT", "")
    # Nothing that is made up may reach a real project.
    if not environ.get("PUBSUB_EMULATOR_HOST") or not root or "://" in root:
        raise NoStackError("no local stack runs in this folder: start one with `parley run`")
    publisher = PublisherClient()
    with closing(publisher.transport):
        for number, deliveries in enumerate(days):
            write_segments(deliveries, Path(root), f"{name}-{number}")
            events = [delivery.event for delivery in deliveries]
            waiting = [
                publisher.publish(
                    publisher.topic_path(project, f"raw-{event.source}"), event.data, **event.attributes
                )
                for event in events
            ]
            for published in waiting:
                published.result(_TIMEOUT_SECONDS)
            yield len(events)
