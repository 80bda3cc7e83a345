import cookbook
import pytest
from sqlglot import exp, parse_one

TEXT = cookbook.COOKBOOK.read_text("utf-8")
RECIPES = list(cookbook.recipes(TEXT))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_a_recipe_gives_the_result_that_the_cookbook_shows(sample_world, recipe):
    assert recipe.result == "\n" + cookbook.table(sample_world.query(recipe.sql))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_a_recipe_is_one_googlesql_query_of_views_alone_with_an_order(recipe):
    query = parse_one(recipe.sql, dialect="bigquery")
    names = {table.db for table in query.find_all(exp.Table) if table.name}

    assert names <= {"parley", ""}
    assert query.args.get("order") or recipe.result.count("\n") == 4


def test_there_are_as_many_recipes_as_questions():
    assert len(RECIPES) == TEXT.count("\n### ") == TEXT.count("```sql") >= 25


def test_results_are_written_where_the_old_ones_were():
    one = "### One?\n\nBecause.\n\n```sql\nSELECT 1\n```\n\n| old |\n| --- |\n| 1 |\n"
    text = one + "\n### Two?\n\n```sql\nSELECT 2\n```\n"
    written = cookbook.rewritten(text, lambda sql: [{"sql": sql}])

    assert "| old |" not in written
    assert [recipe.result for recipe in cookbook.recipes(written)] == [
        "\n| sql |\n| --- |\n| SELECT 1⏎ |\n",
        "\n| sql |\n| --- |\n| SELECT 2⏎ |\n",
    ]
