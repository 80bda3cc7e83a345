"""Creates datasets, tables and views, or adds what they lack; whatever would destroy is refused."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from string import Template
from typing import Any

import msgspec
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from pipelines.bigquery import ddl, differences
from pipelines.bigquery.target import Target
from schemas import loader

_DATASETS = {
    "rows": "Parley's rows as the pipeline appends them. Analysts query the views, in the other dataset.",
    "views": "Parley: contacts, conversations and messages of all sources.",
}


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
    sql: Sequence[str] = ()
    """The statements that do the same."""


class EmptyProject(bigquery.Client):
    """A client that finds nothing and asks nobody: of a deployment from the beginning, without credentials."""

    def __init__(self, target: Target) -> None:
        super().__init__(project=target.project, location=target.location, credentials=AnonymousCredentials())

    def get_dataset(self, dataset_ref: Any, *args: Any, **options: Any) -> bigquery.Dataset:
        """Raise `NotFound`."""
        raise NotFound(f"not looked for: {dataset_ref}")

    def get_table(self, table: Any, *args: Any, **options: Any) -> bigquery.Table:
        """Raise `NotFound`."""
        raise NotFound(f"not looked for: {table}")


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
    for name in in_dependency_order(loader.views()):
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
        create = partial(client.create_dataset, wanted, exists_ok=True)
        yield Step(f"created dataset {name}", create, [ddl.create_schema(wanted)])
        return
    if present.location.upper() != target.location.upper():
        problems.append(f"dataset {name} is in {present.location}, not in {target.location}")
    if present.description != description:
        present.description = description
        describe = partial(client.update_dataset, present, ["description"])
        yield Step(f"described dataset {name}", describe, [ddl.describe_schema(present)])


def _plan_table(
    client: bigquery.Client, target: Target, spec: loader.TableSpec, problems: list[str]
) -> Iterator[Step]:
    reference = bigquery.TableReference.from_string(target.table(spec.name))
    wanted = bigquery.Table.from_api_repr({**spec.resource, "tableReference": reference.to_api_repr()})
    present = _present(client, reference)
    if present is None:
        create = partial(client.create_table, wanted, exists_ok=True)
        yield Step(f"created table {spec.name}", create, [ddl.create_table(wanted)])
        return
    if present.table_type != "TABLE":
        problems.append(f"{spec.name} is a {present.table_type}, not a table")
        return
    problems += differences.refusals(spec.name, present, wanted)
    columns = differences.new_columns(present, wanted)
    for column in columns:
        # As DDL, because bqemulator's `tables.patch` describes a new column but does not make it.
        sql = ddl.add_column(target.table(spec.name), column)
        yield Step(f"added {spec.name}.{column.name}", partial(client.query_and_wait, sql), [sql])
    changes = list(differences.changes(present, wanted))
    if columns or changes:
        # Not `present`: new columns have changed its etag by then.
        described = bigquery.Table(reference, schema=differences.merged(present, wanted))
        described.description = wanted.description
        yield Step(
            f"updated table {spec.name}: {', '.join(changes) or 'descriptions of new columns'}",
            partial(client.update_table, described, ["description", "schema"]),
            list(ddl.update_table(present, wanted)),
        )


def _plan_view(client: bigquery.Client, target: Target, name: str, problems: list[str]) -> Iterator[Step]:
    sql = loader.views()[name]
    wanted = bigquery.Table(target.view(name))
    wanted.description = loader.view_description(sql)
    wanted.view_query = Template(sql).substitute(
        rows=f"{target.project}.{target.rows_dataset}", views=f"{target.project}.{target.views_dataset}"
    )
    present = _present(client, wanted.reference)
    if present is None:
        create = partial(client.create_table, wanted, exists_ok=True)
        yield Step(f"created view {name}", create, [ddl.create_view(wanted)])
    elif present.table_type != "VIEW":
        problems.append(f"{target.views_dataset}.{name} is a {present.table_type}, not a view")
    elif (present.view_query, present.description) != (wanted.view_query, wanted.description):
        present.view_query = wanted.view_query
        present.description = wanted.description
        update = partial(client.update_table, present, ["view_query", "description"])
        yield Step(f"updated view {name}", update, [ddl.create_view(present)])


def _present(client: bigquery.Client, reference: bigquery.TableReference) -> bigquery.Table | None:
    try:
        return client.get_table(reference)
    except NotFound:
        return None


def in_dependency_order(views: dict[str, str]) -> list[str]:
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
