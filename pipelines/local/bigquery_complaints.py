"""Lets the local BigQuery say what is wrong with a query in the words of who wrote it.

bqemulator 1.4 hands on what DuckDB says, with the SQL into which a query and its views were translated, and puts
an invented place before it. Here it is what BigQuery says, with the place in the query as it was written, or
without one. https://cloud.google.com/bigquery/docs/error-messages
"""

import difflib
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from bqemulator.api.routes import jobs
from bqemulator.domain.errors import DomainError, InvalidQueryError
from bqemulator.jobs import error_mapper, executor
from bqemulator.sql import errors as syntax
from bqemulator.sql.rewriter import default_dataset
from sqlglot.errors import TokenError

from pipelines.local.bigquery_meanings import BAD

_written: ContextVar[str] = ContextVar("_written", default="")
"""The query that runs, as it was written."""

_TYPES: Final = {
    "VARCHAR": "STRING",
    "STRING_LITERAL": "STRING",
    "INTEGER_LITERAL": "INT64",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP": "DATETIME",
    "DOUBLE": "FLOAT64",
    "BOOLEAN": "BOOL",
    "BLOB": "BYTES",
    '"NULL"': "NULL",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "INT64"),
}
"""DuckDB's names of types, and BigQuery's."""
_LITERAL_OF: Final = {"INT64": "int64", "INT32": "int64", "DOUBLE": "double", "BOOL": "bool"}
_NAME = re.compile(
    r'Referenced (?:column|table) "(?P<name>[^"]+)" not found.*?(?:\n.*?: (?P<near>[^\n]*))?(?:\n|$)'
)
_FIELD = re.compile(r'"(?P<of>[^"]+)" does not have a column named "(?P<name>[^"]+)"')
_UNGROUPED = re.compile(r'column "(?P<name>[^"]+)" must appear in the GROUP BY clause')
_FUNCTION = re.compile(r"Function with name (?P<name>\w+) does not exist")
_SIGNATURE = re.compile(r"argument types '(?P<name>[^(]+)\((?P<types>.*?)\)'\.")
_CANDIDATE = re.compile(r'function call "(?P<name>[^(]+)\((?P<types>.*?)\)"')
_COMPARED = re.compile(r"Cannot compare values of type (?P<one>.+?) and type (?P<other>.+?)(?: -|$)", re.M)
_CONVERTED = re.compile(r"Could not convert string '(?P<value>.*?)' to (?P<type>\w+)", re.S)
_ENGINES = re.compile(
    r"\s*(?:\((?:emulator|DuckDB|sqlglot|Invalid Input Error)\b.*|\n\s*LINE \d+: .*|\n\tCandidate .*)", re.S
)
_PREFIX = re.compile(r"^(?:Query execution failed: )?(?:[A-Z][A-Za-z ]* Error: )?")
_SQLGLOT = re.compile(r"\s*(?:\.\s*)?Line (?P<line>\d+), Col: (?P<col>\d+)\..*", re.S)


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    translate = _in_words(error_mapper.translate_runtime_error)
    # The interpreter of scripts imports it from its module, each time.
    error_mapper.translate_runtime_error = executor.translate_runtime_error = translate
    syntax._bq_syntax_message = syntax_error
    default_dataset.qualify_unqualified_tables = _as_written(default_dataset.qualify_unqualified_tables)
    jobs.execute_query_job = _remembering(jobs.execute_query_job)


def _as_written(qualify: Callable[..., str]) -> Callable[..., str]:
    """Return what qualifies the names in a query, so that the query is known as it was before."""

    def qualified(sql: str, *rest: Any, **named: Any) -> str:
        _written.set(sql)
        try:
            return qualify(sql, *rest, **named)
        except TokenError:
            # Whoever reads it next says so.
            return sql

    return qualified


