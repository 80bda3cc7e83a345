"""The ways from an archive to rows that `bench_batch.py` compares, each to be run in a process of its own.

    python -m tests.bench.ways WAY ARCHIVE [SOURCE]

Prints one line of JSON: events, seconds (without imports), and the peak resident memory of the largest process.
"""

import gc
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam

# Beam imports its runner when it runs; but a way's time is to be without imports.
import apache_beam.runners.portability.fn_api_runner
import msgspec
import orjson
import pyarrow.parquet as pq
from apache_beam.io.avroio import ReadFromAvro
from apache_beam.io.parquetio import WriteToParquet
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.bigquery import arrow
from pipelines.core.rows import TABLE_OF, TABLES, Row
from pipelines.io.archive_segments import Selection, find_groups, find_segments, read_segment
from pipelines.normalize import normalize_or_dead_letter
from pipelines.run import batch
from schemas.raw_event import RawEvent

HERE = Path(__file__).parent
FORM = "application/x-www-form-urlencoded"


class Measured(msgspec.Struct):
    """What a way has done."""

    way: str
    events: int
    seconds: float
    cpu_seconds: float
    """Of all processes, with what they need to start."""
    peak_mb: float
    """Of the largest process."""


class Given(msgspec.Struct, frozen=True):
    """What a way reads, and where it may write."""

    archive: str
    output: str
    selection: Selection

    def events(self) -> Iterator[RawEvent]:
        """Yield every event of the selection."""
        for segment in find_segments(self.archive, self.selection):
            yield from read_segment(segment, [])


def read(given: Given) -> int:
    """Read the archive, and nothing else."""
    return sum(1 for _ in given.events())


def loads(given: Given) -> int:
    """Read the archive and parse every JSON body with orjson into dictionaries, of which nothing is kept."""
    count = 0
    for event in given.events():
        if event.content_type != FORM:
            orjson.loads(event.data)
            count += 1
    return count


def normalize(given: Given) -> int:
    """Read the archive and make the rows, of which nothing is kept."""
    return sum(1 for event in given.events() if normalize_or_dead_letter(event))


def bare(given: Given) -> int:
    """A bare loop that does by hand what the batch pipeline does: no Beam, no retry, no atomic files."""
    count = 0
    for group in find_groups(given.archive, given.selection):
        made: dict[str, list[Row]] = {}
        for segment in group.segments:
            for event in read_segment(segment, []):
                count += 1
                for row in normalize_or_dead_letter(event):
                    made.setdefault(TABLE_OF[type(row)], []).append(row)
        for table, rows in made.items():
            folder = Path(given.output, table)
            folder.mkdir(parents=True, exist_ok=True)
            arrow.write_parquet(table, [rows], str(folder / f"{count}.parquet"), 0)
    return count


def one_core(given: Given) -> int:
    """The batch pipeline in one process."""
    return _batch(given, "--processes=1")


def all_cores(given: Given) -> int:
    """The batch pipeline as it runs by default: a process for each core."""
    return _batch(given)


def beam_workers(given: Given) -> int:
    """The batch pipeline in one process that has Beam's own worker processes, one for each core."""
    workers = f"--direct_num_workers={os.cpu_count()}"
    return _batch(given, "--processes=1", "--direct_running_mode=multi_processing", workers)


def _batch(given: Given, *arguments: str) -> int:
    options = PipelineOptions(["--runner=FnApiRunner", *arguments])
    return batch.run(given.archive, given.selection, given.output, options).events


def per_row(given: Given) -> int:
    """The way of Beam's textbooks: an element for each record and for each row, and a dictionary too."""
    options = PipelineOptions(["--runner=FnApiRunner"])
    pipeline = beam.Pipeline(options=options)
    tables = (
        pipeline
        | ReadFromAvro(f"{given.archive}/**")
        | beam.Map(RawEvent.from_avro)
        | beam.FlatMap(_tagged_rows).with_outputs(*TABLES)
    )
    for table in TABLES:
        path = f"{given.output}/{table}/rows"
        written = WriteToParquet(path, arrow.schema(table), codec="zstd", file_name_suffix=".parquet")
        tables[table] | f"Write {table}" >> written  # type: ignore[index]
    pipeline.run().wait_until_finish()
    return _rows_of(f"{given.output}/events")


_UNPLACED = {"placed_at": None, "run_id": None}


def _tagged_rows(event: RawEvent) -> Iterator[beam.pvalue.TaggedOutput]:
    processed_at = time.time_ns() // 1_000
    for row in normalize_or_dead_letter(event):
        described = {**msgspec.structs.asdict(row), "processed_at": processed_at, **_UNPLACED}
        yield beam.pvalue.TaggedOutput(TABLE_OF[type(row)], described)


def sql(given: Given) -> int:
    """DuckDB on one core: the extraction from Messenger's and Instagram's bodies, written in SQL."""
    # Here, since every process of the other ways imports this module.
    import duckdb
    from duckdb_extensions import import_extension

    segments = find_segments(given.archive, given.selection)
    with duckdb.connect(config={"threads": 1}) as connection:
        import_extension("avro", con=connection)
        connection.execute("LOAD avro")
        connection.execute("SET VARIABLE segments = ?", [segments])
        for statement in (HERE / "facebook.sql").read_text("utf-8").replace("OUTPUT", given.output).split(";\n"):
            connection.execute(statement)
    return _rows_of(given.output, "events.parquet")


def _rows_of(folder: str, pattern: str = "*.parquet") -> int:
    return sum(pq.read_metadata(path).num_rows for path in Path(folder).glob(pattern))


WAYS: dict[str, Callable[[Given], int]] = {
    way.__name__: way for way in (read, loads, normalize, bare, one_core, all_cores, beam_workers, per_row, sql)
}


def run(way: str, archive: str, sources: tuple[str, ...] = ()) -> Measured:
    """Run a way in this process, its files in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=Path(archive).parent) as output:
        gc.collect()
        begun, started = _cpu_seconds(), time.perf_counter()
        events = WAYS[way](Given(archive, output, Selection(sources=sources)))
        seconds = time.perf_counter() - started
        # Processes that have done their work may still be ending; then their figures would be missing.
        for process in multiprocessing.active_children():
            process.join()
        cpu_seconds = _cpu_seconds() - begun
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(way, events, seconds, cpu_seconds, max(peaks) * unit / 1e6)


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(run(sys.argv[1], sys.argv[2], tuple(sys.argv[3:]))) + b"\n")
