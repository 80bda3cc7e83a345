"""What BigQuery reads for a query, by the schemas: of which tables which columns, and which days' partitions.

Views are read through, down to the tables. Counted is what Google documents, and nothing that it does not promise:

- a column counts if the query refers to it, even below a view; a column that nothing uses does not
  (https://cloud.google.com/bigquery/docs/best-practices-costs);
- a partition is left out if a condition with constants or parameters on the partition column itself leaves it out
  (https://cloud.google.com/bigquery/docs/querying-partitioned-tables). Such a condition reaches the table through
  subqueries, views, unions, groups and windows wherever no row that it drops could have mattered: where the column
  is one by which is grouped, or by which every window is partitioned. What a join or a subquery finds, and what a
  function makes of the column, leaves nothing out;
- clustering leaves nothing out: `maximum_bytes_billed` is checked against an estimate without it
  (https://cloud.google.com/bigquery/docs/clustered-tables);
- each mention of a table is one reading, also where a view is mentioned twice; a part of a WITH is read once.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlglot import exp, parse_one
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from schemas import loader, view_columns

Days = frozenset[dt.date]
_Key = tuple[str, str]
_REVERSED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
}
_UNITS = {"DAY": dt.timedelta(days=1), "HOUR": dt.timedelta(hours=1), "MINUTE": dt.timedelta(minutes=1)}


class Scan(NamedTuple):
    """One reading of a table."""

    table: str
    columns: frozenset[str]
    days: Days | None
    """Of which days partitions are read; None where the table has no partitions."""


def scans(sql: str, parameters: Mapping[str, Any], days: Days) -> list[Scan]:
    """Return each reading of a table that a query asks for.

    Args:
        sql: a query in which the datasets are `rows` and `views`.
        parameters: the values of its parameters.
        days: the days of which the tables have partitions.

    Raises:
        sqlglot.errors.SqlglotError: it cannot be parsed, or names a column that there is not.
    """
    return list(_Reader(parameters, days).read(_qualified(sql)))


@lru_cache(maxsize=256)
def _qualified(sql: str) -> exp.Expr:
    """Return a query without what nobody asks of its parts; it takes longest, and they are asked again."""
    tree = _expanded(parse_one(sql, dialect=view_columns.DIALECT))
    schema: dict[str, Any] = {
        "rows": {
            name: {column.name: _type(column) for column in spec.columns} for name, spec in loader.tables().items()
        }
    }
    for unnest in tree.find_all(exp.Unnest):
        # sqlglot looks for the type of a column that is unnested along every path through the parts of a query,
        # which are thousands where views read views; nothing here asks for it.
        unnest.set("expressions", [exp.Paren(this=each) for each in unnest.expressions])
    qualified = qualify(tree, schema=schema, dialect=view_columns.DIALECT, quote_identifiers=False)
    return pushdown_projections(qualified, schema=schema, dialect=view_columns.DIALECT)


def _type(column: loader.Column) -> str:
    return f"ARRAY<{column.type}>" if column.mode == "REPEATED" else column.type


def _expanded(tree: exp.Expr) -> exp.Expr:
    """Return a query in which each view stands as the query that it is."""
    for table in list(tree.find_all(exp.Table)):
        # Whatever the project is.
        table.set("catalog", None)
        if table.db == "views":
            view = view_columns.parsed(loader.views()[table.name])
            _expanded(view)
            table.replace(view.subquery(table.alias or table.name, copy=False))
    return tree


class _Reader:
    """Walks from the outermost query down, taking along which days each query is still asked for."""

    def __init__(self, parameters: Mapping[str, Any], days: Days) -> None:
        self._parameters = parameters
        self._days = days
        self._asked: dict[int, list[Mapping[str, Days]]] = defaultdict(list)

    def read(self, tree: exp.Expr) -> Iterator[Scan]:
        """Yield the readings of tables."""
        # From the outside in: whoever asks a query comes before it.
        for scope in reversed(traverse_scope(tree)):
            wanted = self._wanted(scope)
            if isinstance(scope.expression, exp.SetOperation):
                self._ask_both(scope, wanted)
            elif isinstance(scope.expression, exp.Select):
                yield from self._read_select(scope, scope.expression, wanted)

    def _wanted(self, scope: Scope) -> Mapping[str, Days]:
        """Return by output column of which days anyone wants rows; without columns that anyone leaves open."""
        asked = self._asked.get(id(scope), [{}])
        together = set.intersection(*(set(each) for each in asked))
        return {name: frozenset().union(*(each[name] for each in asked)) for name in together}

    def _ask_both(self, scope: Scope, wanted: Mapping[str, Days]) -> None:
        names = _names(scope)
        for part in scope.union_scopes:
            own = _names(part)
            self._asked[id(part)].append(
                {mine: wanted[name] for name, mine in zip(names, own, strict=True) if name in wanted}
            )

    def _read_select(self, scope: Scope, select: exp.Select, wanted: Mapping[str, Days]) -> Iterator[Scan]:
        bounds: dict[_Key, Days] = {}
        inherited = {
            (column.table, column.name): wanted[chosen.alias_or_name]
            for chosen in select.selects
            if chosen.alias_or_name in wanted
            and isinstance(column := chosen.unalias(), exp.Column)
            and _passes(select, chosen)
        }
        found = [*inherited.items(), *self._left(select.args.get("where"))]
        for join in select.args.get("joins") or []:
            if join.side in {"", "LEFT"}:
                joined = join.alias_or_name
                # Of a row of the other side there is one all the same.
                found += [
                    each for each in self._left(join.args.get("on")) if not join.side or each[0][0] == joined
                ]
        for key, days in found:
            bounds[key] = bounds.get(key, self._days) & days
        for alias, (_, source) in scope.selected_sources.items():
            own = {name: days for (table, name), days in bounds.items() if table == alias}
            if isinstance(source, Scope):
                self._asked[id(source)].append(own)
            elif isinstance(source, exp.Table):
                columns = frozenset(column.name for column in scope.columns if column.table == alias)
                yield self._scan(source.name, columns, own)

    def _scan(self, table: str, columns: frozenset[str], bounds: Mapping[str, Days]) -> Scan:
        partitioning = loader.tables()[table].resource.get("timePartitioning")
        days = bounds.get(partitioning["field"], self._days) if partitioning else None
        return Scan(table, columns, days)

    def _left(self, condition: exp.Expr | None) -> Iterator[tuple[_Key, Days]]:
        """Yield which days a WHERE or an ON leaves, by columns."""
        if isinstance(condition, exp.Where):
            condition = condition.this
        for each in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            if each is not None:
                yield from self._bounds(each)

    def _bounds(self, condition: exp.Expr) -> Iterator[tuple[_Key, Days]]:
        """Yield which days a condition leaves of the column that it is about."""
        if isinstance(condition, exp.Paren):
            yield from self._bounds(condition.this)
        elif isinstance(condition, exp.Between) and isinstance(condition.this, exp.Column):
            yield from self._compared(condition.this, exp.GTE, condition.args["low"])
            yield from self._compared(condition.this, exp.LTE, condition.args["high"])
        elif isinstance(condition, exp.In) and isinstance(condition.this, exp.Column):
            values = [self._constant(each) for each in condition.expressions]
            if values and all(isinstance(value, dt.date) for value in values):
                yield _key(condition.this), self._days & frozenset(map(_day, values))
        elif type(condition) in _REVERSED:
            if isinstance(condition.this, exp.Column):
                yield from self._compared(condition.this, type(condition), condition.expression)
            elif isinstance(condition.expression, exp.Column):
                yield from self._compared(condition.expression, _REVERSED[type(condition)], condition.this)

    def _compared(self, column: exp.Column, kind: type[exp.Expr], other: exp.Expr) -> Iterator[tuple[_Key, Days]]:
        value = self._constant(other)
        if isinstance(value, dt.date):
            yield _key(column), frozenset(day for day in self._days if _LEFT[kind](day, value))

    def _constant(self, node: exp.Expr) -> Any:
        """Return what a constant expression is worth; None where it is none."""
        match node:
            case exp.Parameter():
                return self._parameters.get(node.name)
            case exp.Cast() | exp.Date() | exp.TsOrDsToDate():
                value = self._constant(node.this)
                if isinstance(value, str):
                    value = dt.datetime.fromisoformat(value)
                    value = value.replace(tzinfo=value.tzinfo or dt.UTC)
                is_date = not isinstance(node, exp.Cast) or node.is_type(exp.DataType.Type.DATE)
                return _day(value) if is_date and isinstance(value, dt.date) else value
            case exp.Literal():
                return node.this
            case exp.DateAdd() | exp.DateSub() | exp.TimestampAdd() | exp.TimestampSub():
                value, unit = self._constant(node.this), _UNITS.get(str(node.args["unit"]).upper())
                if not isinstance(value, dt.date) or unit is None:
                    return None
                length = int(str(self._constant(node.expression))) * unit
                return value + length if isinstance(node, exp.DateAdd | exp.TimestampAdd) else value - length
        return None


def _names(scope: Scope) -> list[str]:
    return scope.expression.named_selects if isinstance(scope.expression, exp.Query) else []


def _key(column: exp.Column) -> _Key:
    return column.table, column.name


def _day(value: dt.date) -> dt.date:
    return value.date() if isinstance(value, dt.datetime) else value


def _passes(select: exp.Select, chosen: exp.Expr) -> bool:
    """Return whether rows that a condition on an output column would drop may as well be dropped before."""
    column = chosen.unalias()
    if select.args.get("limit") or select.args.get("offset"):
        return False
    group = select.args.get("group")
    if group and not any(each == column or each.name == chosen.alias_or_name for each in group.expressions):
        return False
    own = [each for each in select.find_all(exp.AggFunc, exp.Window) if each.parent_select is select]
    named = {window.name: window for window in select.args.get("windows") or []}
    windows = [each for each in own if isinstance(each, exp.Window) and each not in named.values()]
    if not group and any(isinstance(each, exp.AggFunc) and not each.find_ancestor(exp.Window) for each in own):
        return False
    return all(column in _partitions(window, named) for window in windows)


def _partitions(window: exp.Window, named: Mapping[str, exp.Window]) -> Sequence[exp.Expr]:
    """Return by what a window is partitioned, itself or by the window that it names."""
    while (base := named.get(window.alias)) and not window.args.get("partition_by"):
        window = base
    return window.args.get("partition_by") or []


_LEFT: dict[type[exp.Expr], Callable[[dt.date, Any], bool]] = {
    exp.EQ: lambda day, value: day == _day(value),
    exp.GT: lambda day, value: day > value if not isinstance(value, dt.datetime) else day >= value.date(),
    exp.GTE: lambda day, value: day >= _day(value),
    exp.LT: lambda day, value: _first_moment(day, value) < value,
    exp.LTE: lambda day, value: day <= _day(value),
}


def _first_moment(day: dt.date, like: dt.date) -> dt.date:
    """Return a day's first moment as what another is: a time, or the day itself."""
    return dt.datetime.combine(day, dt.time(), dt.UTC) if isinstance(like, dt.datetime) else day
