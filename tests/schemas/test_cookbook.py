import datetime as dt
import re

import cookbook
import pytest
from analyst import Analyst
from recounts import RECOUNTS, Views
from sqlglot import exp, parse_one

from pipelines.bigquery import resolving
from pipelines.generate import delivery, flaws
from pipelines.generate.story import WEIGHTS, World
from pipelines.generate.talk import DAY
from pipelines.local import stack

pytestmark = pytest.mark.thorough

TEXT = cookbook.COOKBOOK.read_text("utf-8")
RECIPES = list(cookbook.recipes(TEXT))
ANOTHER_COMMAND_FIRST = {"What was reprocessed, by whom, and what did it change?"}
"""Questions about what whoever tries the sample has not done yet."""


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_a_recipe_gives_the_result_that_the_cookbook_shows(sample_world, recipe):
    assert recipe.result == "\n" + cookbook.table(sample_world.query(cookbook.on(cookbook.SAMPLE_DAY, recipe.sql)))


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


def recommended() -> World:
    """Return a third of the world of the command that the stack prints, as it is on the day of the sample shop.

    Each conversation has its course by its number alone, so what a third has the whole has; and it takes a third.
    """
    found = re.search(r"generate --conversations (\d+) --days (\d+) --here", stack._GUIDE)
    assert found, "the stack recommends another sample"
    conversations, days = int(found[1]), int(found[2])
    until = int(dt.datetime.combine(cookbook.SAMPLE_DAY, dt.time(), dt.UTC).timestamp()) * 1_000_000
    return World(conversations // 3, 0, until - days * DAY, days, tuple(WEIGHTS), flawed=flaws.USUAL, until=until)


# In this file, since what has been translated for the other tests need not be again.
def test_every_recipe_has_rows_on_the_sample_that_the_stack_recommends_and_equals_a_recount(emulator_environment):
    world = recommended()
    someone = Analyst()
    someone.tell(*(each.event for day in range(world.days) for each in delivery.of_day(world, day)))
    resolving.keep(someone.client, someone.target)

    found = {each.question: someone.query(cookbook.on(cookbook.SAMPLE_DAY, each.sql)) for each in RECIPES}
    views = Views(someone.query)
    counted = {question: list(RECOUNTS[question](views)) for question in found}

    assert {question for question, rows in found.items() if not rows} == ANOTHER_COMMAND_FIRST
    assert {question: [tuple(row.values()) for row in rows] for question, rows in found.items()} == counted
    someone.close()
