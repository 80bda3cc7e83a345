"""A row's columns as JSON has them."""

import datetime as dt
from typing import Any, Final

from pipelines.core.rows import TABLE_OF, Row
from pipelines.core.times import rfc3339
from schemas import loader

_EPOCH: Final = dt.date(1970, 1, 1)


def readable(row: Row) -> dict[str, Any]:
    """Return a row's columns by name, as JSON has them: times in RFC 3339, dates in ISO 8601, bytes as text."""
    columns = loader.tables()[TABLE_OF[type(row)]].columns
    return {
        column.name: _readable(getattr(row, column.name), column.type)
        for column in columns
        if column.name in row.__struct_fields__
    }


def _readable(value: Any, column_type: str) -> Any:
    match column_type:
        case _ if value is None:
            return None
        case "TIMESTAMP":
            return rfc3339(value)
        case "DATE":
            return (_EPOCH + dt.timedelta(days=value)).isoformat()
        case "BYTES":
            return value.decode("utf-8", "backslashreplace")
        case _:
            return list(value) if isinstance(value, tuple) else value
