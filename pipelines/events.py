"""From one raw event to its rows: the pure function that streaming and batch share."""

import hashlib
import json
import traceback
from collections.abc import Mapping

from pipelines import rows, sources
from pipelines.generation import GENERATION
from pipelines.item import Lineage
from pipelines.times import to_micros
from schemas.raw_event import VERIFIED_BY, InvalidRawEventError, RawEvent

LONGEST_MESSAGE = 1_024
LONGEST_TRACEBACK = 4_096
LARGEST_DATA = 8 * 1024 * 1024
"""Bytes of a body that a dead letter still carries; BigQuery's requests end at 10 MB."""


class UnknownSourceError(LookupError):
    """No parser is registered for a raw event's source."""


def normalize(event: RawEvent) -> list[rows.Row]:
    """Return every row that a raw event makes: its ledger row first.

    Pure: no clock, randomness, network or order. Never raises: what cannot be normalized becomes a
    dead letter, item by item.

    Raises:
        InvalidRawEventError: the event lacks an id, a source or a usable time of receipt, so that no
            row could be traced to it.
    """
    source, received = event.source, to_micros(event.received_at)
    lineage = Lineage(event.event_id, received)
    ignored = None
    dead: list[rows.DeadLetter] = []
    try:
        parse = sources.PARSERS.get(source)
        if parse is None:
            raise UnknownSourceError(f"no parser for the source {source!r}")
        ignored = parse(event, lineage)
    except Exception as error:
        lineage.rows.clear()
        lineage.failures.clear()
        dead = [dead_letter(event, received, "parse", "", error)]
    dead += [dead_letter(event, received, "item", where, error) for where, error in lineage.failures]
    made = _distinct(lineage.rows)
    return [_ledger_row(event, lineage, source, made, dead, ignored), *made, *dead]


def _distinct(made: list[rows.Row]) -> list[rows.Row]:
    """Return rows without repetitions; where all are of different tables, there is no need to look."""
    return made if len(set(map(type, made))) == len(made) else list(dict.fromkeys(made))


def dead_letter(
    event: RawEvent,
    received_micros: int,
    stage: str,
    pointer: str,
    error: BaseException,
    table_name: str | None = None,
) -> rows.DeadLetter:
    """Return the dead letter of an event, or of the item of it that a JSON Pointer names."""
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
        data=event.data if len(event.data) <= LARGEST_DATA else None,
        attributes=_as_json(event.attributes),
        generation=GENERATION,
    )


def storable(text: str) -> str:
    """Return text that any UTF-8 column takes: lone surrogates replaced, NUL removed."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _ledger_row(
    event: RawEvent,
    lineage: Lineage,
    source: str,
    made: list[rows.Row],
    dead: list[rows.DeadLetter],
    ignored: str | None,
) -> rows.Event:
    if dead:
        outcome = "partial" if made else "failed"
        reason: str | None = f"{dead[0].error_class}: {dead[0].error_message}"[:LONGEST_MESSAGE]
    elif made:
        outcome, reason = "normalized", None
    else:
        outcome, reason = "ignored", ignored or "nothing in it to keep"
    return rows.Event(
        lineage.event_id,
        source,
        lineage.received_micros,
        outcome,
        reason,
        len(made),
        len(dead),
        len(event.data),
        hashlib.sha256(event.data).hexdigest(),
        event.content_type or None,
        event.attributes.get(VERIFIED_BY),
        GENERATION,
    )


def _innermost_frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-8)
    # Of a path only its end: where the code was installed is nobody's business.
    return "".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.name}\n" for f in frames)


def _as_json(attributes: Mapping[str, str]) -> str:
    return json.dumps(dict(attributes), ensure_ascii=True, sort_keys=True)


__all__ = ["InvalidRawEventError", "UnknownSourceError", "dead_letter", "normalize", "storable"]
