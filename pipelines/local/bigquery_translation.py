"""Makes bqemulator 1.4 translate a query once and quickly.

It parses each query some twenty times, with the views in it written out, which takes seconds where views
read views. Here a statement is parsed once, and a query that is asked again is not translated again.

It hands casts to BYTES to DuckDB as they are, which refuses text that is not ASCII. Here they give UTF-8.

It also looks for string literals without regard to comments, and so takes the apostrophe of a view's comment for
the beginning of one. Here comments are gone before it looks.

It moves indexes into APPROX_QUANTILES by one: a median was the 51st percentile. And it lets TIMESTAMP_DIFF count
how often an hour strikes, where BigQuery counts whole hours.

What COUNTIF counts, to which DuckDB gives 128 bits, it makes an INT64 in a column, but not within a STRUCT.

Whether an array has a value, it asks by a subquery, which DuckDB joins for each row; here by a function.

And a computation in steps, each over the rows of the step before, is told to DuckDB as such.

It asks each constraint of a column for its kind, which sqlglot, compiled, refuses of a description.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import sqlglot
import sqlglot.parser
from bqemulator.domain.result import Ok, Result
from bqemulator.jobs import ddl_result, executor
from bqemulator.sql.rules.datetime_semantics import ApproxQuantilesDiscreteRule
from bqemulator.sql.rules.misc_helpers import CountIfEmptyZeroRule
from bqemulator.sql.translator import SQLTranslator
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from pipelines.local.bigquery_meanings import meant, without_escapes

_QUERIES = 256
"""How many queries are remembered: more than a page of the dashboard asks."""
# What is quoted is found, too, so that no comment begins within it.
# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical
_COMMENTS = re.compile(
    r"""(?P<quoted>'''(?:\\.|[^\\])*?'''|""\"(?:\\.|[^\\])*?""\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`[^`]*`)"""
    r"""|--[^\n]*|\#[^\n]*|/\*.*?\*/""",
    re.DOTALL,
)

_POSITION = {"line", "col", "start", "end"}
_ROUND = re.compile(r"(\bround_\d+\W? AS) \(")


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    executor._translator = _Translator()
    _replace(sqlglot, "parse_one", _parsing_once)
    _replace(sqlglot.parser.Parser, "_implicit_unnests_to_explicit", _where_tables_are_listed)
    _replace(ApproxQuantilesDiscreteRule, "rewrite", _typed_as_before)
    _replace(CountIfEmptyZeroRule, "applies_to", _but_over_windows)
    _replace(ddl_result, "_has_not_null_constraint", lambda _: _is_required)
    DuckDB.Generator.TRANSFORMS[exp.TimestampDiff] = _whole_parts
    DuckDB.Generator.TRANSFORMS[exp.In] = _array_has
    DuckDB.Generator.TRANSFORMS[exp.CountIf] = _count_if
    DuckDB.Generator.TRANSFORMS[exp.Window] = _window


class _Translator(SQLTranslator):
    """Remembers translations, which depend on the query, its tables' columns and who asks."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, str, str], Result[str, Any]] = {}

    def translate(
        self, bq_sql: str, *, schema: dict[str, Any] | None = None, caller: Any = None, **options: Any
    ) -> Result[str, Any]:
        """Return the query in DuckDB's SQL, or why there is none."""
        bq_sql = without_comments(bq_sql)
        key = (bq_sql, repr(schema), repr(caller))
        if key not in self._known:
            if len(self._known) >= _QUERIES:
                del self._known[next(iter(self._known))]
            translated = super().translate(meant(bq_sql), schema=schema, caller=caller, **options)
            if isinstance(translated, Ok):
                translated = Ok(step_by_step(translated.value))
            self._known[key] = translated
        return self._known[key]


def step_by_step(sql: str) -> str:
    """Return DuckDB's SQL in which the steps of a computation (round_1, … of a WITH) are made one by one.

    DuckDB plans a window over a window twice, and so sixteen of them, one over the other, for half a minute.
    """
    return _ROUND.sub(r"\1 MATERIALIZED (", sql)


def without_comments(sql: str) -> str:
    """Return SQL with a space in the place of each comment; what is quoted stays what it is."""

    def kept(found: re.Match[str]) -> str:
        quoted = found["quoted"]
        is_plain = quoted and quoted[0] != "`" and sql[max(found.start() - 1, 0)] not in "rRbB"
        return without_escapes(quoted) if is_plain else quoted or " "

    return _COMMENTS.sub(kept, sql)


