"""The dbt package: its sources are the views, dbt builds and tests it, and GoogleSQL takes what it compiles."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bigquery_fixtures import Emulator
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from schemas import dbt_sources, loader
from tests.googlesql.engine import Engine
from tests.googlesql.judge import VIEWS, Judge

pytestmark = pytest.mark.thorough

PACKAGE = Path(__file__).parents[2] / "deploy" / "dbt"
DBT = Path(os.environ.get("PARLEY_DBT", "build/dbt/bin/dbt")).absolute()
MODELS = {path.stem for path in (PACKAGE / "models" / "examples").glob("*.sql")}
needs_dbt = pytest.mark.skipif(not DBT.exists(), reason="dbt is not installed: make dbt")
Dbt = Callable[..., subprocess.CompletedProcess[str]]


def test_the_sources_are_the_views_as_the_dictionary_has_them():
    assert dbt_sources.FILE.read_text("utf-8") == dbt_sources.text(), f"run {dbt_sources.COMMAND}"


def test_analysts_build_on_views_that_are_theirs():
    published = set(dbt_sources.published())

    assert {"messages", "conversations", "contacts", "people", "response_times", "events"} <= published
    assert not {name for name in published if name.startswith("counted_")}
    assert published <= set(loader.views())


def test_each_test_is_of_a_column_that_there_is():
    text = dbt_sources.text()

    keys = sum(view in dbt_sources.published() for view in dbt_sources._KEYS)
    assert text.count('"unique"') == keys
    assert text.count('"relationships"') == sum(map(len, dbt_sources._RELATIONS.values()))
    assert text.count('"not_null"') == keys + sum(map(len, dbt_sources._NOT_NULL.values()))


@pytest.fixture
def dbt(
    bigquery_emulator: Emulator, bigquery_target: Target, bigquery_client: bigquery.Client, tmp_path: Path
) -> Iterator[Dbt]:
    """Runs dbt on the package, against the test's own views, into a dataset that it makes."""
    made = f"{bigquery_target.views_dataset}_analytics"
    environ = {
        **os.environ,
        "BIGQUERY_EMULATOR_HOST": bigquery_emulator.rest,
        "PARLEY_PROJECT": bigquery_target.project,
        "DBT_DATASET": made,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PROFILES_DIR": str(PACKAGE),
        "DBT_TARGET_PATH": str(tmp_path),
        "DBT_LOG_PATH": str(tmp_path),
        "NO_COLOR": "1",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        datasets = json.dumps({"parley_dataset": bigquery_target.views_dataset})
        command = [str(DBT), *arguments, "--project-dir", str(PACKAGE), "--target", "local", "--vars", datasets]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)

    yield run
    bigquery_client.delete_dataset(made, delete_contents=True, not_found_ok=True)


@needs_dbt
def test_it_builds_its_tests_hold_and_googlesql_takes_it(
    dbt: Dbt, bigquery_target: Target, tmp_path: Path, googlesql: Engine
):
    built = dbt("build")
    assert built.returncode == 0, built.stdout
    assert "Deprecat" not in built.stdout
    results = json.loads((tmp_path / "run_results.json").read_text("utf-8"))["results"]
    assert {each["status"] for each in results} == {"success", "pass"}
    made = {each["unique_id"].rpartition(".")[2] for each in results if each["unique_id"].startswith("model.")}
    assert made == MODELS

    # What is there is compiled as it goes on; the local BigQuery does not run the script by which dbt does that.
    assert dbt("compile", "--select", "daily_volume").returncode == 0
    assert "DATE_SUB" in next(tmp_path.glob("compiled/**/daily_volume.sql")).read_text("utf-8")
    judge, judged = Judge(googlesql), 0
    judge.add_views()
    for path in sorted(tmp_path.glob("compiled/**/*.sql")):
        sql = re.sub(r"`([\w-]+)`\.`(\w+)`\.`(\w+)`", r"`\1.\2.\3`", path.read_text("utf-8"))
        sql = sql.replace(f"{bigquery_target.project}.{bigquery_target.views_dataset}.", f"{VIEWS}.")
        if "_analytics." not in sql:
            judge.analyze(sql)
            judged += 1
    assert judged >= len(MODELS) + 30


@needs_dbt
def test_a_ledger_that_nothing_comes_into_is_stale(dbt: Dbt, bigquery_client, bigquery_target: Target, tmp_path):
    bigquery_client.query(
        f"INSERT INTO `{bigquery_target.table('events')}` (event_id, source, received_at, outcome, `rows`, "
        "dead_letters, body_bytes, body_sha256, generation, processed_at) VALUES ('one', 'facebook', "
        "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 HOUR), 'normalized', 0, 0, 0, '', 3, CURRENT_TIMESTAMP())"
    ).result()

    assert dbt("source", "freshness").returncode == 1

    (ledger,) = json.loads((tmp_path / "sources.json").read_text("utf-8"))["results"]
    assert (ledger["unique_id"], ledger["status"]) == ("source.parley.parley.events", "error")
    assert ledger["max_loaded_at_time_ago_in_s"] == pytest.approx(30 * 3_600, abs=600)
