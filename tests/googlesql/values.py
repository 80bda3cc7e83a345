"""Types and values between GoogleSQL's protocol buffers and Python, as BigQuery's client has them."""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from google.cloud.bigquery import SchemaField
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind, TypeProto
from zetasql.wasi._pb2.zetasql.public.value_pb2 import ValueProto

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_KINDS = {
    "INTEGER": "INT64",
    "FLOAT": "DOUBLE",
    "FLOAT64": "DOUBLE",
    "BOOLEAN": "BOOL",
}
"""The API's names of types, and BigQuery's, that are not GoogleSQL's."""


def typed(kind: str, mode: str = "NULLABLE", fields: Iterable[SchemaField] = ()) -> TypeProto:
    """Return the type of a column: its BigQuery type, and its mode, of which only REPEATED matters."""
    made = TypeProto()
    inner = made
    if mode == "REPEATED":
        made.type_kind = TypeKind.TYPE_ARRAY
        inner = made.array_type.element_type
    if kind in {"RECORD", "STRUCT"}:
        inner.type_kind = TypeKind.TYPE_STRUCT
        for field in fields:
            inner.struct_type.field.add(
                field_name=field.name, field_type=typed(field.field_type, field.mode, field.fields)
            )
        inner.struct_type.SetInParent()
    else:
        inner.type_kind = TypeKind.Value(f"TYPE_{_KINDS.get(kind, kind)}")
    return made


def spelled(kind: TypeProto) -> str:
    """Return a type as SQL writes it."""
    match kind.type_kind:
        case TypeKind.TYPE_ARRAY:
            return f"ARRAY<{spelled(kind.array_type.element_type)}>"
        case TypeKind.TYPE_STRUCT:
            fields = (f"{each.field_name} {spelled(each.field_type)}" for each in kind.struct_type.field)
            return f"STRUCT<{', '.join(fields)}>"
        case TypeKind.TYPE_DOUBLE:
            return "FLOAT64"
        case other:
            return TypeKind.Name(other).removeprefix("TYPE_")


def row(columns: Mapping[str, TypeProto], cells: Mapping[str, Any]) -> ValueProto:
    """Return a row of a table as a STRUCT."""
    made = ValueProto()
    made.struct_value.SetInParent()
    for name, kind in columns.items():
        _fill(made.struct_value.field.add(), cells[name], kind)
    return made


def array_of(columns: Mapping[str, TypeProto]) -> TypeProto:
    """Return the type of a table's rows: an ARRAY of STRUCT."""
    made = TypeProto(type_kind=TypeKind.TYPE_ARRAY)
    element = made.array_type.element_type
    element.type_kind = TypeKind.TYPE_STRUCT
    for name, kind in columns.items():
        element.struct_type.field.add(field_name=name, field_type=kind)
    return made


def array(rows: Iterable[ValueProto]) -> ValueProto:
    """Return values as one."""
    made = ValueProto()
    made.array_value.SetInParent()
    made.array_value.element.extend(rows)
    return made


def encoded(value: Any, kind: TypeProto) -> ValueProto:
    """Return a value as GoogleSQL takes it."""
    made = ValueProto()
    _fill(made, value, kind)
    return made


def decoded(columns: Mapping[str, TypeProto], row: ValueProto) -> dict[str, Any]:
    """Return a row as BigQuery's client gives it."""
    cells = zip(columns.items(), row.struct_value.field, strict=True)
    return {name: _decoded(cell, kind) for (name, kind), cell in cells}


def _fill(made: ValueProto, value: Any, kind: TypeProto) -> None:
    if value is None:
        if kind.type_kind == TypeKind.TYPE_ARRAY:
            made.array_value.SetInParent()  # BigQuery stores no NULL array.
        return
    match kind.type_kind:
        case TypeKind.TYPE_STRING:
            made.string_value = value
        case TypeKind.TYPE_INT64:
            made.int64_value = value
        case TypeKind.TYPE_BOOL:
            made.bool_value = value
        case TypeKind.TYPE_DOUBLE:
            made.double_value = value
        case TypeKind.TYPE_BYTES:
            made.bytes_value = value
        case TypeKind.TYPE_DATE:
            made.date_value = (value - _EPOCH.date()).days
        case TypeKind.TYPE_TIMESTAMP:
            seconds, rest = divmod(value - _EPOCH, dt.timedelta(seconds=1))
            made.timestamp_value.seconds, made.timestamp_value.nanos = seconds, rest.microseconds * 1_000
        case TypeKind.TYPE_ARRAY:
            made.array_value.SetInParent()
            for each in value:
                _fill(made.array_value.element.add(), each, kind.array_type.element_type)
        case TypeKind.TYPE_STRUCT:
            made.struct_value.SetInParent()
            for field, each in zip(kind.struct_type.field, value.values(), strict=True):
                _fill(made.struct_value.field.add(), each, field.field_type)
        case _:
            raise TypeError(f"no table of ours has a column of type {spelled(kind)}")


def _decoded(cell: ValueProto, kind: TypeProto) -> Any:
    which = cell.WhichOneof("value")
    if which is None:
        return [] if kind.type_kind == TypeKind.TYPE_ARRAY else None  # As the client reads a NULL array.
    value = getattr(cell, which)
    match kind.type_kind:
        case TypeKind.TYPE_DATE:
            return _EPOCH.date() + dt.timedelta(days=value)
        case TypeKind.TYPE_TIMESTAMP:
            return _EPOCH + dt.timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)
        case TypeKind.TYPE_ARRAY:
            return [_decoded(each, kind.array_type.element_type) for each in value.element]
        case TypeKind.TYPE_STRUCT:
            fields = zip(kind.struct_type.field, value.field, strict=True)
            return {field.field_name: _decoded(each, field.field_type) for field, each in fields}
        case TypeKind.TYPE_NUMERIC | TypeKind.TYPE_BIGNUMERIC:
            scale = 9 if kind.type_kind == TypeKind.TYPE_NUMERIC else 38
            return Decimal(int.from_bytes(value, "little", signed=True)).scaleb(-scale)
        case _:
            return value
