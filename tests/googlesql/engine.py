"""GoogleSQL on this machine: Google's analyzer and its reference implementation, which runs queries.

The package `zetasql` is GoogleSQL as Google publishes it, compiled to WebAssembly. Its Python layer is left
aside: it copies byte by byte, turns each answer into a tree of objects, and compiles the module at each start,
which takes half a minute. Here the compiled module is kept in wasmtime's own cache, in the user's cache folder,
and messages stay protocol buffers.

https://github.com/google/zetasql/blob/master/zetasql/local_service/local_service.proto
https://docs.wasmtime.dev/cli-cache.html
"""

import contextlib
import ctypes
import fcntl
import re
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import tzdata
import wasmtime
from google.protobuf.empty_pb2 import Empty
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeProto
from zetasql.wasi._pb2.zetasql.public.value_pb2 import ValueProto

from tests.googlesql import counting, dialect

Columns = dict[str, TypeProto]
"""The columns of a table: name and type."""

_PREPARED = 256
"""How many queries are kept: more than there are views."""
_ERROR = re.compile(r"Code: \d+, Message: (?P<message>.*)", re.S)


class RefusedError(Exception):
    """GoogleSQL does not take a statement, or cannot evaluate it; the message is its own."""


class Analyzed(NamedTuple):
    """A statement as GoogleSQL resolves it."""

    statement: Any
    columns: Columns
    """Of what a query gives, or a table that is created has."""


class Catalog:
    """Tables that statements may name, known to GoogleSQL until nobody holds this."""

    def __init__(self, engine: "Engine", identity: int) -> None:
        self._engine = engine
        self._identity = identity
        weakref.finalize(self, engine.unregister, identity).atexit = False

    def analyze(self, sql: str) -> Analyzed:
        """Return a statement as GoogleSQL resolves it.

        Raises:
            RefusedError: it is not GoogleSQL, or does not fit the tables.
        """
        request = service.AnalyzeRequest(
            sql_statement=sql, options=_options(), registered_catalog_id=self._identity
        )
        answer = self._engine.call("Analyze", request, service.AnalyzeResponse)
        statement = _innermost(answer.resolved_statement)
        return Analyzed(statement, dict(_columns(statement)))


class Prepared:
    """A query that has been analyzed once, and is evaluated with whatever parameters."""

    def __init__(self, engine: "Engine", sql: str, parameters: Mapping[str, TypeProto]) -> None:
        self._engine = engine
        self._options = options_pb2.AnalyzerOptionsProto()
        self._options.CopyFrom(_options())
        self._options.allow_undeclared_parameters = False
        for name, kind in parameters.items():
            self._options.query_parameters.add(name=name, type=kind)
        request = service.PrepareQueryRequest(sql=sql, options=self._options, simple_catalog=_no_tables())
        prepared = engine.call("PrepareQuery", request, service.PrepareQueryResponse).prepared
        self._identity = prepared.prepared_query_id
        self.columns: Columns = {column.name: column.type for column in prepared.columns}
        weakref.finalize(self, engine.unprepare, self._identity).atexit = False

    def evaluate(self, parameters: Mapping[str, ValueProto]) -> Sequence[ValueProto]:
        """Return the rows that the query gives, each a STRUCT of its columns.

        Raises:
            RefusedError: it fails as it runs.
        """
        request = service.EvaluateQueryRequest(prepared_query_id=self._identity, options=self._options)
        for name, value in parameters.items():
            request.params.add(name=name, value=value)
        answer = self._engine.call("EvaluateQuery", request, service.EvaluateQueryResponse)
        rows = [ValueProto() for _ in answer.content.table_data.row]
        for made, row in zip(rows, answer.content.table_data.row, strict=True):
            made.struct_value.SetInParent()
            made.struct_value.field.extend(row.cell)
        return rows


