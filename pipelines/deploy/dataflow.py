"""What `parley deploy dataflow` gives to the pipeline: its own arguments, and what a job on Dataflow needs.

https://cloud.google.com/dataflow/docs/reference/pipeline-options
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, TestOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from pipelines.bigquery.target import ConfigurationError
from pipelines.io.options import STREAMING, ParleyOptions

CHECKOUT = Path(__file__).parents[2]
"""Where Parley's setup.py is, unless it was installed as a package."""
REQUIREMENTS = Path("deploy/dataflow/requirements.txt")
_OWN_PACKAGES = ("--setup_file", "--extra_package", "--extra_packages", "--sdk_container_image")


class Job(msgspec.Struct, frozen=True):
    """Where and how large a job is."""

    mode: str
    project: str
    region: str
    temp_location: str
    job_name: str
    min_num_workers: int
    max_num_workers: int


def arguments(job: Job, further: Sequence[str], checkout: Path = CHECKOUT) -> list[str]:
    """Return all arguments of a job: those for `python -m pipelines.normalize`, and further ones as they are.

    Raises:
        ConfigurationError: nothing says how workers get Parley.
    """
    values = msgspec.structs.asdict(job)
    services = [f"min_num_workers={values.pop('min_num_workers')}"]
    if job.mode == STREAMING:
        # Views show a message once, however often it was stored, so that Dataflow need not shuffle for it.
        services.append("streaming_mode_at_least_once")
    return [
        "--runner=DataflowRunner",
        *(f"--{name}={value}" for name, value in values.items()),
        "--autoscaling_algorithm=THROUGHPUT_BASED",
        *(f"--dataflow_service_options={service}" for service in services),
        *(["--streaming"] if job.mode == STREAMING else []),
        "--no_wait_until_finish",
        *packages(further, checkout),
        *further,
    ]


def packages(further: Sequence[str], checkout: Path = CHECKOUT) -> list[str]:
    """Return the arguments that let workers install this checkout, unless further ones bring it to them.

    Raises:
        ConfigurationError: Parley was not installed from a checkout.
    """
    if any(argument.partition("=")[0] in _OWN_PACKAGES for argument in further):
        return []
    setup, requirements = checkout / "setup.py", checkout / REQUIREMENTS
    if not (setup.exists() and requirements.exists()):
        raise ConfigurationError(
            "workers need Parley: run this in a checkout (pip install -e '.[dataflow]'), or give "
            "--sdk_container_image with an image that has it (deploy/containers/pipeline.Dockerfile)"
        )
    # Wheels for the launching machine need not be wheels for workers: these get their own from PyPI.
    return [f"--setup_file={setup}", f"--requirements_file={requirements}", "--requirements_cache=skip"]


def problems(given: Sequence[str]) -> list[str]:
    """Return what is wrong with the arguments of a job, as far as that can be told without Dataflow."""
    options = PipelineOptions(list(given))
    known = options.get_all_options().keys()
    # Beam itself drops them, and says so among other warnings.
    unknown = sorted(options.get_all_options(retain_unknown_options=True).keys() - known)
    options.view_as(TestOptions).dry_run = True
    validator = PipelineOptionsValidator(options, DataflowRunner())
    # First by itself: where it is wrong, the whole validation would make a bucket.
    said = (
        validator.validate_gcs_path(options.view_as(GoogleCloudOptions), "temp_location") or validator.validate()
    )
    parley = options.view_as(ParleyOptions)
    local = [folder for folder in (parley.archive, parley.output) if folder and not folder.startswith("gs://")]
    said += [f"workers do not have the folder {folder}: it must begin with gs://" for folder in local]
    return [*(f"neither Beam nor the pipeline has an option --{name}" for name in unknown), *said]


def lost_steps(running: set[str], new: set[str], mapping: Mapping[str, str] | None) -> list[str]:
    """Return the steps of a running job that its replacement does not have, not even by another name.

    Dataflow carries what is under way over by the names of steps.
    https://cloud.google.com/dataflow/docs/guides/updating-a-pipeline#name-transforms
    """
    renamed = mapping or {}
    return sorted(step for step in running - new if renamed.get(step) not in new)
