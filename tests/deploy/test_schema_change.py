"""A table gains a column while rows flow: of the pipeline that does not know it, and of the one that does."""

import threading
from collections.abc import Iterator

import pytest
from google.cloud import bigquery

from pipelines.bigquery import arrow, deploy
from pipelines.bigquery.appender import Appender
from pipelines.bigquery.target import Target, write_client
from pipelines.core import rows
from pipelines.sources.normalization import every_row
from schemas import loader
from tests.raw_events import text_message

pytestmark = pytest.mark.thorough

TABLE = "channels"


class ColouredChannel(rows.Channel, frozen=True):
    """A channel as the next version of the pipeline makes it."""

    colour: str | None = None


def channel(number: int) -> rows.Channel:
    """Return the channel that the pipeline makes of an event, told by the number."""
    (made,) = (row for row in every_row(text_message(number)) if isinstance(row, rows.Channel))
    return made


class Flow:
    """Appends one row after the other on one connection, as a pipeline under load does."""

    def __init__(self, target: Target) -> None:
        self.stored = 0
        self.refused: list[object] = []
        self._appender = Appender(write_client(target), target)
        self._stop = threading.Event()
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.refused += self._appender.append(TABLE, [channel(self.stored)]).result()
            with self._progress:
                self.stored += 1
                self._progress.notify_all()

    def pass_on(self, count: int) -> None:
        """Wait until so many more rows are confirmed."""
        with self._progress:
            enough = self.stored + count
            assert self._progress.wait_for(lambda: self.stored >= enough, timeout=60)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._appender.close()


@pytest.fixture
def flow(bigquery_target: Target) -> Iterator[Flow]:
    flow = Flow(bigquery_target)
    yield flow
    flow.stop()


def test_a_column_is_added_while_rows_flow_and_no_row_is_lost_or_refused(
    flow: Flow, bigquery_target: Target, bigquery_client: bigquery.Client, monkeypatch: pytest.MonkeyPatch
):
    flow.pass_on(20)
    spec = loader.tables()[TABLE]
    *fields, processed_at, placed_at, run_id = spec.resource["schema"]["fields"]
    colour = {"name": "colour", "type": "STRING", "mode": "NULLABLE", "description": "The channel's colour."}
    fields += [colour, processed_at, placed_at, run_id]
    newer = loader._table(TABLE, {**spec.resource, "schema": {"fields": fields}})
    # The next version of Parley, in this process: rows flow on as before.
    monkeypatch.setattr(loader, "tables", lambda tables=loader.tables(): {**tables, TABLE: newer})  # noqa: B008
    assert deploy.deploy(bigquery_client, bigquery_target)[0] == f"added {TABLE}.colour"
    flow.pass_on(20)
    flow.stop()
    # What the next version's process would do at its start: look at the schema anew.
    monkeypatch.setattr(arrow, "schema", arrow.schema.__wrapped__)

    appender = Appender(write_client(bigquery_target), bigquery_target)
    old = channel(0)
    known = {name: getattr(old, name) for name in old.__struct_fields__}
    assert appender.append(TABLE, [ColouredChannel(**known, colour="red")]).result() == []
    appender.close()

    query = f"SELECT colour, COUNT(*) FROM `{bigquery_target.table(TABLE)}` GROUP BY 1"
    counted = dict(row.values() for row in bigquery_client.query_and_wait(query))
    assert flow.refused == []
    assert counted == {None: flow.stored, "red": 1}
