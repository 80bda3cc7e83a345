"""Says at the end of a test run how much GoogleSQL has judged, whichever process did."""

from collections import defaultdict
from typing import Any

import pytest

ANALYZED = "statements analyzed"
EXECUTED = "queries executed"
VIEWS = "views executed"

_judged: dict[str, set[str]] = defaultdict(set)


def count(what: str, *each: str) -> None:
    """Count different things of a kind."""
    _judged[what].update(each)


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker of xdist has counted to whoever prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["googlesql"] = {what: sorted(found) for what, found in _judged.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker has counted."""
    for what, found in getattr(node, "workeroutput", {}).get("googlesql", {}).items():
        count(what, *found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    if _judged:
        counts = ", ".join(f"{len(found)} {what}" for what, found in sorted(_judged.items()))
        terminalreporter.write_line(f"GoogleSQL: {counts}")
