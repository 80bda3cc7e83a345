"""A deployment's changes in GoogleSQL, to be read before they are made, or to be run by other means.

Datasets, tables and views are made by way of BigQuery's API; these statements do the same. A view's query is what
is sent, letter by letter.
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
"""

import json
from collections.abc import Iterable, Iterator, Mapping

from google.cloud import bigquery

_KNOWN = frozenset({"tableReference", "description", "schema", "timePartitioning", "clustering", "labels"})


def create_schema(dataset: bigquery.Dataset) -> str:
    """Return the statement that makes a dataset."""
    options = {"description": dataset.description, "location": dataset.location}
    return f"CREATE SCHEMA IF NOT EXISTS `{dataset.project}.{dataset.dataset_id}`{_options(options)}"


def describe_schema(dataset: bigquery.Dataset) -> str:
    """Return the statement that gives a dataset its description."""
    name = f"`{dataset.project}.{dataset.dataset_id}`"
    return f"ALTER SCHEMA {name} SET{_options({'description': dataset.description})}"


def create_table(table: bigquery.Table) -> str:
    """Return the statement that makes a table.

    Raises:
        ValueError: the table has a property that is not known here.
    """
    if unknown := table.to_api_repr().keys() - _KNOWN:
        raise ValueError(f"no statement is known for {', '.join(sorted(unknown))}")
    columns = ",\n".join(f"  {_column(field)}" for field in table.schema)
    lines = [f"CREATE TABLE IF NOT EXISTS `{_name(table)}` (\n{columns}\n)"]
    if by := table.time_partitioning:
        kinds = {field.name: field.field_type for field in table.schema}
        lines.append(f"PARTITION BY {_partition(by.field, kinds[by.field], by.type_)}")
    if table.clustering_fields:
        lines.append(f"CLUSTER BY {', '.join(f'`{field}`' for field in table.clustering_fields)}")
    return "\n".join(lines) + _options({"description": table.description})


def add_column(table: str, field: bigquery.SchemaField) -> str:
    """Return the statement that adds a column, without its description."""
    return f"ALTER TABLE `{table}` ADD COLUMN IF NOT EXISTS `{field.name}` {_type(field)}"


def update_table(present: bigquery.Table, wanted: bigquery.Table) -> Iterator[str]:
    """Yield the statements that describe a table and its columns, and let columns be null."""
    alter = f"ALTER TABLE `{_name(present)}`"
    if (present.description or "") != wanted.description:
        yield f"{alter} SET{_options({'description': wanted.description})}"
    old = {field.name: field for field in present.schema}
    for field in wanted.schema:
        before = old.get(field.name)
        column = f"{alter} ALTER COLUMN `{field.name}`"
        if before is not None and before.mode != field.mode:
            yield f"{column} DROP NOT NULL"
        if before is None or (before.description or "") != field.description:
            yield f"{column} SET{_options({'description': field.description})}"


def create_view(view: bigquery.Table) -> str:
    """Return the statement that makes a view, or makes it anew."""
    options = _options({"description": view.description})
    return f"CREATE OR REPLACE VIEW `{_name(view)}`{options}\nAS\n{view.view_query}"


def script(statements: Iterable[str]) -> str:
    """Return statements as a script that BigQuery runs."""
    # On a line of its own: a query may end in a comment.
    return "\n".join(f"{statement.rstrip()}\n;\n" for statement in statements)


def _name(table: bigquery.Table) -> str:
    return f"{table.project}.{table.dataset_id}.{table.table_id}"


def _column(field: bigquery.SchemaField) -> str:
    required = " NOT NULL" if field.mode == "REQUIRED" else ""
    return f"`{field.name}` {_type(field)}{required} OPTIONS (description = {_literal(field.description)})"


def _type(field: bigquery.SchemaField) -> str:
    return f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else str(field.field_type)


def _partition(column: str, kind: str, unit: str) -> str:
    if kind == "DATE":
        return f"`{column}`" if unit == "DAY" else f"DATE_TRUNC(`{column}`, {unit})"
    return f"TIMESTAMP_TRUNC(`{column}`, {unit})"


def _options(values: Mapping[str, str | None]) -> str:
    listed = ", ".join(f"{name} = {_literal(value)}" for name, value in values.items() if value)
    return f"\nOPTIONS ({listed})" if listed else ""


def _literal(text: str | None) -> str:
    # The escapes of JSON are GoogleSQL's, too.
    return json.dumps(text or "", ensure_ascii=False)
