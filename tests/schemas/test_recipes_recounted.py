"""Each recipe of the cookbook against a count of its own: plain Python, over the rows of the views."""

import cookbook
import pytest
from analyst import Analyst
from recipe_truth import Quantile, Rounded
from recounts import RECOUNTS, Views
from sample_world import fill

pytestmark = pytest.mark.thorough

RECIPES = list(cookbook.recipes(cookbook.COOKBOOK.read_text("utf-8")))


@pytest.fixture(scope="module")
def shop(emulator_environment):
    # Without GoogleSQL, of which test_cookbook.py asks the same recipes.
    someone = Analyst()
    fill(someone)
    yield someone
    someone.close()


@pytest.fixture(scope="module")
def views(shop):
    return Views(shop.query)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_a_recipe_answers_its_question_as_a_count_in_python_does(shop, views, recipe):
    recount = RECOUNTS.get(recipe.question)
    assert recount, f"there is no recount of {recipe.question}"
    found = [tuple(row.values()) for row in shop.query(cookbook.on(cookbook.SAMPLE_DAY, recipe.sql))]

    assert found
    assert found == list(recount(views))


def test_each_recount_is_of_a_recipe():
    assert {recipe.question for recipe in RECIPES} == set(RECOUNTS)


def test_a_rounded_number_is_the_nearest_with_its_digits():
    assert Rounded(2 / 3, 2) == 0.67
    assert Rounded(0.125, 2) == 0.13
    assert Rounded(2 / 3, 2) != 0.66
    assert Rounded(2 / 3, 2) != 0.6667
    assert Rounded(2 / 3, 2) != None  # noqa: E711


def test_a_quantile_is_one_of_the_values_at_its_rank():
    values = [60 * number for number in range(1, 201)]
    assert Quantile(values, 50, per=60, digits=1) == 100.0
    assert Quantile(values, 90, per=60, digits=1) == 181.0
    assert Quantile(values, 90, per=60, digits=1) != 184.0
    assert Quantile(values, 90, per=60, digits=1) != 180.5
    assert Quantile([], 50) == None  # noqa: E711
    assert Quantile([], 50) != 0
