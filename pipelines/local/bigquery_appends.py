"""Makes bqemulator's Storage Write API refuse what BigQuery's refuses, in its words and by its codes.

bqemulator 1.4 drops columns that the table lacks, answers a request that is too large by a code at which clients
try again, and a null in a required column by an error that no client can tell from an outage.

https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#appendrowsrequest
https://cloud.google.com/bigquery/docs/write-api-best-practices#error-handling
"""

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
from bqemulator.grpc_api import write_servicer
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import any_pb2
from google.rpc import code_pb2, status_pb2

from pipelines.local.bigquery_statements import Table

_MORE_FIELDS: Final = "Input schema has more fields than BigQuery schema, extra fields: "


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    write_servicer._oversize_error_response = _too_large
    write_servicer._align_to_target = _without_dropping(write_servicer._align_to_target)
    write_servicer._error_response = _with_details(write_servicer._error_response)
    write_servicer.BigQueryWriteHandler = _Handler


class _Handler(write_servicer.BigQueryWriteHandler):
    """Looks at rows before they are stored, and remembers those that were."""

    def _perform_append(self, stream: Any, rows: pa.Table, *arguments: Any) -> bytes:
        table = self._ctx.catalog.get_table(stream.project_id, stream.dataset_id, stream.table_id)
        required = [field.name for field in table.schema_.fields if field.mode == "REQUIRED"] if table else []
        if missing := _missing(rows, required):
            return _row_errors(stream.name, missing)
        answer: bytes = super()._perform_append(stream, rows, *arguments)
        return answer

    def _flush_to_target(self, stream: Any, rows: pa.Table) -> None:
        super()._flush_to_target(stream, rows)
        table = Table(stream.project_id, stream.dataset_id, stream.table_id)
        self._ctx.engine.streamed.take(table, rows, self._ctx.clock.now())


def _missing(rows: pa.Table, required: list[str]) -> dict[int, str]:
    """Return which rows lack a value that they must have, and of which column."""
    missing: dict[int, str] = {}
    for name in required:
        column = rows.column(name)
        if column.null_count:
            nulls = column.is_null().combine_chunks()
            missing |= {index: name for index, null in enumerate(nulls.to_pylist()) if null}
    return missing


def _row_errors(stream: str, missing: dict[int, str]) -> bytes:
    errors = [
        types.RowError(
            index=index,
            code=types.RowError.RowErrorCode.FIELDS_ERROR,
            message=f"Field {name}: required field is null",
        )
        for index, name in missing.items()
    ]
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="Errors found while processing rows.")
    answer = types.AppendRowsResponse(write_stream=stream, error=status, row_errors=errors)
    return bytes(types.AppendRowsResponse.serialize(answer))


def _too_large(*, request_bytes_len: int, max_bytes: int, bound_ctx: tuple[Any, Any] | None) -> bytes:
    stream = bound_ctx[0].name if bound_ctx else ""
    message = f"AppendRows request too large: {request_bytes_len} limit {max_bytes} Entity: {stream}"
    return bytes(write_servicer._error_response(stream, message))


def _without_dropping(align: Callable[..., pa.Table]) -> Callable[..., pa.Table]:
    def aligned(rows: pa.Table, target: pa.Schema) -> pa.Table:
        if more := [name for name in rows.column_names if name not in target.names]:
            raise ValueError(_MORE_FIELDS + ", ".join(f"'{name}'" for name in more))
        return align(rows, target)

    return aligned


def _with_details(error_response: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return the making of an error's answer that tells a table which lacks columns by its own code."""

    def detailed(stream: str, detail: str, *arguments: Any, **options: Any) -> bytes:
        answer = error_response(stream, detail, *arguments, **options)
        if not detail.startswith(_MORE_FIELDS):
            return answer
        code = types.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS
        told = any_pb2.Any()
        told.Pack(types.StorageError.pb(types.StorageError(code=code, entity=stream, error_message=detail)))
        response = types.AppendRowsResponse.deserialize(answer)
        response.error.details.append(told)
        return bytes(types.AppendRowsResponse.serialize(response))

    return detailed
