# The sender: docker build --file deploy/containers/sender.Dockerfile --tag … .
# Build it from the repository's root. What it needs to know at run time is in docs/sending.md. It serves nothing, so there
# is no health check: whoever starts it starts it again.
FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS build
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.9
COPY setup.py pyproject.toml requirements.lock ./
COPY pipelines pipelines
COPY receiver receiver
COPY schemas schemas
# The lock says which versions, and their hashes; the extra says which packages.
RUN uv pip install --no-cache --compile-bytecode --python /usr/local/bin/python --prefix /install \
    --constraint requirements.lock '.[sender]'

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
RUN groupadd --gid 10001 parley && useradd --uid 10001 --gid 10001 --no-create-home --home-dir / parley
COPY --from=build /install /usr/local
# No default for PARLEY_DATA_DIR: without a disk that outlives the container it must not start.
ENV PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["parley", "send"]
