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
from tests.googlesql.judge import PROJECT, VIEWS, Judge, rendered, statements, string_literal
from tests.pipelines.reprocess.reprocess_support import Warehouse, options
from tests.raw_events import raw_event, text_message
from tests.schemas.cookbook import COOKBOOK, recipes
from tests.schemas.written_texts import ATTACHMENTS, CHOICES, TEXTS, Content

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
        except Exception as error:
            found[statement] = str(error)
    return found


def test_what_bigquery_refuses_is_refused_here(judge: Judge):
    with pytest.raises(Exception, match="ARRAY<STRING>"):
        judge.analyze(
            f"INSERT INTO `{PROJECT}.x_run_1.changes` (table_name, columns) "
            "WITH a AS (SELECT 'a' AS b) SELECT b, [] FROM a"
        )
    with pytest.raises(Exception, match="no_such_column"):
        judge.analyze(f"SELECT no_such_column FROM `{VIEWS}.messages`")


def test_every_view_is_accepted():
    assert set(Judge().add_views()) == set(loader.views())


@pytest.mark.parametrize("question", dashboard.questions())
def test_every_question_of_the_dashboard_is_accepted(judge: Judge, question: str):
    target = Target.prefixed(PROJECT, "")
    counts = dict.fromkeys(re.findall(r"\$\{(\w+)\}", dashboard._sql(question)), 2)
    own = {"rows", "views", "exchanged", "texts"}
    names = {name: count for name, count in counts.items() if name not in own}

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


@pytest.fixture(scope="module")
def read(judge: Judge):
    """What the view `message_texts` makes of contents in the reference implementation."""
    contents = [content for content, _ in TEXTS.values()] + [*ATTACHMENTS, *ESCAPED]
    rows = [
        (string_literal(content), string_literal(getattr(content, "media_type", Content.media_type)))
        for content in contents
    ]
    others = ", ".join(
        f"CAST(NULL AS {_sql_type(column)}) AS {column.name}"
        for column in loader.tables()["messages"].columns
        if column.name not in {"content", "content_type", "source_message_id"}
    )
    numbered = " UNION ALL ".join(
        f"SELECT {content} AS content, {media_type} AS content_type, '{number}' AS source_message_id"
        for number, (content, media_type) in enumerate(rows)
    )
    messages = f"(SELECT *, {others} FROM ({numbered}))"
    sql = rendered(loader.views()["message_texts"]).replace(f"`{VIEWS}.messages`", messages)
    return {contents[int(row["source_message_id"])]: row for row in judge.execute(sql)}


def _sql_type(column: loader.Column) -> str:
    return f"ARRAY<{column.type}>" if column.mode == "REPEATED" else column.type


ESCAPED = {
    r'{"message":{"mid":"m","text":"hi \ud83d\ude80"}}': "hi 🚀",  # Messenger, Instagram
    r'{"type":"text","text":{"body":"hi \ud83d\ude80"}}': "hi 🚀",  # WhatsApp
    r'{"agent":"a","message":{"text":"hi \ud83d\ude80"}}': "hi 🚀",  # Google Business Messages
    r'{"id":"1","content":{"text":"hi \ud83d\ude80"}}': "hi 🚀",  # Airy
    r'{"text":"hi \ud83d\ude80"}': "hi 🚀",  # live chat
    r'{"source_message_id":"1","content":"hi \ud83d\ude80"}': "hi 🚀",  # a source of one's own
}
"""How sources write an emoji in JSON, and what it says."""


@pytest.mark.parametrize("content", ESCAPED)
def test_an_escaped_emoji_of_every_source_is_read(read, content: str):
    assert read[content]["text"] == ESCAPED[content]


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_read_by_the_reference_implementation_as_by_the_local_bigquery(read, name: str):
    content, text = TEXTS[name]

    assert read[content]["text"] == text


@pytest.mark.parametrize("content", ATTACHMENTS)
def test_attachments_are_read_by_the_reference_implementation_as_by_the_local_bigquery(read, content: str):
    assert read[content]["attachments"] == [list(each.values()) for each in ATTACHMENTS[content]]


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_read_by_the_reference_implementation_as_by_the_local_bigquery(read, name: str):
    assert read[TEXTS[name][0]]["choice"] == CHOICES[name]
