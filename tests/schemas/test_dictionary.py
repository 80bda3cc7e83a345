import pytest

from schemas import dictionary, loader, view_columns


@pytest.mark.parametrize("name", dictionary.pages())
def test_the_written_dictionary_is_up_to_date(name):
    written = (dictionary.DOCS / name).read_text("utf-8")

    assert written == dictionary.pages()[name], f"run: {dictionary.COMMAND}"


def test_every_table_view_and_column_is_in_it_and_described():
    described = {
        (chapter.title, relation.name, column.name)
        for chapter in dictionary.chapters()
        for relation in chapter.relations
        for column in relation.columns
        if relation.description and column.description
    }

    assert described == {
        ("Tables", name, column.name) for name, spec in loader.tables().items() for column in spec.columns
    } | {("Views", name, column.name) for name in loader.views() for column in view_columns.columns(name)}


def test_it_is_written_where_it_is_asked_for(tmp_path):
    dictionary.write(tmp_path)

    assert {file.name for file in tmp_path.iterdir()} == set(dictionary.pages())


def test_the_page_loads_nothing_and_shows_types_as_text():
    page = dictionary.html()

    assert "<code>ARRAY&lt;STRING&gt;</code>" in page
    assert "src=" not in page
    assert "http" not in page
