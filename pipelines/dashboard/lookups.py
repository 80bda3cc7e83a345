"""What messages say and what contacts are called, of those that a page shows."""

import datetime as dt
from collections.abc import Callable
from typing import Final

from pipelines.dashboard.context import warehouse
from pipelines.dashboard.warehouse import Row

TEXT_DAYS: Final = 14
"""Of how many days one question reads what messages say."""


def texts_of(message_ids: list[str], days: set[dt.date]) -> Callable[[], list[Row]]:
    """Ask for messages of some days as a person reads them; return what waits for them.

    They come in the order of time on these days.
    """
    ordered = sorted(days) if message_ids else []
    parts = [ordered[start : start + TEXT_DAYS] for start in range(0, len(ordered), TEXT_DAYS)]
    asked = [warehouse().begin("texts", message_ids=message_ids, days=part) for part in parts]
    return lambda: [row for part in asked for row in part.result()]


def contacts_of(contact_ids: list[str], days: set[dt.date]) -> Callable[[], dict[str, Row]]:
    """Ask for contacts, as some days have told of them; return what waits for them, by their ids."""
    if not contact_ids:
        return dict
    asked = warehouse().begin("contacts", contact_ids=contact_ids, days=sorted(days))
    return lambda: {row["contact_id"]: row for row in asked.result()}
