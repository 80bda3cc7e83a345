"""A BigQuery that only confirms: a real gRPC server of the Storage Write API which stores nothing.

    python -m tests.bench.confirming REST_PORT GRPC_PORT

At its REST port it says how many events it has confirmed (`/confirmed`), and how late the ledger row of each was
(`/delays`); whatever else is asked there is not found, as tables are of which nothing is known.
"""

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import grpc
import msgspec
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from pipelines.bigquery import arrow
from pipelines.bigquery.bundle import LEDGER

METHOD: Final = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
CONFIRMED: Final = "/confirmed"
DELAYS: Final = "/delays"
_REQUEST: Final = types.AppendRowsRequest.pb()
_ANSWER: Final = types.AppendRowsResponse.serialize(
    types.AppendRowsResponse(append_result=types.AppendRowsResponse.AppendResult())
)
_NOT_FOUND: Final = b'{"error": {"code": 404, "message": "not found"}}'
_OPTIONS: Final = [("grpc.max_receive_message_length", 20_000_000), ("grpc.so_reuseport", 0)]


class Confirmed(msgspec.Struct):
    """What was confirmed so far."""

    events: int
    """Different ones that have a ledger row."""
    requests: int
    bytes: int
    """Of serialized rows."""


class Confirming(grpc.GenericRpcHandler):
    """Confirms every request, and looks into those of the ledger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: set[str] = set()
        self._confirmed = Confirmed(0, 0, 0)
        self._delays_ms: list[int] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return what serves a call."""
        return grpc.stream_stream_rpc_method_handler(self._serve) if details.method == METHOD else None

    def answer(self, path: str) -> bytes | None:
        """Return what is asked for, as JSON: what was confirmed, or delays in the order of their coming."""
        with self._lock:
            asked = {CONFIRMED: self._confirmed, DELAYS: self._delays_ms}.get(path)
            return None if asked is None else msgspec.json.encode(asked)

    def _serve(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for data in requests:
            request = _REQUEST.FromString(data)
            rows = request.arrow_rows.rows.serialized_record_batch
            with self._lock:
                self._confirmed.requests += 1
                self._confirmed.bytes += len(rows)
                if request.write_stream.split("/")[5] == LEDGER:
                    self._note(rows)
            yield _ANSWER

    def _note(self, rows: bytes) -> None:
        now = time.time_ns() // 1_000
        batch = pa.ipc.read_record_batch(pa.py_buffer(rows), arrow.schema(LEDGER))
        self._events.update(batch["event_id"].to_pylist())
        received: list[int] = batch["received_at"].cast(pa.int64()).to_pylist()
        self._confirmed.events = len(self._events)
        self._delays_ms += [(now - each) // 1_000 for each in received]


def main(rest_port: int, grpc_port: int) -> None:
    """Serve until the process is ended."""
    confirming = Confirming()
    server = grpc.server(ThreadPoolExecutor(64), options=_OPTIONS)
    server.add_generic_rpc_handlers([confirming])
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    server.start()

    class Rest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = confirming.answer(self.path)
            body = _NOT_FOUND if found is None else found
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    ThreadingHTTPServer(("127.0.0.1", rest_port), Rest).serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
