"""Batch makes exactly the rows of `normalize`, and only of the events that were asked for."""

import datetime as dt
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import batch
from pipelines.archive import Selection
from pipelines.bigquery import arrow
from pipelines.events import normalize
from pipelines.rows import TABLE_OF, TABLES
from tests.raw_events import NOON, raw_event, text_message, write_segment

OPTIONS = PipelineOptions(["--runner=FnApiRunner"])


def read(folder: Path) -> dict[str, list[dict]]:
    """Return what was written, `processed_at` left aside."""
    tables = {}
    for table in TABLES:
        files = sorted((folder / table).glob("*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        tables[table] = [{k: v for k, v in row.items() if k != "processed_at"} for row in rows]
    return tables


def expected(events) -> dict[str, list[dict]]:
    tables = {table: [] for table in TABLES}
    for event in events:
        for row in normalize(event):
            table = TABLE_OF[type(row)]
            (made,) = arrow.record_batch(table, [row], 0).to_pylist()
            del made["processed_at"]
            assert made.keys() == msgspec.structs.asdict(row).keys()
            tables[table].append(made)
    return tables


def in_order(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=repr)


def test_the_rows_of_an_archive_are_those_of_its_events(tmp_path: Path):
    events = [text_message(n) for n in range(9)] + [raw_event(b"no json", number=100)]
    write_segment(tmp_path / "archive", events[:5], "a.avro")
    write_segment(tmp_path / "archive", events[5:], "b.avro.open")

    done = batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), OPTIONS)

    assert done == batch.BatchResult(segments=2, events=10, damages=0)
    made, wanted = read(tmp_path / "rows"), expected(events)
    assert {table: in_order(rows) for table, rows in made.items()} == {
        table: in_order(rows) for table, rows in wanted.items()
    }
    assert len(made["messages"]) == 9
    assert len(made["dead_letters"]) == 1


def test_only_selected_events_are_read(tmp_path: Path):
    events = [text_message(n, NOON + dt.timedelta(minutes=n)) for n in range(60)]
    write_segment(tmp_path / "archive", events)
    selection = Selection(NOON + dt.timedelta(minutes=10), NOON + dt.timedelta(minutes=12))

    batch.run(str(tmp_path / "archive"), selection, str(tmp_path / "rows"), OPTIONS)

    assert {row["source_message_id"] for row in read(tmp_path / "rows")["messages"]} == {"m_10", "m_11"}


def test_a_second_run_overwrites_what_the_first_has_written(tmp_path: Path):
    write_segment(tmp_path / "archive", [text_message(n) for n in range(5)])
    for _ in range(2):
        batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), OPTIONS)

    assert len(read(tmp_path / "rows")["messages"]) == 5
    assert not list((tmp_path / "rows").rglob("*.tmp"))


def test_damage_is_counted_and_the_rest_is_read(tmp_path: Path):
    path = write_segment(tmp_path / "archive", [text_message(n) for n in range(4)])
    path.write_bytes(path.read_bytes()[:-20])

    done = batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), OPTIONS)

    assert done == batch.BatchResult(segments=1, events=2, damages=1)


def test_an_event_that_nothing_can_be_traced_to_is_a_dead_letter(tmp_path: Path):
    event = raw_event(b"{}")
    del event.attributes["event_id"]
    write_segment(tmp_path / "archive", [event])

    batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), OPTIONS)

    (letter,) = read(tmp_path / "rows")["dead_letters"]
    assert (letter["stage"], letter["event_id"], letter["data"]) == ("event", None, b"{}")
    assert "event_id" in letter["error_message"]
