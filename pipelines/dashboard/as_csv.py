"""A list as a file of comma-separated values, for who goes on in a spreadsheet or a notebook."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from flask import Response, request

from pipelines.dashboard.warehouse import Row

MOST_ROWS: Final = 5_000
"""A file has at most so many."""
# What a spreadsheet would take for a formula, written by a stranger: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def is_asked() -> bool:
    """Return whether the running request wants a file."""
    return request.args.get("format") == "csv"


def answer(name: str, columns: Sequence[str], rows: Iterable[Row]) -> Response:
    """Return rows as a file of that name, with a line of the columns first; times in RFC 3339."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="parley-{name}.csv"'}
    return Response(file.getvalue(), mimetype="text/csv", headers=headers)


def _cell(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value
