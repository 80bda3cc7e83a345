"""Tables with rows in them, and an analyst who queries the views."""

import datetime as dt
import io
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from google.cloud import bigquery

from pipelines.bigquery import arrow, deploy
from pipelines.bigquery.target import Target, client
from pipelines.core.rows import TABLE_OF, Row
from pipelines.sources.normalization import normalize
from schemas import loader
from schemas.raw_event import RawEvent

if TYPE_CHECKING:
    from tests.googlesql.engine import Engine
    from tests.googlesql.reference import Reference

PROJECT = "parley-test"
PROCESSED_AT = dt.datetime(2026, 3, 20, tzinfo=dt.UTC)
_VIEWS = re.compile(r"(?<![\w.])parley\.(\w+)")


class Analyst:
    """Whoever queries datasets of their own, by the names that the documentation uses."""

    def __init__(self, googlesql: "Engine | None" = None) -> None:
        """Make datasets; where GoogleSQL is given, each query is asked of its reference implementation, too."""
        self.target = Target.prefixed(PROJECT, f"a{uuid.uuid4().hex[:12]}_")
        self.client = client(self.target)
        self._googlesql = googlesql
        self._reference: Reference | None = None
        deploy.deploy(self.client, self.target)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query, in which `parley.` stands for the views' dataset.

        Raises:
            AssertionError: the reference implementation gives others.
        """
        text = _VIEWS.sub(rf"`{self.target.project}.{self.target.views_dataset}.\1`", sql)
        result = self.client.query(text).result()
        rows = [dict(row) for row in result]
        if self._googlesql:
            self._compare(text, rows, result.schema)
        return rows

    def _compare(self, sql: str, rows: list[dict[str, Any]], schema: Sequence[bigquery.SchemaField]) -> None:
        from tests.googlesql import reference

        if self._reference is None:
            self._reference = reference.Reference(self._googlesql, self.rows)
        answer = self._reference.query(sql)
        assert not (found := reference.disagreement(answer, rows, schema)), f"{sql}\n{found}"
        assert not reference.out_of_order(sql, answer, rows), f"{sql}\nleaves the order open"

    def columns(self, view: str) -> list[str]:
        """Return the names of a view's columns."""
        name = f"{self.target.project}.{self.target.views_dataset}.{view}"
        return [field.name for field in self.client.query(f"SELECT * FROM `{name}` LIMIT 0").result().schema]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what a table holds."""
        return [dict(row) for row in self.client.list_rows(self.target.table(table))]

    def tell(self, *events: RawEvent, processed_at: dt.datetime = PROCESSED_AT) -> None:
        """Put the rows of raw events into the tables."""
        self.load((row for event in events for row in normalize(event)), processed_at=processed_at)

    def load(self, rows: Iterable[Row], processed_at: dt.datetime = PROCESSED_AT) -> None:
        """Put rows into the tables."""
        self._reference = None
        by_table = defaultdict(list)
        for row in rows:
            by_table[TABLE_OF[type(row)]].append(row)
        parquet = bigquery.ParquetOptions()
        parquet.enable_list_inference = True
        settings = bigquery.LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_APPEND", parquet_options=parquet
        )
        for table, made in by_table.items():
            with io.BytesIO() as file:
                arrow.write_parquet(table, [made], file, int(processed_at.timestamp() * 1_000_000))
                file.seek(0)
                job = self.client.load_table_from_file(file, self.target.table(table), job_config=settings)
            job.result()

    def insert(self, table: str, rows: str) -> None:
        """Put rows into a table as SQL writes them: columns, then values."""
        self._reference = None
        self.client.query(f"INSERT INTO `{self.target.table(table)}` {rows}").result()

    def forget(self) -> None:
        """Delete every row."""
        self._reference = None
        self.client.query(
            "; ".join(f"DELETE FROM `{self.target.table(name)}` WHERE TRUE" for name in loader.tables())
        ).result()

    def close(self) -> None:
        """Drop everything."""
        for dataset in (self.target.views_dataset, self.target.rows_dataset):
            self.client.delete_dataset(dataset, delete_contents=True)
        self.client.close()
