"""The widget's own checks, where there is a Node.js to run them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

CHATPLUGIN = Path(__file__).parents[3] / "receiver" / "chatplugin"
WIDGET = CHATPLUGIN / "ui"
OLDEST_NODE = 20

pytestmark = pytest.mark.slow


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def node() -> str:
    path = shutil.which("node")
    if path is None:
        pytest.skip("no Node.js on this machine")
    if int(run(path, "--version", folder=WIDGET).stdout.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node.js is older than {OLDEST_NODE}")
    return path


@pytest.fixture(scope="module")
def workshop(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with exactly the packages of the lock file."""
    folder = tmp_path_factory.mktemp("widget") / "ui"
    shutil.copytree(WIDGET, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    if installed.returncode:
        pytest.skip(f"npm packages cannot be installed here: {installed.stderr[-300:]}")
    return folder


def test_the_widgets_own_tests_pass(node: str):
    ran = run(node, "--test", folder=WIDGET)

    assert ran.returncode == 0, ran.stdout[-5000:]


def test_the_sources_are_of_the_types_that_they_say(workshop: Path):
    checked = run("npm", "run", "--silent", "check", folder=workshop)

    assert checked.returncode == 0, checked.stdout


def test_the_built_file_is_what_the_sources_build(node: str, workshop: Path):
    built = workshop / "s.js"
    ran = run(node, "build.js", str(built), folder=workshop)

    assert ran.returncode == 0, ran.stderr
    assert built.read_text() == (CHATPLUGIN / "static" / "s.js").read_text(), "run `make widget`"


def test_every_package_is_pinned_and_no_registry_is_named():
    lock = json.loads((WIDGET / "package-lock.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
