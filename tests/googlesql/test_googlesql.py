"""What passes here passes on BigQuery, as far as GoogleSQL itself can tell (see `judge`)."""

import re

import pytest

from pipelines.bigquery.target import Target
from pipelines.dashboard import reported
from pipelines.dashboard import warehouse as dashboard
from schemas import loader
from tests.googlesql.engine import RefusedError
from tests.googlesql.judge import PROJECT, VIEWS, Judge
from tests.schemas.cookbook import COOKBOOK, recipes

RECIPES = list(recipes(COOKBOOK.read_text("utf-8")))
_COOKBOOK_NAMES = re.compile(r"(?<![\w.`])parley\.(\w+)")


def test_what_bigquery_refuses_is_refused_here(judge: Judge):
    with pytest.raises(RefusedError, match="ARRAY<STRING>"):
        judge.analyze(
            f"INSERT INTO `{PROJECT}.x_run_1.changes` (table_name, columns) "
            "WITH a AS (SELECT 'a' AS b) SELECT b, [] FROM a"
        )
    with pytest.raises(RefusedError, match="no_such_column"):
        judge.analyze(f"SELECT no_such_column FROM `{VIEWS}.messages`")


def test_every_view_is_accepted(judge: Judge):
    assert set(judge.views) == set(loader.views())


@pytest.mark.parametrize("question", dashboard.questions())
def test_every_question_of_the_dashboard_is_accepted(judge: Judge, question: str):
    target = Target.prefixed(PROJECT, "")
    counts = dict.fromkeys(re.findall(r"\$\{(\w+)\}", dashboard._sql(question)), 2)
    people = {"across", "across_near", "people", "people_around"}
    own = {"rows", "views", "exchanged", "outbound", "texts", "turns", *people}
    own |= {"reported", *reported.VIEWS}
    names = {name: count for name, count in counts.items() if name not in own}

    judge.analyze(dashboard.statement(question, target, names))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_every_recipe_of_the_cookbook_is_accepted(judge: Judge, recipe):
    judge.analyze(_COOKBOOK_NAMES.sub(rf"`{VIEWS}.\1`", recipe.sql.strip().removesuffix(";")))
