"""Where the rows of a run's events lie: by the run's own rows and by the ledger, whatever code wrote it."""

import datetime as dt
from typing import Final

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess.sql import Extent

DAYS_BEFORE: Final = 7
"""Up to generation 2, a row's partition was at most so many days before the receipt, and one after it."""


def of_events(client: bigquery.Client, live: Target, made: str, events: str) -> Extent | None:
    """Return where rows of events lie, made or current; None where there are no such events.

    `made` is the run's ledger, `events` a table with the ids.
    """
    chosen = f"event_id IN (SELECT event_id FROM `{events}`)"  # noqa: S608
    count, first, last, *dates = next(
        iter(
            client.query_and_wait(
                "SELECT COUNT(DISTINCT event_id), MIN(DATE(received_at)), MAX(DATE(received_at)), "  # noqa: S608
                f"MIN(first_date), MAX(last_date) FROM `{made}` WHERE {chosen}"
            )
        )
    ).values()
    if not count:
        return None
    known, *current = next(
        iter(
            client.query_and_wait(
                f"SELECT COUNT(DISTINCT event_id), {earliest()}, {latest()} FROM `{live.table('events')}` "  # noqa: S608
                f"WHERE received_at >= TIMESTAMP '{first}' "
                f"AND received_at < TIMESTAMP '{last + dt.timedelta(days=1)}' AND {chosen}"
            )
        )
    ).values()
    if known < count:
        # Live may have stored rows, and not yet the ledger's.
        current += [first - dt.timedelta(days=DAYS_BEFORE), last + dt.timedelta(days=1)]
    days = [day for day in (*dates, *current) if day is not None] or [first, last]
    return Extent(first, last, min(days), max(days))


def earliest() -> str:
    """Return the expression of the first partition that ledger rows speak of."""
    guessed = f"DATE_SUB(DATE(received_at), INTERVAL {DAYS_BEFORE} DAY)"
    return f"MIN(IF(first_date IS NULL AND `rows` > 0, {guessed}, first_date))"


def latest() -> str:
    """Return the expression of the last partition that ledger rows speak of."""
    return "MAX(IF(last_date IS NULL AND `rows` > 0, DATE_ADD(DATE(received_at), INTERVAL 1 DAY), last_date))"


def grown(live: Target, events: str, extent: Extent) -> str:
    """Return the condition that rows of events, those in a table, lie beyond an extent by now."""
    days = (
        f"received_at >= TIMESTAMP '{extent.first}' "
        f"AND received_at < TIMESTAMP '{extent.last + dt.timedelta(days=1)}'"
    )
    return (
        f"EXISTS (SELECT 1 FROM (SELECT {earliest()} AS first_date, {latest()} AS last_date "  # noqa: S608
        f"FROM `{live.table('events')}` WHERE {days} AND event_id IN (SELECT event_id FROM `{events}`)) "
        f"WHERE first_date < DATE '{extent.first_date}' OR last_date > DATE '{extent.last_date}')"
    )