class Engine:
    """One instance of GoogleSQL; made once a process, since it takes hundreds of MB."""

    @counting.timed()
    def __init__(self) -> None:
        config = wasmtime.Config()
        config.shared_memory = True
        config.cache = True
        wasi = wasmtime.WasiConfig()
        wasi.inherit_stderr()
        wasi.preopen_dir(str(Path(tzdata.__file__).parent / "zoneinfo"), "/usr/share/zoneinfo")
        self._store = wasmtime.Store(wasmtime.Engine(config))
        self._store.set_wasi(wasi)
        linker = wasmtime.Linker(self._store.engine)
        linker.define_wasi()
        instance = linker.instantiate(self._store, _compiled(self._store.engine))
        self._exports = instance.exports(self._store)
        self._exports["_initialize"](self._store)
        self._prepared: dict[Any, Prepared] = {}

    def register(self, tables: Mapping[str, Columns]) -> Catalog:
        """Return a catalog of tables."""
        request = service.RegisterCatalogRequest(simple_catalog=_no_tables())
        for number, (name, columns) in enumerate(sorted(tables.items()), start=1):
            table = request.simple_catalog.table.add(name=name, serialization_id=number)
            for column, kind in columns.items():
                table.column.add(name=column, type=kind)
        return Catalog(self, self.call("RegisterCatalog", request, service.RegisterResponse).registered_id)

    def unregister(self, identity: int) -> None:
        """Forget a catalog."""
        self.call("UnregisterCatalog", service.UnregisterRequest(registered_id=identity), Empty)

    def prepare(self, sql: str, parameters: Mapping[str, TypeProto]) -> Prepared:
        """Return a query that is ready to be evaluated; one that was asked for lately is still there.

        Raises:
            RefusedError: it is not GoogleSQL, or does not fit its parameters.
        """
        key = (sql, tuple((name, kind.SerializeToString(deterministic=True)) for name, kind in parameters.items()))
        if key not in self._prepared:
            if len(self._prepared) >= _PREPARED:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[key] = Prepared(self, sql, parameters)
        return self._prepared[key]

    def unprepare(self, identity: int) -> None:
        """Forget a prepared query."""
        self.call("UnprepareQuery", service.UnprepareQueryRequest(prepared_query_id=identity), Empty)

    def call(self, method: str, request: Any, answer: type[Any]) -> Any:
        """Return what a method of the service answers.

        Raises:
            RefusedError: it answers with an error.
        """
        sent = request.SerializeToString()
        with counting.timed(), self._allocated(len(sent)) as where, self._allocated(4) as size_at:
            ctypes.memmove(self._base + where, sent, len(sent))
            found = self._exports[f"ZetaSqlLocalService_{method}"](self._store, where, len(sent), size_at)
            if not found:
                raise RefusedError(self._last_error())
            size = int.from_bytes(self._read(size_at, 4), "little")
            received = self._read(found, size)
            self._exports["wasm_free"](self._store, found)
        return answer.FromString(received)

    def _last_error(self) -> str:
        size = self._exports["wasm_get_last_error_size"](self._store)
        text = self._read(self._exports["wasm_get_last_error"](self._store), size).decode("utf-8", "replace")
        found = _ERROR.fullmatch(text)
        return found["message"] if found else text

    def _read(self, where: int, size: int) -> bytes:
        return ctypes.string_at(self._base + where, size)

    @contextlib.contextmanager
    def _allocated(self, size: int) -> Iterator[int]:
        where = self._exports["wasm_malloc"](self._store, size)
        try:
            yield where
        finally:
            self._exports["wasm_free"](self._store, where)

    @property
    def _base(self) -> int:
        return ctypes.addressof(self._exports["memory"].data_ptr().contents)


def _compiled(engine: wasmtime.Engine) -> wasmtime.Module:
    # Two test processes that start together would both compile.
    with (Path(tempfile.gettempdir()) / "parley-googlesql.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return wasmtime.Module.from_file(engine, str(get_wasm_path()))


def _innermost(message: Any) -> Any:
    """Return the message that a union of messages holds."""
    while (union := message.DESCRIPTOR.oneofs) and (held := message.WhichOneof(union[0].name)):
        message = getattr(message, held)
    return message


def _columns(statement: Any) -> Iterator[tuple[str, TypeProto]]:
    """Yield the columns that a statement gives or creates, by name."""
    message = statement
    while "parent" in message.DESCRIPTOR.fields_by_name:
        for column in getattr(message, "column_definition_list", ()):
            yield column.name, column.type
        message = message.parent
    if statement.DESCRIPTOR.name == "ResolvedQueryStmtProto":
        for output in statement.output_column_list:
            yield output.name, output.column.type


@cache
def _no_tables() -> Any:
    request = service.RegisterCatalogRequest()
    request.simple_catalog.name = "bigquery"
    request.simple_catalog.builtin_function_options.language_options.CopyFrom(dialect.language())
    return request.simple_catalog


@cache
def _options() -> options_pb2.AnalyzerOptionsProto:
    return options_pb2.AnalyzerOptionsProto(
        language_options=dialect.language(), default_timezone="UTC", allow_undeclared_parameters=True
    )
