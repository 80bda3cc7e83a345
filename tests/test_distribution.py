"""What a part of the code imports is what its extra installs: a receiver has no Beam, a worker no Flask."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[1]
OURS = {"pipelines", "receiver", "schemas", "tests"}
# Of the local stack alone: these are installed by parley[local], which has everything.
LOCAL = (
    "pipelines/local/",
    "pipelines/dashboard/",
    "pipelines/sandbox/",
    "schemas/scans.py",
    "schemas/view_columns.py",
)
# A command of receiver hosts, which looks at the parsers where these are installed too.
RECEIVERS = "pipelines/run/sources_command.py"
SENDERS = "pipelines/replies"
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def requirements(*extras: str) -> set[str]:
    """Return the names that the distribution asks for in itself and in some of its extras."""
    names = set()
    for line in importlib.metadata.requires("parley") or []:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        if name and (extra is None or extra.group(1) in extras):
            names.add(normalized(name.group()))
    return names


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, those for type checkers alone left aside."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def providers(module: str) -> set[str]:
    """Return the distributions that provide a module; for a namespace such as google.cloud, by its parts."""
    top, *rest = module.split(".")
    if top != "google":
        return {normalized(name) for name in DISTRIBUTIONS.get(top, ())}
    part = rest[1] if rest[0] == "cloud" else rest[0]
    known = {
        "bigquery": "google-cloud-bigquery",
        "bigquery_storage_v1": "google-cloud-bigquery-storage",
        "pubsub": "google-cloud-pubsub",
        "pubsub_v1": "google-cloud-pubsub",
        "storage": "google-cloud-storage",
    }
    # What the clients themselves stand on comes with each of them.
    return {known.get(part, "google-cloud-pubsub")}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        # Traces are imported where they are asked for alone.
        ("schemas", ("traces",)),
        ("receiver", ("receiver",)),
        (RECEIVERS, ("receiver",)),
        (SENDERS, ("sender",)),
        ("pipelines", ("pipeline",)),
    ],
)
def test_a_part_imports_only_what_its_extra_installs(folder: str, extras: tuple[str, ...]):
    installed = requirements(*extras)
    # These come with Flask and with Google's clients.
    installed |= {"grpcio", "protobuf", "werkzeug", "google-crc32c"} if extras else set()
    missing = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in ([ROOT / folder] if folder == RECEIVERS else (ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith((*LOCAL, *({RECEIVERS, SENDERS} - {folder})))
        for module in imports(path)
        if module.partition(".")[0] not in sys.stdlib_module_names | OURS and not providers(module) & installed
    }

    assert missing == set()
