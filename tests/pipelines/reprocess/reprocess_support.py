"""A warehouse with an archive: what is received is archived, and stored by live where a test says so."""

import dataclasses
import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.bigquery import appender
from pipelines.bigquery.bundle import Bundle
from pipelines.bigquery.target import Target
from pipelines.core.batches import EventBatch, NormalizedBatch
from pipelines.core.rows import TABLE_OF, TABLES, Row
from pipelines.demo import miscounting
from pipelines.io.archive_segments import Selection
from pipelines.normalize import NormalizeEvents
from pipelines.reprocess import Request, Run, Steps, apply, discard, plan, roll_back
from pipelines.reprocess.plan import resume
from pipelines.reprocess.runs import Runs, Staging
from pipelines.reprocess.sql import columns
from schemas import loader
from schemas.archive_layout import folder
from schemas.raw_event import RawEvent
from tests.raw_events import NOON, raw_event, write_segment

ACTOR = "test"


def options() -> PipelineOptions:
    return PipelineOptions(["--runner=FnApiRunner"])


@dataclasses.dataclass
class Warehouse:
    """BigQuery and an archive."""

    client: bigquery.Client
    target: Target
    archive: Path
    _segments: "itertools.count[int]" = dataclasses.field(default_factory=itertools.count)

    def empty(self) -> None:
        """Delete every row, and forget every run."""
        self.query("; ".join(f"DELETE FROM `T.{table}` WHERE TRUE" for table in loader.tables()))
        # Left by runs that nobody knows any more.
        kept = Staging.of(self.target, "").target.rows_dataset
        for dataset in self.client.list_datasets():
            if dataset.dataset_id.startswith(kept):
                self.client.delete_dataset(dataset.dataset_id, delete_contents=True)

    def archived(self, events: Sequence[RawEvent]) -> Path:
        """Write events into segments of their own, one for each source and hour; return the last."""
        paths = [
            write_segment(self.archive, list(group), f"host-1-0-{next(self._segments)}.avro")
            for _, group in itertools.groupby(
                sorted(events, key=lambda e: (e.source, e.received_at)), lambda e: folder(e.source, e.received_at)
            )
        ]
        return paths[-1]

    def live(self, events: Sequence[RawEvent]) -> None:
        """Store events as the streaming pipeline does: its steps, its sink."""
        bundle = Bundle(appender.shared(self.target))
        for batch in NormalizeEvents().process(EventBatch(events, "live")):
            bundle.add(batch)
        bundle.finish()

    def live_of_an_older_version(self, events: Sequence[RawEvent]) -> None:
        """Store events as the version did that counted reactions as messages."""
        bundle = Bundle(appender.shared(self.target))
        made: dict[str, list[Row]] = {}
        for event in events:
            for row in miscounting.normalize(event):
                made.setdefault(TABLE_OF[type(row)], []).append(row)
        bundle.add(NormalizedBatch(list(events), made, "live"))
        bundle.finish()

    def received(self, events: Sequence[RawEvent]) -> None:
        """Archive and store events."""
        self.archived(events)
        self.live(events)

    def request(self, **selection: Any) -> Request:
        return Request(str(self.archive), Selection(**selection), ACTOR)

    def plan(self, steps: Steps | None = None, **selection: Any) -> Run:
        return plan(self.client, self.target, self.request(**selection), options(), steps=steps)

    def resume(self, run: Run, **more: Any) -> Run:
        return resume(self.client, self.target, run.run_id, options(), **more)

    def run(self, name: str) -> Run:
        return Runs(self.client, self.target).get(name)

    def apply(self, run: Run, **more: Any) -> Run:
        return apply(self.client, self.target, run.run_id, ACTOR, **more)

    def roll_back(self, run: Run, **more: Any) -> Run:
        return roll_back(self.client, self.target, run.run_id, ACTOR, **more)

    def discard(self, run: Run, **more: Any) -> Run:
        return discard(self.client, self.target, run.run_id, ACTOR, **more)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query in which `{table:name}` … are written as `T.name` and `V.name`."""
        rows, views = self.target.table(""), self.target.view("")
        return [
            dict(row.items()) for row in self.client.query_and_wait(sql.replace("T.", rows).replace("V.", views))
        ]

    def kept(self, run: Run) -> bool:
        """Tell whether a run still has a dataset."""
        datasets = {dataset.dataset_id for dataset in self.client.list_datasets()}
        return Staging.of(self.target, run.run_id).target.rows_dataset in datasets

    def images(self) -> dict[str, str]:
        """Return a fingerprint of every table's rows that count, `processed_at` and duplicates included."""
        found = {}
        for table in TABLES:
            names = [name for name in columns(table) if name not in {"`placed_at`", "`run_id`"}]
            rows = self.query(f"SELECT {', '.join(names)} FROM `V.counted_{table}`")
            text = "\n".join(sorted(repr(sorted(row.items())) for row in rows))
            found[table] = f"{len(rows)} rows {hashlib.sha256(text.encode()).hexdigest()}"
        return found

    def stored(self) -> dict[str, int]:
        """Return how many rows each table has, counted or not."""
        counts = ", ".join(f"(SELECT COUNT(*) FROM `T.{table}`) AS {table}" for table in loader.tables())
        return self.query(f"SELECT {counts}")[0]

    def views(self) -> dict[str, list[str]]:
        """Return what analysts read, without the columns that say by which code and when it was made."""
        made = {"processed_at", "generation", "traceback"}
        found = {}
        for view in (table for table in TABLES if table in loader.views()):
            rows = self.query(f"SELECT * FROM `V.{view}`")
            found[view] = sorted(repr({k: v for k, v in row.items() if k not in made}) for row in rows)
        return found


def reaction(number: int) -> RawEvent:
    """Return a reaction to the message of the same number."""
    item = {
        "sender": {"id": f"contact-{number % 7}"},
        "recipient": {"id": "page-1"},
        "timestamp": int(NOON.timestamp() * 1000) + number,
        "reaction": {"mid": f"m_{number}", "action": "react", "reaction": "love", "emoji": "❤"},
    }
    body = {"object": "page", "entry": [{"id": "page-1", "time": item["timestamp"], "messaging": [item]}]}
    return raw_event(json.dumps(body).encode(), received_at=NOON + dt.timedelta(minutes=1), number=1_000 + number)


class InterruptAt(Steps):
    """Does something when a step is reached."""

    def __init__(self, step: str, act: Callable[[], None]) -> None:
        self._step = step
        self._act = act

    def reached(self, step: str) -> None:
        if step == self._step:
            self._act()
