"""A small generated world with a hostile contact in it: archive, rows in BigQuery, and the dashboard of it."""

import datetime as dt
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from fastavro import writer
from google.cloud import bigquery

from pipelines.bigquery import arrow, deploy, resolving
from pipelines.bigquery.target import Target, client
from pipelines.core.rows import TABLE_OF
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Warehouse
from pipelines.generate import write_archive
from pipelines.generate.people import MOST
from pipelines.generate.story import WEIGHTS, World
from pipelines.io.archive_segments import Selection, find_segments, read_segment
from pipelines.sources.normalization import normalize
from schemas.archive_layout import folder
from schemas.raw_event import AVRO_SCHEMA, RawEvent, format_received_at

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
DAYS = 4
TODAY = dt.date(2026, 3, 8)
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }} \u202eevil\u202c &amp; 'quoted'"
HOSTILE_EVENT = "019caaaa-0000-7000-8000-00000000dead"
LETTERS = 23


class DashboardWorld:
    """Datasets of its own with a world in them; nobody writes to them afterwards."""

    def __init__(self, target: Target, root: Path, *, is_hostile: bool = True) -> None:
        self.target, self.root = target, root
        self.client = client(target)
        deploy.deploy(self.client, target)
        world = World(160, 7, write_archive.day_of(START), DAYS, tuple(WEIGHTS), several=MOST)
        for day in range(DAYS):
            write_archive.write_day(world, root, day)
        if is_hostile:
            _write(root, [_hostile(), *_broken()])
        self.events = [e for path in find_segments(str(root), Selection()) for e in read_segment(path, [])]
        self._load(self.events)
        resolving.keep(self.client, target)
        self.warehouse = Warehouse(target, lambda: self.client)
        self.app = create_app(self.warehouse, str(root), ["shop-app"], lambda: TODAY, refresh=60)
        self.app.testing = True

    def query(self, sql: str) -> list[dict[str, object]]:
        """Return the rows of a query, in which `parley.` stands for the views' dataset."""
        job = self.client.query(sql.replace("parley.", f"{self.target.views_dataset}."))
        return [dict(row) for row in job.result()]

    def conversation_of(self, event_id: str) -> str:
        """Return the conversation of the only message of an event."""
        (row,) = self.query(f"SELECT conversation_id FROM parley.messages WHERE event_id = '{event_id}'")
        return str(row["conversation_id"])

    def person(self) -> str:
        """Return a contact of somebody who is known on several sources and has written most."""
        (row,) = self.query(
            "SELECT person_id FROM parley.people "
            "ORDER BY ARRAY_LENGTH(sources) DESC, messages DESC, person_id LIMIT 1"
        )
        return str(row["person_id"])

    def _load(self, events: Iterable[RawEvent]) -> None:
        by_table = defaultdict(list)
        for event in events:
            for row in normalize(event):
                by_table[TABLE_OF[type(row)]].append(row)
        parquet = bigquery.ParquetOptions()
        parquet.enable_list_inference = True
        settings = bigquery.LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_APPEND", parquet_options=parquet
        )
        for table, rows in by_table.items():
            with io.BytesIO() as file:
                arrow.write_parquet(table, [rows], file, int(START.timestamp() * 1_000_000))
                file.seek(0)
                self.client.load_table_from_file(file, self.target.table(table), job_config=settings).result()


def _hostile() -> RawEvent:
    item = {
        "timestamp": int(START.timestamp() * 1000) + 3_600_000,
        "sender": {"id": "66"},
        "recipient": {"id": "1"},
    }
    attachments = [
        {"type": "image", "payload": {"url": "https://cdn.example/<b>.png"}},
        {"type": "file", "payload": {"url": "javascript:alert(3)"}},
    ]
    item["message"] = {"mid": "m_<hostile>", "text": HOSTILE, "attachments": attachments}
    return _event(HOSTILE_EVENT, 1, {"object": "page", "entry": [{"id": "1", "time": 1, "messaging": [item]}]})


def _broken() -> Iterable[RawEvent]:
    for number in range(LETTERS):
        item = {"sender": {"id": "66"}, "recipient": {"id": "1"}, "timestamp": 1, "message": f"<b>{number}</b>"}
        body = {"object": "page", "entry": [{"id": "1", "time": 1, "messaging": [item]}]}
        # Two at a time were received in the same microsecond.
        yield _event(f"019caaaa-0000-7000-8000-{number:012d}", 2 + number // 2, body)


def _event(event_id: str, minute: int, body: object) -> RawEvent:
    return RawEvent(
        json.dumps(body).encode(),
        {
            "event_id": event_id,
            "source": "facebook",
            "received_at": format_received_at(START + dt.timedelta(hours=1, minutes=minute)),
            "content_type": "application/json",
            "verified_by": "sample",
        },
    )


def _write(root: Path, events: list[RawEvent]) -> None:
    path = root / folder("facebook", START + dt.timedelta(hours=1)) / "hostile.avro"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer(file, AVRO_SCHEMA, [event.to_avro() for event in events])
