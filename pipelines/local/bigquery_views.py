"""Makes bqemulator 1.4 translate a view once, by itself.

It writes the SQL of a view into each query that reads it, with the views that it reads in turn, and translates all
of that for every query: seconds, where views read views. Here a query is translated as it was asked, and the
translation of a view takes the place of its name at the end.
"""

import functools
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import duckdb
import sqlglot
import sqlglot.errors
from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.sql import catalog_schema, inner_query
from bqemulator.sql.rewriter import row_access_filter
from sqlglot import exp

from pipelines.local.bigquery_shapes import Remembered, shape

_ORIGINS = 512
"""How many translations are known by what they are of."""
Name = tuple[str, str, str]
"""Project, dataset and table."""
Translate = Callable[..., Awaitable[str]]


class _View(NamedTuple):
    """A view in DuckDB's SQL, with the names of the views that it reads."""

    body: str
    sql: str
    """The body with the names of tables as DuckDB knows them."""
    columns: dict[str, str]
    """DuckDB's types by name."""


_MARK = "view_that_is_read_"
"""Before the name of a view where it is read, not replaced or dropped."""
_NAME = re.compile(rf'"(?P<project>[^"]+?)__(?P<dataset>[^"]+)"\."{_MARK}(?P<table>[^"]+)"')
_OF_MORE = re.compile(r"SYSTEM_TIME|INFORMATION_SCHEMA|_TABLE_SUFFIX|\*`", re.IGNORECASE)
"""In what depends on more than the columns of tables that are named."""
_views: dict[Name, _View] = {}
_translated = Remembered()
_qualified = Remembered()
_origins: OrderedDict[str, tuple[Any, ...]] = OrderedDict()
"""The shape of which translations are, and what else they depend on."""
_rewrite_table_refs = executor.rewrite_table_refs


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    row_access_filter._Rewriter._expand_view = _by_name
    inner_query.build_catalog_schema = _with_columns_of_views(inner_query.build_catalog_schema)
    translate = _views_first(_by_shape(inner_query.rewrite_and_translate_statement))
    for module in (executor, interpreter):
        module.rewrite_and_translate_statement = translate
        module.rewrite_table_refs = lambda sql, project_id: placed(_with_places(sql, project_id))


def _by_name(_: Any, node: exp.Table, *, view_table: str, **__: Any) -> bool:
    """Mark a view's name where it is read, with its columns addressed as before; return that something changed."""
    if not node.args.get("alias"):
        node.set("alias", exp.TableAlias(this=exp.to_identifier(view_table)))
    node.set("this", exp.to_identifier(f"{_MARK}{view_table}", quoted=True))
    return True


def _views_first(translate: Translate) -> Translate:
    """Return a translation of statements that first translates the views which a statement reads."""

    async def translated(sql: str, *, project_id: str, ctx: Any, caller: Any, translator: Any) -> str:
        how = {"project_id": project_id, "ctx": ctx, "caller": caller, "translator": translator}
        for name in _tables(sql, project_id):
            table = ctx.catalog.get_table(*name)
            if table is None or table.table_type != "VIEW" or not table.view_query:
                _views.pop(name, None)
                continue
            body = await translated(table.view_query, **how)
            if name not in _views or _views[name].body != body:
                sql_of_view = _with_places(body, project_id)
                _views[name] = _View(body, sql_of_view, _columns(ctx.engine.connection, placed(sql_of_view)))
        return await translate(sql, **how)

    return translated


def _by_shape(translate: Translate) -> Translate:
    """Return a translation that remembers statements of the same shape over tables of the same columns."""

    async def translated(sql: str, *, project_id: str, ctx: Any, **how: Any) -> str:
        catalog = ctx.catalog
        if _OF_MORE.search(sql) or catalog.list_all_row_access_policies() or catalog.list_all_materialized_views():
            return await translate(sql, project_id=project_id, ctx=ctx, **how)
        columns = tuple(_known_columns(name, catalog) for name in _tables(sql, project_id))
        origin = (shape(sql), project_id, repr(how["caller"]), columns)
        known = _translated.get(*origin)
        if known is None:
            known = await translate(sql, project_id=project_id, ctx=ctx, **how)
            _translated.put(known, *origin)
        _origins[known] = origin
        if len(_origins) > _ORIGINS:
            _origins.popitem(last=False)
        return known

    return translated


def _with_places(sql: str, project_id: str) -> str:
    """Return DuckDB's SQL with the names of tables as DuckDB knows them."""
    origin = _origins.get(sql)
    if origin is None:
        return str(_rewrite_table_refs(sql, project_id))
    known = _qualified.get(*origin)
    if known is None:
        known = _rewrite_table_refs(sql, project_id)
        _qualified.put(known, *origin)
    return known


def _known_columns(name: Name, catalog: Any) -> tuple[Any, ...]:
    if name in _views:
        return tuple(_views[name].columns.items())
    table = catalog.get_table(*name)
    return () if table is None else tuple((field.name, field.type, field.mode) for field in table.schema_.fields)


def _tables(sql: str, project_id: str) -> tuple[Name, ...]:
    """Return what a statement reads or writes."""
    of = shape(sql)
    found = _tables_of_shape(of.sql, project_id)
    return tuple((project, of.meant.get(dataset, dataset), table) for project, dataset, table in found)


@functools.lru_cache(maxsize=4_096)
def _tables_of_shape(sql: str, project_id: str) -> tuple[Name, ...]:
    try:
        found = sqlglot.parse_one(sql, read="bigquery").find_all(exp.Table)
    except sqlglot.errors.SqlglotError:
        return ()  # bqemulator tells what is wrong.
    names = (catalog_schema._resolve_table_ref(table, project_id=project_id) for table in found)
    return tuple(dict.fromkeys(name for name in names if name))


def _columns(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Return the types of a query's columns; none where it reads what is not there."""
    try:
        described = connection.execute(f"DESCRIBE {sql}").fetchall()
    except duckdb.Error:
        return {}
    return {name: kind for name, kind, *_ in described}


def _with_columns_of_views(build: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return what tells the types of columns, with those of views."""

    def built(sql: str, *, project_id: str, catalog: Any) -> dict[str, Any]:
        read = ((name, (of, dataset, name.removeprefix(_MARK))) for of, dataset, name in _tables(sql, project_id))
        views = {table: _views[name].columns for table, name in read if table.startswith(_MARK)}
        return build(sql, project_id=project_id, catalog=catalog) | views

    return built


def placed(sql: str) -> str:
    """Return DuckDB's SQL with the SQL of each view in the place of its name."""
    return _NAME.sub(_place, sql)


def _place(found: re.Match[str]) -> str:
    return f"({placed(_views[found['project'], found['dataset'], found['table']].sql)})"
