"""What the container files install, copy and start is there. They are not built here: that needs an engine."""

import json
import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

from receiver.app import create_app
from receiver.config import Config

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "containers"
FILES = sorted(FOLDER.glob("*.Dockerfile"))
RECEIVER = FOLDER / "receiver.Dockerfile"
PIPELINE = FOLDER / "pipeline.Dockerfile"
SENDER = FOLDER / "sender.Dockerfile"


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a container file, comments left out and lines joined."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def said(path: Path, name: str) -> list[str]:
    return [rest for instruction, rest in instructions(path) if instruction == name]


def stages(path: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, rest in instructions(path):
        if name == "FROM":
            current = found.setdefault(rest.partition(" AS ")[2] or "last", [])
        current.append((name, rest))
    return found


def locked(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_bases_are_pinned_by_version(path: Path):
    own = set(stages(path))
    for base in (rest.partition(" AS ")[0] for rest in said(path, "FROM")):
        assert base in own or re.fullmatch(r"[^:]+:[\w.-]*\d[\w.-]*(@sha256:[0-9a-f]{64})?", base)


def test_python_is_one_image_everywhere_by_its_digest():
    bases = {rest.partition(" AS ")[0] for path in FILES for rest in said(path, "FROM")}
    pythons = {base for base in bases if base.startswith("python:")}

    assert len(pythons) == 1
    assert "@sha256:" in pythons.pop()


@pytest.mark.parametrize(("path", "extra"), [(RECEIVER, "receiver"), (PIPELINE, "dataflow"), (SENDER, "sender")])
def test_what_is_installed_is_what_the_distribution_offers_in_locked_versions(path: Path, extra: str):
    (install,) = (run for run in said(path, "RUN") if "uv pip install" in run)

    assert install.endswith(f"'.[{extra}]'")
    assert extra in metadata("parley").get_all("Provides-Extra", [])
    assert "--constraint requirements.lock" in install
    makefile = (ROOT / "Makefile").read_text("utf-8")
    pinned = re.search(r"UV_VERSION := (\S+)", makefile)
    assert pinned is not None
    assert f"pip install --no-cache-dir uv=={pinned[1]}" in said(path, "RUN")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_is_sent_to_the_engine(path: Path):
    ignore = path.with_name(f"{path.name}.dockerignore").read_text("utf-8").splitlines()
    for copied in (rest for rest in said(path, "COPY") if not rest.startswith("--from")):
        for name in copied.split()[:-1]:
            assert (ROOT / name).exists()
            assert f"!{name}" in ignore
    assert ignore[0] == "*"


def test_beam_is_of_one_version_everywhere():
    (beam,) = (base for base in said(PIPELINE, "FROM") if base.startswith("apache/beam_python"))
    python = re.search(r"beam_python([\d.]+)_sdk:(\S+) AS", beam)
    assert python is not None
    assert python[2] == locked("apache-beam")
    launchers = [base for base in said(PIPELINE, "FROM") if "template-launcher-base" in base]
    assert f"python{python[1].replace('.', '')}-" in launchers[0]
    for path in FILES:
        assert all(
            base.startswith(f"python:{python[1]}.") for base in said(path, "FROM") if base.startswith("python")
        )


@pytest.mark.parametrize(("path", "stage"), [(RECEIVER, "last"), (PIPELINE, "commands"), (SENDER, "last")])
def test_nobody_is_root_but_where_dataflow_wants_it(path: Path, stage: str):
    (user,) = (rest for name, rest in stages(path)[stage] if name == "USER")

    assert user.split(":")[0] not in {"0", "root"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_inside(path: Path):
    names = set(re.findall(r"PARLEY_\w+", " ".join(said(path, "ENV") + said(path, "ARG"))))

    assert not {name for name in names if re.search("SECRET|TOKEN|KEY", name)}
    assert "PARLEY_DATA_DIR" not in names, "a default would keep events in the container"


def test_the_health_check_gets_an_answer(tmp_path: Path):
    (check,) = said(RECEIVER, "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    settings = dict(pair.split("=", 1) for line in said(RECEIVER, "ENV") for pair in line.split() if "=" in pair)
    asked = re.search(r"(/__\w+__)'", command[-1])
    assert asked is not None
    environ = {name: value for name, value in settings.items() if not value.startswith("$")}
    environ |= {"PARLEY_PROJECT": "parley-test", "PARLEY_ARCHIVE": "none", "PARLEY_DATA_DIR": str(tmp_path)}

    assert create_app(environ).test_client().get(asked[1]).status_code == 200
    assert Config.from_environ(environ).host == "0.0.0.0"
    assert said(RECEIVER, "EXPOSE") == [str(Config.from_environ(environ).port)]
    compile(command[-1], "health check", "exec")


def test_what_is_started_is_there():
    assert json.loads(said(RECEIVER, "ENTRYPOINT")[0]) == ["python", "-m", "receiver"]
    assert json.loads(said(SENDER, "ENTRYPOINT")[0]) == ["parley", "send"]
    entries = {name: dict(found) for name, found in stages(PIPELINE).items() if name in {"commands", "dataflow"}}
    assert json.loads(entries["commands"]["ENTRYPOINT"]) == ["parley"]
    assert json.loads(entries["dataflow"]["ENTRYPOINT"]) == ["/opt/apache/beam/boot"]
    launched = entries["dataflow"]["ENV"].partition("FLEX_TEMPLATE_PYTHON_PY_FILE=")[2]
    assert f"COPY deploy/dataflow/launch.py {launched}" in PIPELINE.read_text("utf-8")
