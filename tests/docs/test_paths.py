"""Whatever file, function or module the documents name is there, so that nobody follows an old name."""

import ast
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "deploy").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
FOLDERS = ("pipelines", "receiver", "schemas", "tests", "docs", "deploy")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)(?:::([\w.]+))?`")
MODULE = re.compile(r"(?<![\w/.-])((?:pipelines|receiver|schemas)(?:\.\w+)+)\b")
# Written by whoever deploys.
NOT_OURS = {"deploy/terraform/terraform.tfvars"}
# It says what things were called before.
CHANGES = ROOT / "CHANGELOG.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_and_functions_exist(page: Path):
    named = {(path, name) for path, name in PATH.findall(page.read_text("utf-8")) if path not in NOT_OURS}

    assert {path for path, _ in named if not (ROOT / path).exists()} == set()
    assert {(path, name) for path, name in named if name and name not in defined(ROOT / path)} == set()


@pytest.mark.parametrize(
    "page", [each for each in PAGES if each != CHANGES], ids=lambda page: str(page.relative_to(ROOT))
)
def test_modules_exist(page: Path):
    named = {name for name in MODULE.findall(page.read_text("utf-8")) if not name.endswith((".py", ".sql"))}

    assert {name for name in named if not is_there(name)} == set()


def test_an_old_name_is_found():
    assert PATH.findall("`pipelines/events.py` and `pipelines/core/ids.py::derive`") == [
        ("pipelines/events.py", ""),
        ("pipelines/core/ids.py", "derive"),
    ]
    assert MODULE.findall("from pipelines.item import Lineage") == ["pipelines.item"]
    assert not is_there("pipelines.item")
    assert is_there("pipelines.core.item.Lineage")


def defined(path: Path) -> set[str]:
    """Return the names of a module's functions and classes, and of their methods with the class's name before."""
    body = ast.parse(path.read_text("utf-8")).body
    named = {each.name: each for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef)}
    return {*named} | {
        f"{name}.{method.name}"
        for name, each in named.items()
        for method in each.body
        if isinstance(method, ast.FunctionDef)
    }


def is_there(name: str) -> bool:
    """Whether there is a module of this name, or a module with such a member."""
    try:
        if find_spec(name):
            return True
    except ModuleNotFoundError:
        pass
    module, _, member = name.rpartition(".")
    try:
        return hasattr(import_module(module), member)
    except ModuleNotFoundError:
        return False
