"""What a live pipeline tells Flink of checkpoints: without it a job may run and never read."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from pipelines.run.stream import hand_over_readers

OPTION = "beam:option:finish_bundle_before_checkpointing:v1"


def told(options: PipelineOptions) -> dict[str, object]:
    """Return what a job server is told."""
    return dict(JobServiceHandle.encode_pipeline_options(options.get_all_options()))


def test_readers_go_out_before_the_first_checkpoint():
    options = PipelineOptions(["--runner=FlinkRunner", "--checkpointing_interval=1000"])
    hand_over_readers(options)
    assert told(options)[OPTION] is True


@pytest.mark.parametrize("runner", ["FlinkRunner", "DataflowRunner", "FnApiRunner"])
def test_other_pipelines_do_not_hear_of_it(runner: str):
    assert OPTION not in told(PipelineOptions([f"--runner={runner}"]))
