"""Says at the end of a test run how much GoogleSQL has judged, whichever process did."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

ANALYZED = "statements analyzed"
EXECUTED = "queries executed"
VIEWS = "views executed"

_judged: dict[str, set[str]] = defaultdict(set)
_seconds = [0.0]


def count(what: str, *each: str) -> None:
    """Count different things of a kind."""
    _judged[what].update(each)


@contextmanager
def timed() -> Iterator[None]:
    """Count the seconds that the block takes as GoogleSQL's."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _seconds[0] += time.perf_counter() - start


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker of xdist has counted to whoever prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["googlesql"] = {what: sorted(found) for what, found in _judged.items()}
        session.config.workeroutput["googlesql_seconds"] = _seconds[0]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker has counted."""
    for what, found in getattr(node, "workeroutput", {}).get("googlesql", {}).items():
        count(what, *found)
    _seconds[0] += getattr(node, "workeroutput", {}).get("googlesql_seconds", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    if _judged:
        counts = ", ".join(f"{len(found)} {what}" for what, found in sorted(_judged.items()))
        terminalreporter.write_line(f"GoogleSQL: {counts}, in {_seconds[0]:.0f} s of all test processes together")
