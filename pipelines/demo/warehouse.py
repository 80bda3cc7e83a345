"""What the demo asks of BigQuery."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.arrow import PLACED_AT, RUN_ID, UNMADE
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.local import ready
from pipelines.run.query_output import show
from schemas import loader

_ARRIVAL_SECONDS: Final = 60.0


class Warehouse(msgspec.Struct, frozen=True):
    """A client and the datasets that it asks."""

    client: bigquery.Client
    where: Target

    def ask(self, title: str, sql: str) -> None:
        """Print what a query of the views gives."""
        config = bigquery.QueryJobConfig(default_dataset=f"{self.where.project}.{self.where.views_dataset}")
        show(self.client.query(sql, job_config=config).result(), title=title)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query in which `R.name` is a table of rows and `V.name` a view."""
        text = sql.replace("R.", self.where.table("")).replace("V.", self.where.view(""))
        return [row.values() for row in self.client.query(text).result()]

    def scalar(self, sql: str) -> int:
        """Return the one value of such a query."""
        return int(self.rows(sql)[0][0])

    def wait_for(self, what: str, sql: str, least: int) -> None:
        """Wait until such a query gives a number or more.

        Raises:
            NotReadyError: it does not in time.
        """
        ready.wait_for(what, lambda: self.scalar(sql) >= least, _ARRIVAL_SECONDS)

    def wait_for_events(self, count: int) -> None:
        """Wait until the ledger has so many events.

        Raises:
            NotReadyError: it has not in time.
        """
        sql = "SELECT COUNT(DISTINCT event_id) FROM `R.events`"
        self.wait_for(f"the ledger's row of every one of {count} webhooks", sql, count)

    def image(self, before: dt.datetime) -> Sequence[tuple[Any, ...]]:
        """Return a fingerprint of every table's rows that count, of events before a moment."""
        received = f"received_at < TIMESTAMP '{before.isoformat()}'"
        parts = (
            f"SELECT '{table}', COUNT(*), TO_HEX(SHA256(STRING_AGG(told, '' ORDER BY told))) FROM "  # noqa: S608
            "(SELECT TO_JSON_STRING(t) AS told "
            f"FROM (SELECT {_plain(table)} FROM `V.counted_{table}` WHERE {received}) AS t)"
            for table in TABLES
        )
        return self.rows(" UNION ALL ".join(parts) + " ORDER BY 1")

    def differences(self, again: Target) -> list[str]:
        """Return in words how rows differ from those of another target, but for when and by what they were."""
        return [line for table in TABLES for line in self._compare(table, again)]

    def _compare(self, table: str, again: Target) -> Sequence[str]:
        columns = ", ".join(
            f"ARRAY_TO_STRING({c.name}, ',') AS {c.name}" if c.mode == "REPEATED" else f"`{c.name}`"
            for c in loader.tables()[table].columns
            if c.name not in {*UNMADE, "generation"}
        )
        found = []
        for here, there, word in ((self.where, again, "live"), (again, self.where, "in batch")):
            sql = (
                f"SELECT {columns} FROM `{here.view(loader.COUNTED + table)}` EXCEPT DISTINCT "  # noqa: S608
                f"SELECT {columns} FROM `{there.view(loader.COUNTED + table)}`"
            )
            rows = list(self.client.query(sql).result())
            if rows:
                found.append(f"{table}: {len(rows)} rows only {word}, such as {dict(rows[0].items())}")
        return found


def _plain(table: str) -> str:
    """Return the columns of a table as JSON can tell them."""
    columns = [c for c in loader.tables()[table].columns if c.name not in {PLACED_AT, RUN_ID}]
    return ", ".join(f"TO_HEX({c.name}) AS {c.name}" if c.type == "BYTES" else f"`{c.name}`" for c in columns)
