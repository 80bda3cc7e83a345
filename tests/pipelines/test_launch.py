"""The pipeline is one for every runner, and is started as a module too."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNERS = ("DataflowRunner", "DirectRunner", "FlinkRunner", "FnApiRunner", "PrismRunner", "PortableRunner")
# Options choose a runner, the commands that start a pipeline here name one, and the deployment is of one.
MAY_NAME_RUNNERS = {"pipelines/io/options.py", "pipelines/run/pipeline_commands.py"}


def names_of_runners(path: Path) -> set[str]:
    """Return the constants of a module in which a runner's name is, docstrings left aside."""
    tree = ast.parse(path.read_text("utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in said)
    return {str(c.value) for c in constants if isinstance(c.value, str) and c.value.endswith(RUNNERS)}


def test_no_code_of_the_pipeline_asks_for_the_runners_name():
    modules = {str(path.relative_to(ROOT)): path for path in (ROOT / "pipelines").rglob("*.py")}
    left_aside = ("pipelines/deploy/", "pipelines/local/")

    asking = {
        name: found
        for name, path in modules.items()
        if name not in MAY_NAME_RUNNERS and not name.startswith(left_aside) and (found := names_of_runners(path))
    }

    assert asking == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mode=batch", "--project=a-project", "--archive=/there/is/none", "--output=x"], "no archive at"),
        (["--mode=streaming"], "--bigquery_project is not given"),
    ],
)
def test_what_cannot_start_says_so_in_a_line(arguments: list[str], said: str):
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.normalize", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
