"""A world to reprocess, and what the local runner makes of it."""

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from planning import Written

from pipelines.generate import write_archive as archives
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.io.archive_segments import Selection
from pipelines.run import batch
from tests.raw_events import raw_event, text_message, write_segment

# Dear: `make test-runners` names them.
collect_ignore = ["test_flink.py", "test_flink_live.py", "test_prism.py"]


@pytest.fixture(scope="module")
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of all sources, as many conversations as a module asks for, a broken body, and a torn segment."""
    root = tmp_path_factory.mktemp("world") / "archive"
    world = World(request.module.CONVERSATIONS, 9, archives.day_of(DEFAULT_START), 2, tuple(WEIGHTS))
    for day in range(world.days):
        archives.write_day(world, root, day)
    write_segment(root, [raw_event(b"no json", number=1), text_message(2)], "broken.avro")
    torn = write_segment(root, [text_message(number) for number in range(10, 20)], "torn.avro")
    torn.write_bytes(torn.read_bytes()[:-20])
    return root


@pytest.fixture(scope="module")
def here(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What Beam's local runner makes of the archive in this process."""
    folder = tmp_path_factory.mktemp("here")
    batch.run(str(archive), Selection(), str(folder), PipelineOptions(["--runner=FnApiRunner"]))
    made = Written(folder)
    assert all(made.rows().values()), "every table has rows"
    return made
