"""Creates datasets, tables and views, or adds what they lack; whatever would destroy is refused."""

import re
from collections.abc import Callable, Iterator
from string import Template

import msgspec
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from schemas import loader

_DATASETS = {
    "rows": "Parley's rows as the pipeline appends them. Analysts query the views, in the other dataset.",
    "views": "Parley: contacts, conversations and messages of all sources.",
}
_STANDARD_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


class DestructiveChangeError(Exception):
    """What is deployed differs from `schemas/` in ways that only a destructive change could mend."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "nothing was changed, because this would destroy or refuse data:\n- " + "\n- ".join(problems)
        )
        self.problems = problems


class Step(msgspec.Struct, frozen=True):
    """One change that a deployment makes."""

    description: str
    run: Callable[[], object]


def deploy(client: bigquery.Client, target: Target) -> list[str]:
    """Bring datasets, tables and views to what `schemas/` says; return what was done, line by line.

    Raises:
        DestructiveChangeError: a table would lose or narrow something; nothing was changed.
    """
    done = []
    for step in plan(client, target):
        step.run()
        done.append(step.description)
    return done


def plan(client: bigquery.Client, target: Target) -> list[Step]:
    """Return the changes that `deploy` would make, in order; none where all is deployed.

    Raises:
        DestructiveChangeError: a table would lose or narrow something.
    """
    problems: list[str] = []
    steps = [
        *_plan_dataset(client, target, target.rows_dataset, _DATASETS["rows"], problems),
        *_plan_dataset(client, target, target.views_dataset, _DATASETS["views"], problems),
    ]
    for spec in loader.tables().values():
        steps += _plan_table(client, target, spec, problems)
    for name in _in_dependency_order(loader.views()):
        steps += _plan_view(client, target, name, problems)
    if problems:
        raise DestructiveChangeError(problems)
    return steps


def _plan_dataset(
    client: bigquery.Client, target: Target, name: str, description: str, problems: list[str]
) -> Iterator[Step]:
    wanted = bigquery.Dataset(f"{target.project}.{name}")
    wanted.location = target.location
    wanted.description = description
    try:
        present = client.get_dataset(wanted.reference)
    except NotFound:
        yield Step(f"created dataset {name}", lambda: client.create_dataset(wanted, exists_ok=True))
        return
    if present.location.upper() != target.location.upper():
        problems.append(f"dataset {name} is in {present.location}, not in {target.location}")
    if present.description != description:
        present.description = description
        yield Step(f"described dataset {name}", lambda: client.update_dataset(present, ["description"]))


def _plan_table(
    client: bigquery.Client, target: Target, spec: loader.TableSpec, problems: list[str]
) -> Iterator[Step]:
    reference = bigquery.TableReference.from_string(target.table(spec.name))
    wanted = bigquery.Table.from_api_repr({**spec.resource, "tableReference": reference.to_api_repr()})
    present = _present(client, reference)
    if present is None:
        yield Step(f"created table {spec.name}", lambda: client.create_table(wanted, exists_ok=True))
        return
    if present.table_type != "TABLE":
        problems.append(f"{spec.name} is a {present.table_type}, not a table")
        return
    problems += _refusals(spec.name, present, wanted)
    changes = list(_changes(present, wanted))
    if changes:
        present.description = wanted.description
        present.schema = _merged(present, wanted)
        yield Step(
            f"updated table {spec.name}: {', '.join(changes)}",
            lambda: client.update_table(present, ["description", "schema"]),
        )


def _plan_view(client: bigquery.Client, target: Target, name: str, problems: list[str]) -> Iterator[Step]:
    sql = loader.views()[name]
    wanted = bigquery.Table(target.view(name))
    wanted.view_query = Template(sql).substitute(
        rows=f"{target.project}.{target.rows_dataset}", views=f"{target.project}.{target.views_dataset}"
    )
    wanted.description = loader.view_description(sql)
    present = _present(client, wanted.reference)
    if present is None:
        yield Step(f"created view {name}", lambda: client.create_table(wanted, exists_ok=True))
    elif present.table_type != "VIEW":
        problems.append(f"{target.views_dataset}.{name} is a {present.table_type}, not a view")
    elif (present.view_query, present.description) != (wanted.view_query, wanted.description):
        present.view_query = wanted.view_query
        present.description = wanted.description
        yield Step(
            f"updated view {name}", lambda: client.update_table(present, ["view_query", "description"])
        )


def _present(client: bigquery.Client, reference: bigquery.TableReference) -> bigquery.Table | None:
    try:
        return client.get_table(reference)
    except NotFound:
        return None


def _refusals(name: str, present: bigquery.Table, wanted: bigquery.Table) -> Iterator[str]:
    """Yield what no additive change can mend.

    https://cloud.google.com/bigquery/docs/managing-table-schemas
    """
    old = {field.name: field for field in present.schema}
    new = {field.name: field for field in wanted.schema}
    for column in old.keys() - new.keys():
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


def _changes(present: bigquery.Table, wanted: bigquery.Table) -> Iterator[str]:
    old = {field.name: field for field in present.schema}
    if (present.description or "") != wanted.description:
        yield "description"
    for field in wanted.schema:
        before = old.get(field.name)
        if before is None:
            yield f"new column {field.name}"
        elif before.mode != field.mode:
            yield f"{field.name} may be null"
        elif (before.description or "") != field.description:
            yield f"description of {field.name}"


def _merged(present: bigquery.Table, wanted: bigquery.Table) -> list[bigquery.SchemaField]:
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


def _in_dependency_order(views: dict[str, str]) -> list[str]:
    """Return view names so that each comes after the views that it reads."""
    ordered: list[str] = []

    def visit(name: str, readers: tuple[str, ...]) -> None:
        if name in readers:
            raise ValueError(f"views read each other in a circle: {' -> '.join((*readers, name))}")
        if name in ordered or name not in views:
            return
        for read in re.findall(r"\$\{views\}\.(\w+)", views[name]):
            visit(read, (*readers, name))
        ordered.append(name)

    for name in views:
        visit(name, ())
    return ordered
