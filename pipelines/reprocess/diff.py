"""What a run would change: its rows against the current ones of the same events, compared in BigQuery.

Compared are sets, not lists: an event that was stored twice has each of its rows twice, and the views
show one. Rows that differ are paired within their event by what they are known by (`sql.IDENTITY`);
several rows may share that, such as a contact seen twice in one event, and are paired in order.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess.runs import Staging
from pipelines.reprocess.sql import IDENTITY, comparable, compared, literal, order, partitions
from pipelines.reprocess.staging import CHANGES, LETTERS, TOTALS, Range, wait_for
from pipelines.reprocess.steps import Steps
from pipelines.rows import TABLES


class Total(msgspec.Struct, frozen=True):
    """Numbers of rows of one table, source and day of receipt."""

    table: str
    source: str
    day: dt.date
    added: int
    removed: int
    changed: int
    unchanged: int


class Letters(msgspec.Struct, frozen=True):
    """Numbers of dead letters of one kind."""

    source: str
    stage: str
    error_class: str
    before: int
    after: int


class ColumnChange(msgspec.Struct, frozen=True):
    """In how many changed rows a column differs."""

    table: str
    column: str
    rows: int


class Sample(msgspec.Struct, frozen=True):
    """A row that differs: None before where it was added, None after where it was removed."""

    table: str
    change: str
    event_id: str
    columns: tuple[str, ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Difference(msgspec.Struct, frozen=True):
    """What a run changes, in numbers and examples."""

    totals: Sequence[Total]
    columns: Sequence[ColumnChange]
    letters: Sequence[Letters]
    samples: Sequence[Sample]

    def by_table(self) -> dict[str, dict[str, int]]:
        """Return added, removed, changed and unchanged rows of every table."""
        sums = {table: dict.fromkeys(("added", "removed", "changed", "unchanged"), 0) for table in TABLES}
        for total in self.totals:
            for kind in sums[total.table]:
                sums[total.table][kind] += getattr(total, kind)
        return sums


def compare(client: bigquery.Client, live: Target, staging: Staging, reprocessed: Range, steps: Steps) -> None:
    """Write what differs into the run's tables `changes`, `totals` and `letters`."""
    for done, table in enumerate(TABLES):
        steps.progress("comparing", done, len(TABLES), "tables")
        wait_for(client.query(_changes_sql(table, live, staging, reprocessed)))
        wait_for(client.query(_totals_sql(table, staging)))
    wait_for(client.query(_letters_sql(live, staging, reprocessed)))
    steps.progress("comparing", len(TABLES), len(TABLES), "tables")


def read(client: bigquery.Client, staging: Staging, samples: int = 5) -> Difference:
    """Read what `compare` has written, with some samples of each table and kind of change."""
    return Difference(
        [Total(*row.values()) for row in client.query_and_wait(_READ_TOTALS.format(staging.made(TOTALS)))],
        [
            ColumnChange(*row.values())
            for row in client.query_and_wait(_READ_COLUMNS.format(staging.made(CHANGES)))
        ],
        [Letters(*row.values()) for row in client.query_and_wait(_READ_LETTERS.format(staging.made(LETTERS)))],
        [
            Sample(
                row["table_name"],
                row["change"],
                row["event_id"],
                tuple(row["columns"]),
                _row(row["before"]),
                _row(row["after"]),
            )
            for row in client.query_and_wait(_READ_SAMPLES.format(staging.made(CHANGES), samples))
        ],
    )


def _row(written: str | None) -> dict[str, Any] | None:
    if written is None:
        return None
    row: dict[str, Any] = json.loads(written)
    row.pop("nth")
    return row


def _current(table: str, live: Target, staging: Staging, reprocessed: Range) -> str:
    return (
        f"SELECT DISTINCT {comparable(table)} FROM `{live.table(table)}` "  # noqa: S608
        f"WHERE {partitions(table, reprocessed.first, reprocessed.last)} "
        f"AND event_id IN (SELECT event_id FROM `{staging.made('events')}`)"
    )


def _made(table: str, staging: Staging) -> str:
    # Dead letters of what is no event at all have no ledger row: nothing tells which they would replace.
    return (
        f"SELECT DISTINCT {comparable(table)} FROM `{staging.made(table)}` "  # noqa: S608
        f"WHERE event_id IN (SELECT event_id FROM `{staging.made('events')}`)"
    )


