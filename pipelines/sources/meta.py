"""The envelope of all webhooks of Meta's Graph API: entries, each with changes.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import NOTHING, Body, Id, text

TEST_ENTRY: Final = "0"
"""The id of the entry that the dashboard's "Test" button sends."""
ReadEntry = Callable[[Body, Item, Raw], None]
"""Reads an entry of a body, given as an item and as the raw part that it is."""


class Envelope(Struct):
    """A webhook's body."""

    object: Id = None
    entry: list[Raw] | None = None


class Change(Struct):
    """A change of a subscribed field."""

    field: str | None = None
    value: Raw = NOTHING


CHANGE: Final = msgspec.json.Decoder(Change)
BODY: Final = msgspec.json.Decoder(Envelope | list[Raw])
_ENVELOPE: Final = msgspec.json.Decoder(Envelope)


def read_entries(
    body: Body, whole: Envelope | list[Raw], lineage: Lineage, sources: Mapping[str, str], read: ReadEntry
) -> str:
    """Read every entry of what `BODY` gives, each for itself; return why nothing is in them, if so.

    `sources` gives a row's source by the envelope's `object`; other objects are not ours.
    """
    envelopes = [("", whole)] if isinstance(whole, Envelope) else []
    # Samples in the documentation are wrapped in an array.
    for n, part in enumerate(whole if isinstance(whole, list) else ()):
        with lineage.item(f"/{n}", body.exact(part), source=next(iter(sources.values()))):
            envelopes.append((f"/{n}", body.decode(_ENVELOPE, part)))
    reason = "an empty array"
    for pointer, envelope in envelopes:
        kind = text(envelope.object) or ""
        if kind not in sources:
            reason = f"object is {kind[:64]!r}, not {' or '.join(map(repr, sources))}"
            continue
        reason = "no entry has anything in it"
        for n, part in enumerate(envelope.entry or ()):
            where = f"{pointer}/entry/{n}"
            with lineage.item(where, body.exact(part), source=sources[kind]) as item:
                read(body, item, part)
    return reason
