"""Batch makes exactly the rows of `normalize`, and only of the events that were asked for."""

import datetime as dt
import os
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.bigquery import arrow, load
from pipelines.core.rows import TABLE_OF, TABLES
from pipelines.io import archive_segments, archive_share
from pipelines.io.archive_damages import damages_folder, read_damages
from pipelines.io.archive_segments import Selection
from pipelines.io.options import ParleyOptions
from pipelines.io.write_parquet import WriteParquet
from pipelines.run import batch, shares
from pipelines.sources.normalization import normalize
from tests.raw_events import NOON, raw_event, text_message, write_segment

OPTIONS = PipelineOptions(["--runner=FnApiRunner"])


def read(folder: Path) -> dict[str, list[dict]]:
    """Return what was written, `processed_at` left aside."""
    tables = {}
    for table in TABLES:
        files = sorted((folder / table).glob("*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        tables[table] = [{k: v for k, v in row.items() if k not in arrow.UNMADE} for row in rows]
    return tables


def expected(events) -> dict[str, list[dict]]:
    tables = {table: [] for table in TABLES}
    for event in events:
        for row in normalize(event):
            table = TABLE_OF[type(row)]
            (made,) = arrow.record_batch(table, [row], 0).to_pylist()
            made = {name: value for name, value in made.items() if name not in arrow.UNMADE}
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


def test_rows_that_workers_wrote_elsewhere_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_segment(tmp_path / "archive", [text_message(1)])
    elsewhere = WriteParquet(str(tmp_path / "of another machine"))
    monkeypatch.setattr(batch, "WriteParquet", lambda _: elsewhere)

    with pytest.raises(FileNotFoundError, match="the rows of 1 events are not in"):
        batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), OPTIONS)


def test_a_damaged_segment_takes_nothing_from_the_others_of_its_group(tmp_path: Path):
    for n in range(3):
        path = write_segment(tmp_path / "archive", [text_message(4 * n + m) for m in range(4)], f"{n}.avro")
        if n == 1:
            path.write_bytes(path.read_bytes()[:-20])

    done = batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), OPTIONS)

    assert done == batch.BatchResult(segments=3, events=10, damages=1)
    assert len(read(tmp_path / "rows")["events"]) == 10
    (damage,) = read_damages(damages_folder(str(tmp_path / "rows")))
    assert damage.path.endswith("1.avro")


def test_a_large_archive_is_divided_among_processes_with_the_same_rows(tmp_path: Path, monkeypatch):
    segments = [[text_message(10 * n + m) for m in range(10)] for n in range(4)]
    for n, events in enumerate(segments):
        write_segment(tmp_path / "archive", events, f"{n}.avro")
    monkeypatch.setattr(archive_segments, "GROUP_BYTES", 1)
    monkeypatch.setattr(shares, "WORTH_A_FORK", 1)
    monkeypatch.setattr(shares, "WORTH_A_SPAWN", 1)
    here = PipelineOptions(["--runner=FnApiRunner", "--processes=1"])
    two = PipelineOptions(["--runner=FnApiRunner", "--processes=2"])

    results = {
        name: batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / name), options)
        for name, options in (("one", here), ("two", two))
    }

    assert set(results.values()) == {batch.BatchResult(segments=4, events=40, damages=0)}
    assert read(tmp_path / "one") == read(tmp_path / "two")
    assert len(read(tmp_path / "two")["messages"]) == 40


@pytest.mark.thorough
@pytest.mark.parametrize(
    "arguments",
    [
        ["--runner=FnApiRunner"],
        ["--runner=FnApiRunner", "--direct_num_workers=2", "--direct_running_mode=multi_threading"],
        ["--runner=FnApiRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing"],
        ["--runner=BundleBasedDirectRunner"],
    ],
)
def test_every_runner_of_this_machine_reads_all(tmp_path: Path, monkeypatch, arguments: list[str]):
    for n in range(5):
        write_segment(tmp_path / "archive", [text_message(10 * n + m) for m in range(10)], f"{n}.avro")
    monkeypatch.setattr(archive_segments, "GROUP_BYTES", 1)
    monkeypatch.setattr(archive_share, "LARGEST_SHARE", 1_000)

    done = batch.run(str(tmp_path / "archive"), Selection(), str(tmp_path / "rows"), PipelineOptions(arguments))

    assert done == batch.BatchResult(segments=5, events=50, damages=0)
    assert len({row["message_id"] for row in read(tmp_path / "rows")["messages"]}) == 50


@pytest.mark.parametrize(
    ("arguments", "processes"),
    [
        (["--runner=FnApiRunner"], os.cpu_count()),
        (["--runner=apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"], os.cpu_count()),
        (["--runner=FnApiRunner", "--processes=3"], 3),
        (["--runner=FnApiRunner", "--direct_running_mode=multi_processing"], 1),
        (["--runner=DataflowRunner"], 1),
        (["--runner=PortableRunner"], 1),
    ],
)
def test_a_runner_elsewhere_divides_the_work_itself(arguments: list[str], processes: int):
    assert PipelineOptions(arguments).view_as(ParleyOptions).most_processes() == processes


def test_files_are_joined_into_row_groups_of_a_good_size(tmp_path: Path, monkeypatch):
    rows = [row for n in range(6) for row in normalize(text_message(n)) if TABLE_OF[type(row)] == "messages"]
    for n, row in enumerate(rows):
        arrow.write_parquet("messages", [[row]], str(tmp_path / f"{n}.parquet"), 0)
    one = arrow.record_batch("messages", rows[:1], 0).nbytes
    monkeypatch.setattr(load, "_ROW_GROUP_BYTES", 3 * one - 10)
    paths = [str(tmp_path / f"{n}.parquet") for n in range(6)]

    with (tmp_path / "joined").open("wb") as file:
        count = load._join(paths, arrow.schema("messages"), file)

    joined = pq.ParquetFile(tmp_path / "joined")
    assert count == 6
    assert [joined.metadata.row_group(n).num_rows for n in range(joined.num_row_groups)] == [3, 3]
    assert joined.read().to_pylist() == arrow.record_batch("messages", rows, 0).to_pylist()
