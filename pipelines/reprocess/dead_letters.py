"""Dead letters: what there is, and which raw events to try again."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess.sql import literal


class Filter(msgspec.Struct, frozen=True):
    """Which dead letters; an empty one means all."""

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    sources: Sequence[str] = ()
    stage: str | None = None
    error_class: str | None = None
    event: str | None = None

    def condition(self) -> str:
        """Return the filter as a condition of SQL."""
        parts = ["TRUE"]
        if self.start:
            parts.append(f"received_at >= TIMESTAMP {literal(self.start.isoformat())}")
        if self.end:
            parts.append(f"received_at < TIMESTAMP {literal(self.end.isoformat())}")
        if self.sources:
            parts.append(f"source IN ({', '.join(map(literal, self.sources))})")
        for column, value in (("stage", self.stage), ("error_class", self.error_class), ("event_id", self.event)):
            if value is not None:
                parts.append(f"{column} = {literal(value)}")
        return " AND ".join(parts)


class Kind(msgspec.Struct, frozen=True):
    """Dead letters that failed alike."""

    source: str | None
    stage: str
    error_class: str
    letters: int
    events: int
    first: dt.datetime
    last: dt.datetime
    example: str
    """What one of the errors says."""
    event: str | None
    """Whose error that is."""


def kinds(client: bigquery.Client, where: Target, chosen: Filter) -> list[Kind]:
    """Return the kinds of dead letters, the most frequent first."""
    sql = f"""
SELECT * EXCEPT (latest), latest.example, latest.event
FROM (
  SELECT source, stage, error_class, COUNT(*) AS letters, COUNT(DISTINCT event_id) AS events,
    MIN(received_at) AS first_at, MAX(received_at) AS last_at,
    ARRAY_AGG(
      STRUCT(error_message AS example, event_id AS event)
      ORDER BY received_at DESC, event_id DESC, pointer DESC, error_message LIMIT 1
    )[OFFSET(0)] AS latest
  FROM `{where.view("dead_letters")}` WHERE {chosen.condition()}
  GROUP BY source, stage, error_class
)
ORDER BY letters DESC, source, stage, error_class"""  # noqa: S608
    return [Kind(*row.values()) for row in client.query_and_wait(sql)]


def letters(client: bigquery.Client, where: Target, chosen: Filter, limit: int) -> Iterator[dict[str, Any]]:
    """Yield dead letters with all that they carry, the latest first."""
    sql = (
        f"SELECT * FROM `{where.view('dead_letters')}` WHERE {chosen.condition()} "  # noqa: S608
        f"ORDER BY received_at DESC, event_id, pointer LIMIT {limit}"
    )
    for row in client.query_and_wait(sql):
        yield dict(row.items())


def events(client: bigquery.Client, where: Target, chosen: Filter) -> frozenset[str]:
    """Return the ids of the raw events that dead letters came of; those without a ledger row cannot be named.

    What is no event at all (stage `event`) has no lineage by which its dead letter could be replaced.
    """
    sql = (
        f"SELECT DISTINCT event_id FROM `{where.view('dead_letters')}` "  # noqa: S608
        f"WHERE event_id IS NOT NULL AND {chosen.condition()}"
    )
    return frozenset(row[0] for row in client.query_and_wait(sql))