def _remembering(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def remembering(project_id: str, job_id: str, sql: str, *rest: Any, **named: Any) -> Any:
        if not _written.get():
            _written.set(sql)
        try:
            return await run(project_id, job_id, sql, *rest, **named)
        finally:
            _written.set("")

    return remembering


def _in_words(translate: Callable[..., DomainError]) -> Callable[..., DomainError]:
    def translated(error: Exception, **options: Any) -> DomainError:
        if not isinstance(error, DomainError) and (said := complaint(str(error), _written.get())):
            return InvalidQueryError(said, location="query")
        known = translate(error, **options)
        known.message = _ENGINES.sub("", known.message)
        known.args = (known.message, *known.args[1:])
        return known

    return translated


def complaint(raw: str, sql: str) -> str | None:
    """Return what BigQuery says where DuckDB says something of a query; None where bqemulator knows it."""
    for pattern, said in _WORDS:
        if found := pattern.search(raw):
            return said(found, sql)
    if raw.startswith(("Binder Error", "Conversion Error", "Invalid Input Error", "Parser Error")):
        if "ivision by zero" in raw or "Overflow" in raw or "invalid date field" in raw:
            return None
        return _PREFIX.sub("", _ENGINES.sub("", raw)).strip().splitlines()[0]
    return None


def _unrecognized(found: re.Match[str], sql: str) -> str:
    name = found["name"]
    near = difflib.get_close_matches(name, re.findall(r'"([^"]+)"', found["near"] or ""), 1)
    meant = f"; Did you mean {near[0]}?" if near else ""
    return f"Unrecognized name: {name}{meant}{_place(name, sql)}"


def _no_field(found: re.Match[str], sql: str) -> str:
    return f"Name {found['name']} not found inside {found['of']}{_place(found['name'], sql)}"


def _ungrouped(found: re.Match[str], sql: str) -> str:
    name = found["name"]
    return f"Expression references column {name} which is neither grouped nor aggregated{_place(name, sql)}"


def _no_function(found: re.Match[str], sql: str) -> str:
    return f"Function not found: {found['name']}{_place(found['name'], sql)}"


def _no_signature(found: re.Match[str], sql: str) -> str:
    name = found["name"].upper()
    kind = "function" if name[0].isalpha() else "operator"
    types = ", ".join(_TYPES.get(each, each) for each in re.split(r",\s*(?![^()]*\))", found["types"]))
    return f"No matching signature for {kind} {name} for argument types: {types}{_place(name, sql)}"


def _not_compared(found: re.Match[str], sql: str) -> str:
    one, other = (_TYPES.get(found[side], found[side]) for side in ("one", "other"))
    return f"No matching signature for a comparison of argument types: {one}, {other}"


def _bad_value(found: re.Match[str], sql: str) -> str:
    return f"Bad {_LITERAL_OF.get(found['type'], found['type'].lower())} value: {found['value'].removesuffix(BAD)}"


_WORDS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...]] = (
    (_NAME, _unrecognized),
    (_FIELD, _no_field),
    (_UNGROUPED, _ungrouped),
    (_FUNCTION, _no_function),
    (_SIGNATURE, _no_signature),
    (_CANDIDATE, _no_signature),
    (_COMPARED, _not_compared),
    (_CONVERTED, _bad_value),
)


def _place(name: str, sql: str) -> str:
    """Return where a name stands first in a query; nothing where it does not, as translated names do not."""
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE)
    if not found:
        return ""
    before = sql[: found.start()]
    return f" at [{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}]"


def syntax_error(message: str) -> str:
    """Return what BigQuery says where sqlglot cannot read a query; without the query itself, which it repeats."""
    place = _SQLGLOT.search(message)
    at = f" at [{place['line']}:{place['col']}]" if place else ""
    said = _SQLGLOT.sub("", message).splitlines()[0].strip().rstrip(".")
    if said.startswith("Expecting"):
        said = f"Expected {said.removeprefix('Expecting').strip()}"
    elif said.startswith("Required keyword"):
        said = "Something is missing"
    elif "Unexpected token" in said:
        said = "Unexpected token"
    return f"Syntax error: {said}{at}"
