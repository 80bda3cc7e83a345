"""Records what clients send to BigQuery, queries of views among it, and from which call in the code."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import pytest
from google.cloud import bigquery

from tests.googlesql.sources import ROOT, Call, calls

_PRODUCT = str(ROOT / "pipelines")
_TESTS = str(ROOT / "tests")
_CLIENT = str(ROOT / "pipelines" / "bigquery" / "target.py")


class Sent(NamedTuple):
    """A statement or script, as it was sent."""

    sql: str
    parameters: Sequence[bigquery.ScalarQueryParameter]
    has_default_dataset: bool
    """Whether a name alone is that of a view."""
    is_ours: bool
    """Whether the product sent it, and no test."""
    call: Call | None
    """The product's call that sent it; None where it cannot be told."""


@contextmanager
def recorded() -> Iterator[list[Sent]]:
    """Record what every client sends as long as the block lasts."""
    found: list[Sent] = []

    def recording(method: str) -> Any:
        original = getattr(bigquery.Client, method)

        def send(client: bigquery.Client, query: str, *arguments: Any, **options: Any) -> Any:
            config = options.get("job_config") or bigquery.QueryJobConfig()
            found.append(Sent(query, config.query_parameters, config.default_dataset is not None, *_origin()))
            return original(client, query, *arguments, **options)

        return send

    create = bigquery.Client.create_table

    def creating(client: bigquery.Client, table: Any, *arguments: Any, **options: Any) -> Any:
        if query := getattr(table, "view_query", None):
            found.append(Sent(query, (), False, *_origin()))
        return create(client, table, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        for method in ("query", "query_and_wait"):
            patch.setattr(bigquery.Client, method, recording(method))
        patch.setattr(bigquery.Client, "create_table", creating)
        yield found


def _origin() -> tuple[bool, Call | None]:
    """Return whether the product is at work, and its innermost call that sends."""
    frame: FrameType | None = sys._getframe(2)
    innermost = None
    while frame:
        path, line = frame.f_code.co_filename, frame.f_lineno
        if path.startswith(_PRODUCT) and path != _CLIENT:
            innermost = innermost or path
            for call in calls():
                if path == str(ROOT / call.path) and call.first_line <= line <= call.last_line:
                    return True, call
        elif path.startswith(_TESTS) and innermost is None and path != __file__:
            return False, None
        frame = frame.f_back
    return innermost is not None, None