def _changes_sql(table: str, live: Target, staging: Staging, reprocessed: Range) -> str:
    identity, names = IDENTITY[table], compared(table)
    numbered = (
        f"SELECT *, ROW_NUMBER() OVER (PARTITION BY event_id, `{identity}` ORDER BY {order(table)}) AS nth FROM "  # noqa: S608
    )
    differing = ", ".join(f"IF(gained.`{n}` IS DISTINCT FROM lost.`{n}`, {literal(n)}, NULL)" for n in names)

    return f"""
INSERT INTO `{staging.made(CHANGES)}`
  (table_name, change, source, day, event_id, row_id, columns, before, after)
WITH
  made AS ({_made(table, staging)}),
  current_rows AS ({_current(table, live, staging, reprocessed)}),
  gained AS ({numbered} (SELECT * FROM made EXCEPT DISTINCT SELECT * FROM current_rows)),
  lost AS ({numbered} (SELECT * FROM current_rows EXCEPT DISTINCT SELECT * FROM made))
SELECT
  {literal(table)},
  CASE WHEN lost.nth IS NULL THEN 'added' WHEN gained.nth IS NULL THEN 'removed' ELSE 'changed' END,
  COALESCE(gained.source, lost.source, ''),
  DATE(COALESCE(gained.received_at, lost.received_at)),
  COALESCE(gained.event_id, lost.event_id),
  COALESCE(gained.`{identity}`, lost.`{identity}`),
  IF(gained.nth IS NULL OR lost.nth IS NULL, [],
    ARRAY(SELECT name FROM UNNEST([{differing}]) AS name WHERE name IS NOT NULL)),
  IF(lost.nth IS NULL, NULL, TO_JSON_STRING(lost)),
  IF(gained.nth IS NULL, NULL, TO_JSON_STRING(gained))
FROM gained FULL OUTER JOIN lost
ON gained.event_id = lost.event_id AND gained.`{identity}` = lost.`{identity}` AND gained.nth = lost.nth
"""  # noqa: S608


def _totals_sql(table: str, staging: Staging) -> str:
    return f"""
INSERT INTO `{staging.made(TOTALS)}` (table_name, source, day, added, removed, changed, unchanged)
SELECT {literal(table)}, source, day, SUM(added), SUM(removed), SUM(changed),
  SUM(made) - SUM(added) - SUM(changed)
FROM (
  SELECT COALESCE(source, '') AS source, DATE(received_at) AS day, 0 AS added, 0 AS removed, 0 AS changed,
    COUNT(*) AS made
  FROM ({_made(table, staging)}) GROUP BY 1, 2
  UNION ALL
  SELECT source, day, COUNTIF(change = 'added'), COUNTIF(change = 'removed'), COUNTIF(change = 'changed'), 0
  FROM `{staging.made(CHANGES)}` WHERE table_name = {literal(table)} GROUP BY 1, 2
)
GROUP BY source, day
"""  # noqa: S608


def _letters_sql(live: Target, staging: Staging, reprocessed: Range) -> str:
    counted = "SELECT {}, source, stage, error_class, COUNT(*) FROM ({}) GROUP BY source, stage, error_class"
    return (
        f"INSERT INTO `{staging.made(LETTERS)}` (moment, source, stage, error_class, letters) "
        + counted.format("'before'", _current("dead_letters", live, staging, reprocessed))
        + " UNION ALL "
        + counted.format("'after'", _made("dead_letters", staging))
    )


_READ_TOTALS = """
SELECT table_name, source, day, added, removed, changed, unchanged FROM `{}` ORDER BY 1, 2, 3"""
_READ_COLUMNS = """
SELECT table_name, name, COUNT(*) AS changed_rows FROM `{}` CROSS JOIN UNNEST(columns) AS name
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"""
_READ_LETTERS = """
SELECT COALESCE(source, ''), stage, error_class,
  SUM(IF(moment = 'before', letters, 0)) AS before_run, SUM(IF(moment = 'after', letters, 0)) AS after_run
FROM `{}` GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
_READ_SAMPLES = """
SELECT table_name, change, event_id, columns, before, after FROM `{}`
QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, change ORDER BY event_id, row_id, after, before) <= {}
ORDER BY table_name, change, event_id, row_id"""
