import pytest
from google.cloud import bigquery

from pipelines.bigquery import differences

FIELDS = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED", "description": "Identity."},
    {"name": "n", "type": "INT64", "mode": "NULLABLE", "description": "Number."},
]


def table(fields: object = FIELDS, **values: object) -> bigquery.Table:
    reference = {"projectId": "p", "datasetId": "d", "tableId": "t"}
    resource = {"tableReference": reference, "description": "T.", "schema": {"fields": fields}, **values}
    return bigquery.Table.from_api_repr(resource)


def column(**values: str) -> dict[str, str]:
    return {**FIELDS[1], **values}


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ([FIELDS[0]], "t.n exists but schemas/ does not know it"),
        ([FIELDS[0], column(type="STRING")], "t.n is INT64, schemas/ says STRING"),
        ([FIELDS[0], column(mode="REQUIRED")], "t.n is NULLABLE, schemas/ says REQUIRED"),
        ([FIELDS[0], column(mode="REPEATED")], "t.n is NULLABLE, schemas/ says REPEATED"),
        ([*FIELDS, column(name="new", mode="REQUIRED")], "t.new is new and REQUIRED"),
    ],
)
def test_what_would_destroy_is_refused(wanted: object, problem: str) -> None:
    (found,) = differences.refusals("t", table(), table(wanted))

    assert found.startswith(problem)


@pytest.mark.parametrize(
    "values",
    [
        {"timePartitioning": {"type": "DAY", "field": "d"}},
        {"timePartitioning": {"type": "HOUR", "field": "d"}},
        {"clustering": {"fields": ["n"]}},
    ],
)
def test_layout_cannot_be_changed_in_place(values: dict[str, object]) -> None:
    assert len(list(differences.refusals("t", table(), table(**values)))) == 1
    assert len(list(differences.refusals("t", table(**values), table()))) == 1
    assert list(differences.refusals("t", table(**values), table(**values))) == []


def test_old_names_of_types_are_the_same_types() -> None:
    present = table([FIELDS[0], column(type="INTEGER")])

    assert list(differences.refusals("t", present, table())) == []
    assert list(differences.changes(present, table())) == []


def test_what_does_no_harm_is_told() -> None:
    present = table([{**FIELDS[0], "description": "Old."}, column(mode="REQUIRED")], description="Old.")

    assert list(differences.refusals("t", present, table())) == []
    assert list(differences.changes(present, table())) == [
        "description",
        "description of id",
        "n may be null",
    ]


def test_new_columns_come_last_whatever_the_order_in_schemas() -> None:
    new = column(name="new")
    wanted = table([new, *FIELDS])

    assert [field.name for field in differences.new_columns(table(), wanted)] == ["new"]
    assert [field.name for field in differences.merged(table(), wanted)] == ["id", "n", "new"]
