from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from pipelines.bigquery.arrow import UNMADE
from pipelines.core.rows import TABLES
from schemas import loader

KINDS = {"STRING": str, "BYTES": bytes, "INT64": int, "TIMESTAMP": int, "DATE": int}


def annotation(column: loader.Column) -> Any:
    kind = KINDS[column.type]
    if column.mode == "REPEATED":
        return tuple[kind, ...]  # type: ignore[valid-type]
    return kind | None if column.mode == "NULLABLE" else kind


@pytest.mark.parametrize("table", TABLES)
def test_row_classes_say_what_the_table_says(table: str) -> None:
    columns = [column for column in loader.tables()[table].columns if column.name not in UNMADE]
    hints = get_type_hints(TABLES[table])

    assert {column.name for column in loader.tables()[table].columns} >= UNMADE
    assert [field.name for field in msgspec.structs.fields(TABLES[table])] == [c.name for c in columns]
    assert {c.name: annotation(c) for c in columns} == hints


@pytest.mark.parametrize("spec", loader.tables().values(), ids=lambda spec: spec.name)
def test_tables_and_columns_are_described(spec: loader.TableSpec) -> None:
    assert spec.description
    assert [c.name for c in spec.columns if len(c.description) < 10] == []


@pytest.mark.parametrize("spec", loader.tables().values(), ids=lambda spec: spec.name)
def test_partition_and_cluster_columns_exist(spec: loader.TableSpec) -> None:
    names = {column.name for column in spec.columns}
    partition = spec.resource.get("timePartitioning", {}).get("field")
    used = {*spec.resource.get("clustering", {}).get("fields", []), *([partition] if partition else [])}

    assert used <= names


@pytest.mark.parametrize("name", loader.views())
def test_views_are_described(name: str) -> None:
    assert loader.view_description(loader.views()[name]).endswith(".")


def test_a_description_is_the_comment_at_the_top_of_a_view_only() -> None:
    assert loader.view_description("-- One.\n-- Two.\nSELECT 1\n-- not this") == "One. Two."
    assert loader.view_description("SELECT 1") == ""


def test_no_struct_field_is_optional_by_accident() -> None:
    nullable = [
        (table, name)
        for table, row in TABLES.items()
        for name, hint in get_type_hints(row).items()
        if NoneType in get_args(hint)
    ]
    assert ("messages", "content") in nullable
    assert ("messages", "message_id") not in nullable
