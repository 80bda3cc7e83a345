"""Writes the files in `deploy/dataflow/` that follow from the code: `python -m pipelines.deploy.files`."""

import json
from pathlib import Path

import click

from pipelines.deploy import dataflow, template
from pipelines.deploy.deploy_commands import pipeline_steps
from pipelines.io.options import BATCH, STREAMING

FOLDER = Path("deploy/dataflow")
_STEPS_HEAD = """\
# The steps of the streaming job, with one subscription for all. Dataflow updates a running job by these names:
# whoever renames or removes one says --transform_name_mapping, or drains the job (docs/upgrading.md).
# Written by make dataflow-files.
"""


def generated() -> dict[str, str]:
    """Return the files by name."""
    files = {
        f"{mode}.json": json.dumps(template.metadata(mode), indent=2, ensure_ascii=False) + "\n"
        for mode in (STREAMING, BATCH)
    }
    return files | {"steps.txt": _STEPS_HEAD + "".join(f"{step}\n" for step in streaming_steps())}


def streaming_steps() -> list[str]:
    """Return the names of the streaming job's steps, where it reads one subscription."""
    job = dataflow.Job(STREAMING, "a-project", "a-region", "gs://a-bucket/temp", "a-job", 1, 2)
    subscription = "--subscription=projects/a-project/subscriptions/parley-<source>"
    return sorted(pipeline_steps(dataflow.arguments(job, [subscription])))


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, show_default=True)
def main(folder: Path) -> None:
    """Write the generated files into a folder."""
    for name, content in generated().items():
        (folder / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main()
