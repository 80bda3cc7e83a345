# The pipeline, as two images. Build from the repository's root:
#   docker build --file deploy/containers/pipeline.Dockerfile --target commands --tag … .
#       `parley` for who has no Python: stream, backfill, reconcile, tables deploy …
#   docker build --file deploy/containers/pipeline.Dockerfile --target dataflow --tag … .
#       Dataflow's workers, and the launcher of the Flex Templates in deploy/dataflow/.
# Neither serves anything, so there is no health check: Dataflow, or the supervisor, watches the process.

# Beam's starter of workers, of the same version as in requirements.lock.
FROM apache/beam_python3.11_sdk:2.77.0 AS beam
FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:20240812-rc01 AS launcher

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS build
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.9
COPY setup.py pyproject.toml requirements.lock ./
COPY pipelines pipelines
COPY receiver receiver
COPY schemas schemas
# The lock says which versions, and their hashes; the extra says which packages.
RUN uv pip install --no-cache --compile-bytecode --python /usr/local/bin/python --prefix /install \
    --constraint requirements.lock '.[dataflow]'

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS base
COPY --from=build /install /usr/local
ENV PYTHONUNBUFFERED=1

FROM base AS commands
RUN groupadd --gid 10001 parley && useradd --uid 10001 --gid 10001 --create-home parley
USER 10001:10001
WORKDIR /home/parley
ENTRYPOINT ["parley"]

# As root, because Dataflow mounts folders of root's into workers and launchers that they must write to:
# https://github.com/GoogleCloudPlatform/python-docs-samples/issues/13213. They run in machines of their own.
FROM base AS dataflow
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
COPY deploy/dataflow/launch.py /template/launch.py
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/template/launch.py
ENTRYPOINT ["/opt/apache/beam/boot"]
