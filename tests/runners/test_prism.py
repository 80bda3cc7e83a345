"""Beam's Prism makes the rows of the local runner, and so does `DirectRunner`, be Prism there or not."""

from pathlib import Path, PurePosixPath

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from flink_cluster import ARTIFACTS
from planning import Written, plan

from pipelines.bigquery.target import Target

pytestmark = pytest.mark.thorough

CONVERSATIONS = 200
STARTED = "Really starting service"
"""What Beam says of every process that it runs a pipeline with."""


@pytest.fixture
def prism() -> Path:
    binary = ARTIFACTS / "prism"
    if not binary.exists():
        pytest.skip("Prism has not been built: make runners (needs Go)")
    return binary


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that Beam keeps its downloads in."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def offline(home: Path) -> dict[str, str]:
    """An environment of that home in which a download fails at once."""
    nobody = "http://127.0.0.1:1"
    names = {"http_proxy": nobody, "https_proxy": nobody, "no_proxy": "127.0.0.1,localhost"}
    return {"HOME": str(home)} | names | {name.upper(): value for name, value in names.items()}


def test_prism_makes_the_rows_of_the_local_runner(
    prism: Path, bigquery_target: Target, archive: Path, here: Written, tmp_path: Path
):
    options = ["--runner=PrismRunner", f"--prism_location={prism}"]
    with plan(archive, tmp_path, bigquery_target, options) as job:
        job.wait()

    assert job.written().rows() == here.rows()
    assert STARTED in job.log.read_text()


def test_the_direct_runner_takes_prism_where_it_is_present(
    prism: Path,
    home: Path,
    offline: dict[str, str],
    bigquery_target: Target,
    archive: Path,
    here: Written,
    tmp_path: Path,
):
    # Beam takes what lies under the name of the download.
    download = PurePosixPath(PrismJobServer(PipelineOptions([])).path_to_binary()).name
    cache = home / ".apache_beam/cache/prism/bin"
    cache.mkdir(parents=True)
    (cache / download).symlink_to(prism)

    with plan(archive, tmp_path, bigquery_target, ["--runner=DirectRunner"], offline) as job:
        job.wait()

    assert job.written().rows() == here.rows()
    assert STARTED in job.log.read_text()


def test_the_direct_runner_does_without_prism_where_it_is_absent(
    offline: dict[str, str], bigquery_target: Target, archive: Path, here: Written, tmp_path: Path
):
    with plan(archive, tmp_path, bigquery_target, ["--runner=DirectRunner"], offline) as job:
        job.wait()

    assert job.written().rows() == here.rows()
    assert STARTED not in job.log.read_text()
