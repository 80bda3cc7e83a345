"""What a run would change: its rows against the current ones of the same events, compared in BigQuery.

Current rows are those that count. Compared are sets, not lists: an event that was stored twice has each of its
rows twice, and the views show one. Rows that differ are paired within their event by what they are known by
(`sql.IDENTITY`); several rows may share that, such as a contact seen twice in one event, and are paired in order
of content.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.reprocess.runs import Staging
from pipelines.reprocess.sql import IDENTITY, Extent, compared, counted, literal, partitions, seen
from pipelines.reprocess.staging import AFFECTED, CHANGES, LETTERS, TOTALS, wait_for
from pipelines.reprocess.steps import Steps
from schemas import loader

SIGHTINGS_TOLD_SINCE: Final = 4
"""The generation since which messages and metadata tell sightings: those before count other numbers of rows."""
_FIRST: Final = (
    "messages",
    "metadata",
    "dead_letters",
    "aliases",
    "contacts",
    "conversations",
    "channels",
    "events",
)
"""Tables by how much their samples tell."""


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
    renamed: Mapping[str, int] = {}
    """By table, how many rows that are removed come back as added ones with another id: the same items."""

    def by_table(self) -> dict[str, dict[str, int]]:
        """Return added, removed, changed and unchanged rows of every table."""
        sums = {table: dict.fromkeys(("added", "removed", "changed", "unchanged"), 0) for table in TABLES}
        for total in self.totals:
            for kind in sums[total.table]:
                sums[total.table][kind] += getattr(total, kind)
        return sums


def compare(client: bigquery.Client, live: Target, staging: Staging, extent: Extent, steps: Steps) -> None:
    """Write what differs into the run's tables `changes`, `affected`, `totals` and `letters`."""
    for done, table in enumerate(TABLES):
        steps.progress("comparing", done, len(TABLES), "tables")
        wait_for(client.query(_changes_sql(table, live, staging, extent)))
    wait_for(client.query(_affected_sql(staging)))
    changed = f"SELECT DISTINCT table_name FROM `{staging.made(CHANGES)}` WHERE change = 'changed'"  # noqa: S608
    for (table,) in client.query_and_wait(changed):
        wait_for(client.query(_columns_sql(table, staging)))
    wait_for(client.query(_totals_sql(staging)))
    wait_for(client.query(_letters_sql(live, staging, extent)))
    steps.progress("comparing", len(TABLES), len(TABLES), "tables")


def read(client: bigquery.Client, staging: Staging, samples: int = 5) -> Difference:
    """Read what `compare` has written, with some samples of each table and kind of change."""

    def rows(sql: str, table: str) -> Iterator[bigquery.Row]:
        return iter(client.query_and_wait(sql.format(table=staging.made(table), samples=samples)))

    found = [
        Sample(
            row["table_name"],
            row["change"],
            row["event_id"],
            tuple(row["columns"]),
            _row(row["before"]),
            _row(row["after"]),
        )
        for row in rows(_READ_SAMPLES, CHANGES)
    ]
    return Difference(
        [Total(*row.values()) for row in rows(_READ_TOTALS, TOTALS)],
        [ColumnChange(*row.values()) for row in rows(_READ_COLUMNS, CHANGES)],
        [Letters(*row.values()) for row in rows(_READ_LETTERS, LETTERS)],
        sorted(found, key=lambda sample: (_FIRST.index(sample.table), sample.change)),
        dict(row.values() for row in rows(_READ_RENAMED, CHANGES)),
    )


def _row(written: str | None) -> dict[str, Any] | None:
    if written is None:
        return None
    row: dict[str, Any] = json.loads(written)
    return row


def _told(table: str, rows: str) -> str:
    """Return a query of what rows say: as JSON, since neither arrays nor bytes could be compared."""
    return (
        f"SELECT DISTINCT event_id, `{IDENTITY[table]}` AS row_id, COALESCE(source, '') AS source, "  # noqa: S608
        f"DATE(received_at) AS day, DATE(`{loader.partition(table)}`) AS partition_date, "
        "TO_JSON_STRING(told) AS content "
        f"FROM (SELECT {', '.join(f'`{name}`' for name in compared(table))} FROM {rows}) AS told"
    )


def _made(table: str, staging: Staging) -> str:
    made = f"`{staging.made(table)}`"
    if table in loader.SIGHTINGS:
        made = f"({seen(table, staging.target)})"
    return f"{made} WHERE {_of_events(staging)}"


def _current(table: str, live: Target, staging: Staging, extent: Extent) -> str:
    chosen = f"{partitions(table, extent, 'stored.')} AND {_of_events(staging, 'stored.')}"
    current = counted(live, table, chosen, seen=table in loader.SIGHTINGS)
    if table != "events":
        return f"({current})"
    # Older generations counted rows of sightings that the same rows tell now, and are none the worse.
    told = (
        f"COALESCE(IF(current_rows.generation < {SIGHTINGS_TOLD_SINCE}, made.`rows`, NULL), current_rows.`rows`)"
    )
    return (
        f"(SELECT current_rows.* REPLACE ({told} AS `rows`) FROM ({current}) AS current_rows "  # noqa: S608
        f"LEFT JOIN `{staging.made('events')}` AS made ON made.event_id = current_rows.event_id)"
    )


def _of_events(staging: Staging, alias: str = "") -> str:
    # Dead letters of what is no event at all have no ledger row: nothing tells which they would replace.
    return f"{alias}event_id IN (SELECT event_id FROM `{staging.made('events')}`)"  # noqa: S608


