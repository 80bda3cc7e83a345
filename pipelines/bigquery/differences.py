"""How a table that exists differs from what `schemas/` says, and which of it can be mended without harm."""

from collections.abc import Iterator

from google.cloud import bigquery

_STANDARD_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def refusals(name: str, present: bigquery.Table, wanted: bigquery.Table) -> Iterator[str]:
    """Yield what no additive change can mend.

    https://cloud.google.com/bigquery/docs/managing-table-schemas
    """
    old = {field.name: field for field in present.schema}
    new = {field.name: field for field in wanted.schema}
    for column in sorted(old.keys() - new.keys()):
        yield f"{name}.{column} exists but schemas/ does not know it"
    for column, field in new.items():
        if column not in old:
            if field.mode == "REQUIRED":
                yield f"{name}.{column} is new and REQUIRED: rows that exist have no value for it"
            continue
        before, after = _type(old[column]), _type(field)
        if before != after:
            yield f"{name}.{column} is {before}, schemas/ says {after}"
        modes = (old[column].mode, field.mode)
        if modes[0] != modes[1] and modes != ("REQUIRED", "NULLABLE"):
            yield f"{name}.{column} is {modes[0]}, schemas/ says {modes[1]}"
    if _partitioning(present) != _partitioning(wanted):
        yield f"{name} is partitioned by {_partitioning(present)}, schemas/ says {_partitioning(wanted)}"
    if (present.clustering_fields or []) != (wanted.clustering_fields or []):
        yield f"{name} is clustered by {present.clustering_fields}, schemas/ says {wanted.clustering_fields}"


def new_columns(present: bigquery.Table, wanted: bigquery.Table) -> list[bigquery.SchemaField]:
    """Return the columns that the table lacks."""
    old = {field.name for field in present.schema}
    return [field for field in wanted.schema if field.name not in old]


def changes(present: bigquery.Table, wanted: bigquery.Table) -> Iterator[str]:
    """Yield what of the table that exists can be relaxed or described better."""
    new = {field.name: field for field in wanted.schema}
    if (present.description or "") != wanted.description:
        yield "description"
    for field in present.schema:
        after = new.get(field.name)
        if after is None:
            continue
        if field.mode != after.mode:
            yield f"{field.name} may be null"
        if (field.description or "") != after.description:
            yield f"description of {field.name}"


def merged(present: bigquery.Table, wanted: bigquery.Table) -> list[bigquery.SchemaField]:
    """Return the wanted columns in the order that the table has, new ones last, as BigQuery demands."""
    new = {field.name: field for field in wanted.schema}
    kept = [new.pop(field.name) for field in present.schema if field.name in new]
    return [*kept, *new.values()]


def _type(field: bigquery.SchemaField) -> str:
    name: str = field.field_type
    return _STANDARD_TYPES.get(name, name)


def _partitioning(table: bigquery.Table) -> str:
    by = table.time_partitioning
    return f"{by.type_} of {by.field}" if by else "nothing"
