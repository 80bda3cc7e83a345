"""What passes here passes on BigQuery, as far as GoogleSQL itself can tell (see `judge`)."""

import datetime as dt
import re
from pathlib import Path

import pytest
from google.cloud import bigquery

from pipelines.bigquery import deploy
from pipelines.bigquery.target import Target
from pipelines.dashboard import warehouse as dashboard
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import archived, dead_letters, reconcile, streamed
from schemas import loader
from tests.googlesql.engine import Engine, RefusedError
from tests.googlesql.judge import PROJECT, VIEWS, Judge, statements
from tests.pipelines.reprocess.reprocess_support import Warehouse, options
from tests.raw_events import raw_event, text_message
from tests.schemas.cookbook import COOKBOOK, recipes

RECIPES = list(recipes(COOKBOOK.read_text("utf-8")))
_COOKBOOK_NAMES = re.compile(r"(?<![\w.`])parley\.(\w+)")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement or script that clients send to BigQuery from here on."""
    recorded: list[str] = []
    for method in ("query", "query_and_wait"):
        original = getattr(bigquery.Client, method)

        def recording(client, query, *arguments, _original=original, **options):
            recorded.append(query)
            return _original(client, query, *arguments, **options)

        monkeypatch.setattr(bigquery.Client, method, recording)
    return recorded


def refusals(judge: Judge, sent: list[str]) -> dict[str, str]:
    """Return what GoogleSQL refuses, each with its words."""
    found = {}
    for statement in dict.fromkeys(each for script in sent for each in statements(script)):
        try:
            judge.analyze(statement)
        except RefusedError as error:
            found[statement] = str(error)
    return found


def test_what_bigquery_refuses_is_refused_here(judge: Judge):
    with pytest.raises(RefusedError, match="ARRAY<STRING>"):
        judge.analyze(
            f"INSERT INTO `{PROJECT}.x_run_1.changes` (table_name, columns) "
            "WITH a AS (SELECT 'a' AS b) SELECT b, [] FROM a"
        )
    with pytest.raises(RefusedError, match="no_such_column"):
        judge.analyze(f"SELECT no_such_column FROM `{VIEWS}.messages`")


def test_every_view_is_accepted(googlesql: Engine):
    assert set(Judge(googlesql).add_views()) == set(loader.views())


@pytest.mark.parametrize("question", dashboard.questions())
def test_every_question_of_the_dashboard_is_accepted(judge: Judge, question: str):
    target = Target.prefixed(PROJECT, "")
    counts = dict.fromkeys(re.findall(r"\$\{(\w+)\}", dashboard._sql(question)), 2)
    names = {name: count for name, count in counts.items() if name not in {"rows", "views", "exchanged"}}

    judge.analyze(dashboard.statement(question, target, names))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_every_recipe_of_the_cookbook_is_accepted(judge: Judge, recipe):
    judge.analyze(_COOKBOOK_NAMES.sub(rf"`{VIEWS}.\1`", recipe.sql.strip().removesuffix(";")))


def test_every_statement_of_reprocessing_is_accepted(
    judge: Judge,
    sent: list[str],
    bigquery_client: bigquery.Client,
    bigquery_target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(streamed.MINUTES, "0")
    warehouse = Warehouse(bigquery_client, bigquery_target, tmp_path / "archive")
    warehouse.received([*map(text_message, range(3)), raw_event(b"no json", number=90)])
    warehouse.archived([text_message(7)])
    warehouse.query("UPDATE `T.messages` SET kind = 'wrong' WHERE TRUE")
    sent.clear()

    run = warehouse.plan()
    warehouse.apply(run)
    warehouse.roll_back(run)
    warehouse.discard(run)
    everything = Selection()
    reconcile.reconcile(bigquery_client, bigquery_target, str(warehouse.archive), everything, options())
    letters = dead_letters.Filter(
        start=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), sources=("facebook",), stage="parse"
    )
    dead_letters.kinds(bigquery_client, bigquery_target, letters)
    list(dead_letters.letters(bigquery_client, bigquery_target, letters, 5))
    dead_letters.events(bigquery_client, bigquery_target, letters)

    judge.know(archived.TABLE, reconcile.COLUMNS)
    assert len(sent) > 30
    assert refusals(judge, sent) == {}


def test_every_statement_of_a_deployment_is_accepted(
    judge: Judge, sent: list[str], bigquery_client: bigquery.Client, empty_target: Target
):
    bigquery_client.create_dataset(f"{PROJECT}.{empty_target.rows_dataset}")
    for spec in loader.tables().values():
        required = [c for c in spec.resource["schema"]["fields"] if c["mode"] == "REQUIRED"]
        resource = {**spec.resource, "schema": {"fields": required}}
        reference = bigquery.TableReference.from_string(empty_target.table(spec.name))
        bigquery_client.create_table(
            bigquery.Table.from_api_repr({**resource, "tableReference": reference.to_api_repr()})
        )

    deploy.deploy(bigquery_client, empty_target)

    assert any("ARRAY<STRING>" in statement for statement in sent)
    assert refusals(judge, sent) == {}