def _changes_sql(table: str, live: Target, staging: Staging, extent: Extent) -> str:
    made = _told(table, _made(table, staging))
    current = _told(table, _current(table, live, staging, extent))
    numbered = "SELECT *, ROW_NUMBER() OVER (PARTITION BY event_id, row_id ORDER BY content) AS nth FROM "
    return f"""
INSERT INTO `{staging.made(CHANGES)}` (
  table_name, change, source, day, event_id, row_id, columns, before, after, date_before, date_after
)
WITH
  made AS ({made}),
  current_rows AS ({current}),
  gained AS ({numbered} (SELECT * FROM made EXCEPT DISTINCT SELECT * FROM current_rows)),
  lost AS ({numbered} (SELECT * FROM current_rows EXCEPT DISTINCT SELECT * FROM made))
SELECT
  {literal(table)},
  CASE WHEN lost.nth IS NULL THEN 'added' WHEN gained.nth IS NULL THEN 'removed' ELSE 'changed' END,
  COALESCE(gained.source, lost.source),
  COALESCE(gained.day, lost.day),
  COALESCE(gained.event_id, lost.event_id),
  COALESCE(gained.row_id, lost.row_id),
  ARRAY<STRING>[],
  lost.content,
  gained.content,
  lost.partition_date,
  gained.partition_date
FROM gained FULL OUTER JOIN lost
ON gained.event_id = lost.event_id AND gained.row_id = lost.row_id AND gained.nth = lost.nth
"""  # noqa: S608


def _affected_sql(staging: Staging) -> str:
    return (
        f"INSERT INTO `{staging.made(AFFECTED)}` (event_id) "  # noqa: S608
        f"SELECT DISTINCT event_id FROM `{staging.made(CHANGES)}`"
    )


def _columns_sql(table: str, staging: Staging) -> str:
    differing = ", ".join(
        f"IF(JSON_QUERY(before, '$.{name}') IS DISTINCT FROM JSON_QUERY(after, '$.{name}'), {literal(name)}, NULL)"
        for name in compared(table)
    )
    return (
        f"UPDATE `{staging.made(CHANGES)}` SET columns = "  # noqa: S608
        f"ARRAY(SELECT name FROM UNNEST([{differing}]) AS name WHERE name IS NOT NULL) "
        f"WHERE table_name = {literal(table)} AND change = 'changed'"
    )


def _totals_sql(staging: Staging) -> str:
    made = " UNION ALL ".join(
        f"SELECT {literal(table)} AS table_name, source, day, 0 AS added, 0 AS removed, 0 AS changed, "  # noqa: S608
        f"COUNT(*) AS made FROM ({_told(table, _made(table, staging))}) GROUP BY source, day"
        for table in TABLES
    )
    return f"""
INSERT INTO `{staging.made(TOTALS)}` (table_name, source, day, added, removed, changed, unchanged)
SELECT table_name, source, day, SUM(added), SUM(removed), SUM(changed), SUM(made) - SUM(added) - SUM(changed)
FROM (
  {made}
  UNION ALL
  SELECT table_name, source, day, COUNTIF(change = 'added'), COUNTIF(change = 'removed'),
    COUNTIF(change = 'changed'), 0
  FROM `{staging.made(CHANGES)}` GROUP BY table_name, source, day
)
GROUP BY table_name, source, day
"""  # noqa: S608


def _letters_sql(live: Target, staging: Staging, extent: Extent) -> str:
    def numbers(moment: str, rows: str) -> str:
        # Stored twice, a dead letter counts once, as in the view.
        return (
            f"SELECT {literal(moment)}, COALESCE(source, ''), stage, error_class, "  # noqa: S608
            "COUNT(DISTINCT TO_JSON_STRING(STRUCT(event_id AS e, pointer AS p, table_name AS t))) "
            f"FROM {rows} GROUP BY source, stage, error_class"
        )

    return (
        f"INSERT INTO `{staging.made(LETTERS)}` (moment, source, stage, error_class, letters) "
        + numbers("before", _current("dead_letters", live, staging, extent))
        + " UNION ALL "
        + numbers("after", _made("dead_letters", staging))
    )


_READ_TOTALS = """
SELECT table_name, source, day, added, removed, changed, unchanged FROM `{table}` ORDER BY 1, 2, 3"""
_READ_COLUMNS = """
SELECT table_name, name, COUNT(*) AS changed_rows FROM `{table}` CROSS JOIN UNNEST(columns) AS name
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"""
_READ_RENAMED = """
SELECT gained.table_name, COUNT(DISTINCT CONCAT(gained.event_id, gained.row_id)) AS renamed
FROM (
  SELECT table_name, event_id, row_id, JSON_VALUE(after, '$.pointer') AS pointer
  FROM `{table}` WHERE change = 'added' AND table_name != 'dead_letters'
) AS gained
INNER JOIN (
  SELECT table_name, event_id, JSON_VALUE(before, '$.pointer') AS pointer
  FROM `{table}` WHERE change = 'removed' AND table_name != 'dead_letters'
) AS lost
ON gained.table_name = lost.table_name AND gained.event_id = lost.event_id AND gained.pointer = lost.pointer
GROUP BY gained.table_name ORDER BY gained.table_name"""
_READ_LETTERS = """
SELECT source, stage, error_class,
  SUM(IF(moment = 'before', letters, 0)) AS before_run, SUM(IF(moment = 'after', letters, 0)) AS after_run
FROM `{table}` GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
_READ_SAMPLES = """
SELECT table_name, change, event_id, columns, before, after FROM `{table}`
QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, change ORDER BY event_id, row_id, after, before) <= {samples}
ORDER BY table_name, change, event_id, row_id"""
