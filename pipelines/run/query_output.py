"""What a query gave, as a table to look at or in a format for other programs."""

import base64
import datetime as dt
import decimal
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, Final

from google.cloud.bigquery.table import RowIterator
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.run.harmless import harmless

SHOWN_AT_MOST: Final = 50
"""Rows that `show` prints unless it is told otherwise."""
_NARROWEST_COLUMN: Final = 9
_WIDTH_OF_FILES: Final = 10_000
Writer = Callable[[RowIterator, IO[bytes]], None]

_SPECIAL = frozenset('",\r\n')


def show(
    rows: RowIterator, limit: int | None = SHOWN_AT_MOST, title: str | None = None, file: IO[str] | None = None
) -> None:
    """Print rows of a query as a table; where that is too narrow for the columns, one below the other.

    Into a file or a pipe, nothing is folded or cut. NULL is written as such, so that it is unlike an empty text.
    Control characters are written as escapes, so that no terminal obeys them.

    Args:
        rows: what the query gave.
        limit: how many to print at most; None for all.
        title: what to print above.
        file: where to print; standard output by default.
    """
    console = Console(file=file, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    names = [field.name for field in rows.schema]
    wide = len(names) * _NARROWEST_COLUMN > console.width
    shown = 0
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(Text(name))
    for row in rows:
        if shown == limit:
            break
        shown += 1
        values = [_cell(value) for value in row.values()]
        if wide:
            table = Table("column", "value", title=f"row {shown}", title_justify="left")
            for name, value in zip(names, values, strict=True):
                table.add_row(Text(name), value)
            console.print(table)
        else:
            table.add_row(*values)
    if not wide:
        console.print(table)
    if shown == 0:
        console.print("no rows")
    elif rows.total_rows and rows.total_rows > shown:
        console.print(f"{shown} of {rows.total_rows} rows; --limit shows more")


def _cell(value: Any) -> Text:
    return Text("NULL", style="dim italic") if value is None else Text(harmless(_text(value)))


def write_csv(rows: RowIterator, file: IO[bytes]) -> None:
    """Write RFC 4180 with a header, in UTF-8; nested values are JSON, NULL is nothing and an empty text `""`."""
    names = [field.name for field in rows.schema]
    for values in (names, *(row.values() for row in rows)):
        line = ",".join("" if value is None else _quoted(_text(value)) for value in values)
        file.write(f"{line}\r\n".encode("utf-8", "replace"))


def _quoted(text: str) -> str:
    # One column of NULL would be an empty line, which many readers skip; they know `""` for an empty text.
    return text if text and not _SPECIAL.intersection(text) else '"' + text.replace('"', '""') + '"'


def write_json(rows: RowIterator, file: IO[bytes]) -> None:
    """Write one JSON array, an object a row."""
    file.write(b"[")
    separator = b"\n"
    for line in _objects(rows):
        file.write(separator + line)
        separator = b",\n"
    file.write(b"\n]\n")


def write_ndjson(rows: RowIterator, file: IO[bytes]) -> None:
    """Write an object a row, one a line."""
    for line in _objects(rows):
        file.write(line + b"\n")


def write_parquet(rows: RowIterator, file: IO[bytes]) -> None:
    """Write Parquet, with the types of the query's columns."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

    # Over REST: the Storage Read API is another permission, and none is worth it for what a person exports.
    pq.write_table(rows.to_arrow(create_bqstorage_client=False), file)


WRITERS: dict[str, Writer] = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
    "parquet": write_parquet,
}
"""How to write rows, by the name of the format."""


def _objects(rows: RowIterator) -> Iterable[bytes]:
    names = [field.name for field in rows.schema]
    for row in rows:
        value = dict(zip(names, map(_plain, row.values()), strict=True))
        yield json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _text(value: Any) -> str:
    """Return a value as text: what is nested as JSON, the rest as BigQuery would cast it."""
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return a value of JSON: times in RFC 3339, exact numbers and bytes (base64) as text."""
    plain: Any = value
    match value:
        case dt.datetime() | dt.date() | dt.time():
            plain = value.isoformat().replace("+00:00", "Z")
        case decimal.Decimal():
            plain = format(value, "f")
        case bytes():
            plain = base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            # JSON has no such numbers; BigQuery writes them as text, too.
            plain = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(value)]
        case str() | bool() | int() | float() | None:
            pass
        case Mapping():
            plain = {name: _plain(each) for name, each in value.items()}
        case Sequence():
            plain = [_plain(each) for each in value]
        case _:
            plain = str(value)
    return plain
