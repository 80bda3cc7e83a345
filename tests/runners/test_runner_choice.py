"""Which runner it is, is for the options to say; what runs here without one named, runs in this process."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from apache_beam.options.pipeline_options import StandardOptions

from pipelines.run.pipeline_commands import local_options

PIPELINES = Path(__file__).parents[2] / "pipelines"
CHOOSING = ("io/options.py", "run/pipeline_commands.py", "deploy")
"""Beam's options, the default of the local commands, and the deployment on one certain runner."""


def test_the_pipeline_names_no_runner():
    steps = [
        path for path in PIPELINES.rglob("*.py") if not path.relative_to(PIPELINES).as_posix().startswith(CHOOSING)
    ]

    assert len(steps) > 50
    assert [(path.name, name) for path in steps for name in runners(path)] == []


def test_local_commands_do_not_let_beam_choose():
    assert local_options([]).view_as(StandardOptions).runner == "FnApiRunner"
    assert local_options(["--runner=FlinkRunner"]).view_as(StandardOptions).runner == "FlinkRunner"


def runners(path: Path) -> Iterator[str]:
    """Yield the names of runners among a module's names and texts."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case (
                ast.Constant(value=str(text)) | ast.Name(id=text) | ast.Attribute(attr=text) | ast.alias(name=text)
            ):
                yield from re.findall(r"\w+Runner\b", text)
