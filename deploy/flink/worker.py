#!/usr/bin/env python
"""Starts Beam's worker for a Flink task manager, which runs this program (`--environment_type=PROCESS`).

Beam's own program for it is made for its containers and installs what a job brings along. Here all is installed
in the environment of the first `python` in the task manager's PATH.
"""

import argparse
import os
import sys

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_grpc
from google.protobuf import json_format, text_format


def provisioned(endpoint: str, worker: str) -> provision.ProvisionInfo:
    """Return what the runner has for a worker (`beam_provision_api.proto`)."""
    with grpc.insecure_channel(endpoint) as channel:
        request = provision.GetProvisionInfoRequest()
        stub = provision_grpc.ProvisionServiceStub(channel)
        return stub.GetProvisionInfo(request, metadata=[("worker_id", worker)], timeout=60).info


def main() -> None:
    """Tell Beam's worker what it looks for in its environment, and become it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    arguments, _ = parser.parse_known_args()
    info = provisioned(arguments.provision_endpoint, arguments.id)
    os.environ |= {
        "WORKER_ID": arguments.id,
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.control_endpoint),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.logging_endpoint),
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    os.execv(sys.executable, [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"])  # noqa: S606


if __name__ == "__main__":
    main()
