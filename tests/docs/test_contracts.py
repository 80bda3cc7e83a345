"""An import that breaks a contract fails `make lint`: tried on a copy of the code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("pipelines", "receiver", "schemas"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "ui"))
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_code_keeps_every_contract(copy: Path):
    done = lint(copy)

    assert done.returncode == 0, done.stdout
    assert " BROKEN" not in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("pipelines/core/ids.py", "from pipelines.io import options", "The rooms of the pipeline"),
        ("pipelines/core/ids.py", "import apache_beam", "Core and parsers"),
        ("pipelines/sources/google.py", "import time", "Core and parsers"),
        ("pipelines/dashboard/context.py", "from pipelines.dashboard import app", "No circles"),
        ("pipelines/attic.py", "", "The rooms of the pipeline"),
        ("receiver/proofs/signatures.py", "from receiver.web import intake", "The rooms of the receiver"),
        ("receiver/config.py", "from pipelines.core import ids", "The receiver knows nothing"),
        ("schemas/loader.py", "import flask", "The schemas know nothing"),
    ],
)
def test_an_import_that_breaks_one_fails(copy: Path, module: str, line: str, contract: str):
    file = copy / module
    was = file.read_text("utf-8") if file.exists() else None
    file.write_text(f"{was or ''}\n{line}\n", "utf-8")
    try:
        done = lint(copy)
    finally:
        file.unlink() if was is None else file.write_text(was, "utf-8")

    assert done.returncode == 1
    assert any(row.startswith(contract) and row.endswith(" BROKEN") for row in done.stdout.splitlines())
