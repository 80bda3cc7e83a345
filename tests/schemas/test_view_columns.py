import pytest
from sqlglot.errors import SqlglotError

from schemas import loader, view_columns

TABLES = {"messages": loader.tables()["messages"]}


@pytest.fixture
def only_view(monkeypatch):
    """Put one view in place of all others."""

    def put(sql):
        monkeypatch.setattr(loader, "views", lambda: {"one": sql})
        view_columns.columns.cache_clear()
        return {column.name: column for column in view_columns.columns("one")}

    yield put
    monkeypatch.undo()
    view_columns.columns.cache_clear()


@pytest.mark.parametrize("view", loader.views())
def test_every_column_has_a_type_and_a_description(view):
    for column in view_columns.columns(view):
        assert column.type not in {"", "UNKNOWN"}
        assert column.description


def test_a_comment_above_a_column_describes_it(only_view):
    columns = only_view("SELECT\n  -- How many\n  -- there are.\n  COUNT(*) AS n\nFROM `${rows}.messages`\n")

    assert columns["n"].description == "How many there are."
    assert columns["n"].type == "INT64"


def test_a_column_without_comment_means_what_its_table_says(only_view):
    columns = only_view("SELECT\n  flags\nFROM `${rows}.messages`\n")

    (flags,) = (column for column in TABLES["messages"].columns if column.name == "flags")
    assert columns["flags"].description == flags.description
    assert columns["flags"].type == "ARRAY<STRING>"


def test_a_new_column_without_comment_is_refused(only_view):
    with pytest.raises(view_columns.UndescribedColumnError, match=r"one\.sql: n has no comment"):
        only_view("SELECT\n  COUNT(*) AS n\nFROM `${rows}.messages`\n")


def test_a_column_that_the_table_lacks_is_refused(only_view):
    with pytest.raises(SqlglotError):
        only_view("SELECT\n  -- There is none.\n  nonsense\nFROM `${rows}.messages`\n")
