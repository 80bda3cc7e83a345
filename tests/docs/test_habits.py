"""What developers are told to run is there: hooks, make targets, and what CI runs."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.M))
CI = (ROOT / ".ci" / "run").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "deploy").glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def hooks() -> dict[str, str]:
    """Return each hook's command."""
    yaml = pytest.importorskip("yaml")
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repository["repo"] == "local", "hooks of other repositories would be fetched"
    return {hook["id"]: hook["entry"] for hook in repository["hooks"]}


def test_the_hooks_run_what_ci_runs():
    assert {command for command in hooks().values() if command.startswith("make ")} <= {
        f"make {target}" for target in TARGETS
    }
    assert hooks()["lint"] in CI.splitlines()
    assert os.access(ROOT / hooks()["ci"], os.X_OK)


def test_ci_runs_lint_and_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")

    commands = {line.removesuffix(" || again") for line in CI.splitlines()}
    assert {"make lint", "make demo", "make test", "make test-thorough"} <= commands
    assert {"make demo", "make test"} <= set(re.findall(r"^make [a-z-]+", readme, re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_is_there(page: Path):
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.M))

    assert named - TARGETS == set()


def test_the_fast_tests_are_there():
    lists = re.findall(r"^(?:NOT_)?UNIT := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)

    assert len(lists) == 2
    assert [path for path in " ".join(lists).replace("\\\n", " ").split() if not (ROOT / path).exists()] == []
