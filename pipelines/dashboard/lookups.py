"""What messages say and what contacts are called, of those that a page shows."""

import datetime as dt
from typing import Final

from pipelines.dashboard.context import warehouse
from pipelines.dashboard.warehouse import Row

TEXT_DAYS: Final = 14
"""Of how many days one question reads what messages say."""


def texts_of(message_ids: list[str], days: set[dt.date]) -> list[Row]:
    """Return messages of some days as a person reads them, in the order of time on these days."""
    found: list[Row] = []
    ordered = sorted(days)
    while ordered and message_ids:
        found += warehouse().ask("texts", message_ids=message_ids, days=ordered[:TEXT_DAYS])
        del ordered[:TEXT_DAYS]
    return found


def contacts_of(contact_ids: list[str], days: set[dt.date]) -> dict[str, Row]:
    """Return contacts by their ids, as some days have told of them."""
    if not contact_ids:
        return {}
    found = warehouse().ask("contacts", contact_ids=contact_ids, days=sorted(days))
    return {row["contact_id"]: row for row in found}
