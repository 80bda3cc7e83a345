"""A generation that miscounts, for the demo to find and to mend: it takes reactions for messages.

Nothing but the demo and tests knows of it. `python -m pipelines.demo.miscounting stream …` is the command
`parley` with this parser in the place of the right one.
"""

import runpy

import msgspec

from pipelines import sources
from pipelines.core import dead_letter, item, rows
from pipelines.core.item import Lineage
from pipelines.reprocess import runs
from pipelines.sources import facebook, normalization
from schemas.raw_event import RawEvent

WRONG_GENERATION = 0
"""Older than any of the product's."""


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Read a webhook as the right parser does, and make a message of every reaction too."""
    ignored = facebook.parse(event, lineage)
    for row in list(lineage.rows):
        if isinstance(row, rows.Metadata) and row.key == "reaction.emoji":
            lineage.rows.append(_as_message(row))
    return ignored


def _as_message(reaction: rows.Metadata) -> rows.Message:
    return rows.Message(
        message_id=reaction.metadata_id,
        conversation_id=reaction.conversation_id or reaction.subject_id,
        contact_id=reaction.conversation_id or reaction.subject_id,
        channel_id=reaction.channel_id,
        source=reaction.source,
        source_message_id=None,
        direction="inbound",
        sender_id=None,
        kind="message",
        sent_at=reaction.occurred_at,
        sent_at_from=reaction.occurred_at_from,
        sent_at_raw=reaction.occurred_at_raw,
        sent_date=reaction.occurred_date,
        content=reaction.content,
        content_type=reaction.content_type,
        pointer=reaction.pointer,
        flags=reaction.flags,
        event_id=reaction.event_id,
        received_at=reaction.received_at,
        generation=reaction.generation,
    )


def install() -> None:
    """Let this process normalize wrongly, as an older generation."""
    sources.PARSERS["facebook"] = parse
    for module in (normalization, dead_letter, item, runs):
        module.GENERATION = WRONG_GENERATION  # type: ignore[attr-defined]


def normalize(event: RawEvent) -> list[rows.Row]:
    """Return the wrong rows of one event, in a process that is right otherwise."""
    right = sources.PARSERS["facebook"]
    sources.PARSERS["facebook"] = parse
    try:
        made = normalization.normalize(event)
    finally:
        sources.PARSERS["facebook"] = right
    return [msgspec.structs.replace(row, generation=WRONG_GENERATION) for row in made]


if __name__ == "__main__":
    install()
    # By name, as a shell would find it: the command line lists the demo among its commands.
    runpy.run_module("pipelines.cli", run_name="__main__")
