"""Dead letters: what could not be normalized or stored, with its reason, and in text that BigQuery takes."""

import json
import traceback
from collections.abc import Mapping

from pipelines.core import rows
from pipelines.core.generation import GENERATION
from schemas.raw_event import ERASED, RawEvent

LONGEST_MESSAGE = 1_024
LONGEST_TRACEBACK = 4_096
LARGEST_DATA = 10_000_000
"""Bytes that the dead letters of one event still carry together: all that a message of Pub/Sub holds. The row of
such a one needs a request of its own, which by documentation may have 20 MB. Where BigQuery takes less, the
letter is stored without the body, which the archive has.

https://cloud.google.com/pubsub/quotas#resource_limits
"""


def dead_letter(
    event: RawEvent,
    received_micros: int,
    stage: str,
    pointer: str,
    error: BaseException,
    *,
    data: bytes | None,
    table_name: str | None = None,
) -> rows.DeadLetter:
    """Return the dead letter of an event, or of the item of it that a JSON Pointer names.

    `data` is what failed: the whole body only where that failed as a whole, so that the letters of one event
    hold no more together than its body, however many they are.
    """
    return rows.DeadLetter(
        event_id=event.attributes.get("event_id") or None,
        source=event.attributes.get("source") or None,
        received_at=received_micros,
        stage=stage,
        pointer=pointer,
        error_class=type(error).__name__,
        error_message=storable(str(error))[:LONGEST_MESSAGE],
        traceback=storable(_innermost_frames(error))[-LONGEST_TRACEBACK:] or None,
        table_name=table_name,
        data=data if data is not None and len(data) <= LARGEST_DATA else None,
        attributes=_as_json(event.attributes),
        generation=GENERATION,
    )


def storable(text: str) -> str:
    """Return text that any UTF-8 column takes: lone surrogates replaced, NUL removed."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _innermost_frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-8)
    # Of a path only its end: where the code was installed is nobody's business.
    return "".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.name}\n" for f in frames)


def _as_json(attributes: Mapping[str, str]) -> str:
    received = {name: value for name, value in attributes.items() if name != ERASED}
    return json.dumps(received, ensure_ascii=True, sort_keys=True)