def _parsing_once(parse: Callable[..., exp.Expression]) -> Callable[..., exp.Expression]:
    """Return a parser that remembers statements: its callers get copies to change as they like."""

    @functools.lru_cache(maxsize=_QUERIES)
    def remembered(sql: str, **options: Any) -> exp.Expression:
        return _without_positions(_with_bytes_of_text(parse(sql, **options)))

    def copy(sql: str, **options: Any) -> exp.Expression:
        return remembered(sql, **options).copy()

    return copy


def _with_bytes_of_text(parsed: exp.Expression) -> exp.Expression:
    """Return a statement in which casts to BYTES go by way of hex: DuckDB takes ASCII alone, BigQuery UTF-8."""
    for cast in list(parsed.find_all(exp.Cast)):
        if cast.is_type(exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY):
            cast.replace(exp.Unhex(this=exp.Hex(this=cast.this.copy())))
    return parsed


def _without_positions(parsed: exp.Expression) -> exp.Expression:
    """Return a statement that does not know where in the text its parts stood: to copy that takes longest."""
    for node in parsed.walk():
        if node._meta is not None:
            node._meta = {name: value for name, value in node._meta.items() if name not in _POSITION} or None
    return parsed


def _is_required(column: exp.ColumnDef) -> bool:
    """Return whether a column of CREATE TABLE is NOT NULL."""
    kinds = (constraint.args.get("kind") for constraint in column.args.get("constraints") or ())
    return any(isinstance(kind, exp.NotNullColumnConstraint) for kind in kinds)


def _where_tables_are_listed(unnest: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the search for `FROM table, table.array`, which copies what it searches, for such queries only."""

    def only_there(self: Any, query: Any) -> Any:
        joins = query.args.get("joins") or []
        listed = any(isinstance(join.this, exp.Table) and not join.args.get("on") for join in joins)
        return unnest(self, query) if listed else query

    return only_there


def _typed_as_before(rewrite: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the rule for quantiles, so that an index into them stays what it is."""

    def typed(self: Any, node: Any) -> Any:
        made = rewrite(self, node)
        # sqlglot takes `approx_quantile(…)[2]` for no element of an array, and leaves the index as it is.
        made.type = exp.DataType.build("DOUBLE")
        return made

    return typed


def _but_over_windows(applies: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return whether the rule for COUNTIF applies: not where OVER follows, which has to follow the function."""
    return lambda self, node: applies(self, node) and not isinstance(node.parent, exp.Window)


def _whole_parts(generator: Any, node: exp.TimestampDiff) -> str:
    """Return the difference of timestamps as BigQuery tells it: how many whole parts lie between them.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/timestamp_functions#timestamp_diff
    """
    return str(generator.func("DATESUB", exp.Literal.string(node.unit), node.expression, node.this))


def _array_has(generator: Any, node: exp.In) -> str:
    """Return whether an array has a literal; where NULL may be looked for, as sqlglot writes it.

    No array has nothing in it, and a stored one no NULL:
    https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#in_operators
    """
    array = node.args.get("unnest")
    if array is None or not isinstance(node.this, exp.Literal):
        return str(generator.in_sql(node))
    found = generator.func("LIST_CONTAINS", array.expressions[0], node.this)
    return str(generator.func("COALESCE", found, "FALSE"))


def _count_if(generator: Any, node: exp.CountIf) -> str:
    """Return how many rows are as wanted, as an INT64 wherever it stands."""
    if isinstance(node.parent, exp.Window):
        return str(generator.func("COUNT_IF", node.this))
    return f"CAST({generator.func('COUNT_IF', node.this)} AS BIGINT)"


def _window(generator: Any, node: exp.Window) -> str:
    """Return what is computed over a window; how many rows there are as wanted is an INT64 there, too."""
    written = str(generator.window_sql(node))
    return f"CAST({written} AS BIGINT)" if isinstance(node.this, exp.CountIf) else written


def _replace(owner: Any, name: str, replacement: Callable[[Any], Any]) -> None:
    setattr(owner, name, replacement(getattr(owner, name)))
