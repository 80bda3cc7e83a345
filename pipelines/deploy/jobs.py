"""Jobs on Dataflow: which one goes by a name, what its steps are, and how it is drained.

https://cloud.google.com/dataflow/docs/reference/rest
"""

from typing import Any

from apache_beam.internal.gcp.auth import get_service_credentials
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import dataflow_v1beta3 as dataflow

from pipelines.bigquery.target import ConfigurationError

_HELD = {dataflow.JobState.JOB_STATE_DRAINING, dataflow.JobState.JOB_STATE_CANCELLING}


class NoSuchJobError(LookupError):
    """No active job goes by that name."""


class Jobs:
    """The jobs of a project in a region."""

    def __init__(self, options: PipelineOptions) -> None:
        """Reach Dataflow as Beam does with these options.

        Raises:
            ConfigurationError: there are no credentials.
        """
        google = options.view_as(GoogleCloudOptions)
        endpoint = google.dataflow_endpoint
        self._place = {"project_id": google.project, "location": google.region}
        self._client = dataflow.JobsV1Beta3Client(
            credentials=_credentials(options),
            client_options=ClientOptions(api_endpoint=endpoint.removeprefix("https://")),
            # Google speaks gRPC; a stand-in of it need not.
            transport="rest" if endpoint.startswith("http://") else None,
        )

    def active(self, name: str) -> dataflow.Job | None:
        """Return the active job of a name with all that is known of it; None where there is none."""
        request = dataflow.ListJobsRequest(filter=dataflow.ListJobsRequest.Filter.ACTIVE, **self._place)
        for job in self._client.list_jobs(request):
            if job.name == name:
                return self._client.get_job(
                    dataflow.GetJobRequest(job_id=job.id, view=dataflow.JobView.JOB_VIEW_ALL, **self._place)
                )
        return None

    def drain(self, name: str) -> str:
        """Let the active job of a name finish what it has read, then end; return its id.

        Raises:
            NoSuchJobError: there is none.
        """
        job = self.active(name)
        if job is None:
            raise NoSuchJobError(f"no active job is called {name!r} in {self._place['location']}")
        if job.current_state not in _HELD:
            wanted = dataflow.Job(requested_state=dataflow.JobState.JOB_STATE_DRAINING)
            self._client.update_job(dataflow.UpdateJobRequest(job_id=job.id, job=wanted, **self._place))
        return str(job.id)


def steps(pipeline: beam_runner_api_pb2.Pipeline) -> set[str]:
    """Return the names of a pipeline's steps that a runner carries out, not of those made of others."""
    transforms = pipeline.components.transforms.values()
    return {transform.unique_name for transform in transforms if not transform.subtransforms}


def steps_of(job: dataflow.Job) -> set[str]:
    """Return the steps of a job, from the pipeline that Beam has put into the staging folder for its workers.

    Raises:
        ConfigurationError: that file is gone.
    """
    options: dict[str, Any] = dict(job.environment.sdk_pipeline_options.get("options", {}))
    path = options.get("pipelineUrl")
    try:
        if not path:
            raise OSError("the job does not say where it is")
        with FileSystems.open(path) as file:
            return steps(beam_runner_api_pb2.Pipeline.FromString(file.read()))
    except (OSError, GoogleAPICallError) as error:
        raise ConfigurationError(
            f"the pipeline of the running job {job.id} cannot be compared, since its staged file cannot be read "
            f"({error}); --force leaves the check to Dataflow"
        ) from error


def _credentials(options: PipelineOptions) -> Any:
    if options.view_as(GoogleCloudOptions).no_auth:
        return AnonymousCredentials()
    found = get_service_credentials(options)
    if found is None:
        raise ConfigurationError("there are no Google credentials here: gcloud auth application-default login")
    return found.get_google_auth_credentials()
