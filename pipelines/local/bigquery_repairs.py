"""What bqemulator 1.4 needs before a stream of appends and queries can share it.

bqemulator has one DuckDB connection. It runs queries on the event loop, but appends and some REST calls
on other threads, which ends in deadlocks and in one caller reading another's result; so here everything
runs on the event loop, and a transaction on a connection of its own (`bigquery_engine`). It copies a table
after every change of its rows, for `FOR SYSTEM_TIME AS OF`, without a setting against it; here it does not.
And it keeps the SQL of a view to itself; here `tables.get` tells it, as BigQuery's does.
"""

import datetime as dt
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import fastapi.dependencies.utils
import fastapi.routing
import grpc
from bqemulator import server
from bqemulator.api.routes import tables
from bqemulator.domain.events import TableDataChanged
from bqemulator.grpc_api import read_servicer, write_servicer
from bqemulator.versioning.snapshots import SnapshotManager

from pipelines.local import (
    bigquery_appends,
    bigquery_bytes,
    bigquery_complaints,
    bigquery_dry_runs,
    bigquery_meanings,
    bigquery_partitions,
    bigquery_passes,
    bigquery_rows,
    bigquery_transactions,
    bigquery_translation,
    bigquery_views,
)
from pipelines.local.bigquery_engine import GOOGLES_BUFFER, Engine


def apply(streaming_buffer: dt.timedelta = GOOGLES_BUFFER) -> None:
    """Repair bqemulator in this process; to be called before its server is made.

    A row that was streamed so lately cannot be changed in a transaction.
    """
    Engine.buffer_length = streaming_buffer
    server.DuckDBEngine = Engine
    server.SnapshotManager = _NoTimeTravel
    bigquery_dry_runs.apply()
    bigquery_transactions.apply()
    bigquery_translation.apply()
    bigquery_meanings.apply()
    bigquery_views.apply()
    bigquery_appends.apply()
    bigquery_bytes.apply()
    bigquery_complaints.apply()
    bigquery_partitions.apply()
    bigquery_passes.apply()
    bigquery_rows.apply()
    write_servicer.BigQueryWriteHandler = _on_loop(write_servicer.BigQueryWriteHandler)
    read_servicer.BigQueryReadHandler = _on_loop(read_servicer.BigQueryReadHandler)
    tables._table_to_rest = _with_view(tables._table_to_rest)
    for module in (fastapi.routing, fastapi.dependencies.utils):
        if not hasattr(module, "run_in_threadpool"):
            raise RuntimeError(f"{module.__name__} no longer runs plain functions where it did")
        setattr(module, "run_in_threadpool", _run_here)  # noqa: B010  fastapi exports it to nobody


class _NoTimeTravel(SnapshotManager):
    """Keeps no copies of what a table was; transactions and table snapshots make copies of their own."""

    def record_change(self, project_id: str, dataset_id: str, table_id: str) -> None:
        """Tell the query cache and materialized views of a change."""
        self._events.publish(TableDataChanged(project_id, dataset_id, table_id))


def _with_view(to_rest: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    def resource(table: Any) -> dict[str, Any]:
        view = {"view": {"query": table.view_query, "useLegacySql": False}} if table.view_query else {}
        return to_rest(table) | view

    return resource


async def _run_here(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _on_loop(handler: type[grpc.GenericRpcHandler]) -> type[grpc.GenericRpcHandler]:
    """Return a handler class whose calls are coroutines: gRPC runs those on the event loop."""

    class OnLoop(handler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            method = super().service(details)
            if method is None:
                return None
            if method.stream_stream:
                return grpc.stream_stream_rpc_method_handler(_each(method.stream_stream))
            if method.unary_stream:
                return grpc.unary_stream_rpc_method_handler(_all(method.unary_stream))
            return grpc.unary_unary_rpc_method_handler(_one(method.unary_unary))

    return OnLoop


def _one(handle: Callable[[bytes, Any], bytes]) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def call(request: bytes, context: Any) -> bytes:
        return handle(request, context)

    return call


def _all(handle: Callable[[bytes, Any], Iterator[bytes]]) -> Callable[[bytes, Any], AsyncIterator[bytes]]:
    async def call(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for response in handle(request, context):
            yield response

    return call


def _each(
    handle: Callable[[Iterator[bytes], Any], Iterator[bytes]],
) -> Callable[[AsyncIterator[bytes], Any], AsyncIterator[bytes]]:
    """Drive a generator that yields one response for each request that it takes."""

    async def call(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        arrived: deque[bytes] = deque()
        responses = handle(iter(arrived.popleft, None), context)
        async for request in requests:
            arrived.append(request)
            response = next(responses, None)
            if response is None:
                return
            yield response

    return call
