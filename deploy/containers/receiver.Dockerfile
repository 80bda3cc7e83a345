# The receiver: docker build --file deploy/containers/receiver.Dockerfile --tag … .
# Build it from the repository's root. What it needs to know at run time is in docs/configuration.md.
FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS build
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.9
COPY setup.py pyproject.toml requirements.lock ./
COPY pipelines pipelines
COPY receiver receiver
COPY schemas schemas
# The lock says which versions, and their hashes; the extra says which packages.
RUN uv pip install --no-cache --compile-bytecode --python /usr/local/bin/python --prefix /install \
    --constraint requirements.lock '.[receiver]'

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
RUN groupadd --gid 10001 parley && useradd --uid 10001 --gid 10001 --no-create-home --home-dir / parley
COPY --from=build /install /usr/local
# No default for PARLEY_DATA_DIR: without a disk that outlives the container it must not start.
ENV PYTHONUNBUFFERED=1 PARLEY_HOST=0.0.0.0 PARLEY_PORT=8080
ARG COMMIT=""
ARG BUILD=""
ENV PARLEY_COMMIT=$COMMIT PARLEY_BUILD=$BUILD
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request; \
urllib.request.urlopen('http://127.0.0.1:' + os.environ['PARLEY_PORT'] + '/__lbheartbeat__', timeout=4)"]
ENTRYPOINT ["python", "-m", "receiver"]
