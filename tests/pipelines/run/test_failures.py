"""What fails on the way to BigQuery is one line in words, of whatever command; what is our fault, a traceback."""

import fcntl
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from google.api_core.exceptions import BadRequest

from pipelines.cli import main
from pipelines.run.failures import in_words

# Every name of the environment that might lead to a BigQuery, so that none does.
NAMES = "PARLEY_PROJECT BIGQUERY_EMULATOR_HOST BIGQUERY_STORAGE_GRPC_ENDPOINT GOOGLE_APPLICATION_CREDENTIALS"
NOTHING = dict.fromkeys(NAMES.split())
NOWHERE = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1", "BIGQUERY_STORAGE_GRPC_ENDPOINT": "127.0.0.1:1"}
COMMANDS = (["query", "SELECT 1"], ["dead-letters", "list"], ["backfill", "list"])


@pytest.fixture
def parley(monkeypatch, tmp_path: Path):
    """Runs `parley` in an empty folder, where nothing is set but what is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipelines.bigquery.target._LOCAL_RETRY_SECONDS", 0.1)

    def run(*arguments: str, **environ: str) -> Result:
        given = {**NOTHING, "NO_GCE_CHECK": "true", "HOME": str(tmp_path), **environ}
        return CliRunner(env=given).invoke(main, arguments)

    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_bigquery_that_does_not_answer_is_said_in_a_line(parley, command: list[str]):
    result = parley(*command, PARLEY_PROJECT="some-project", **NOWHERE)

    assert result.exit_code == 1
    assert result.output.startswith("Error: the local BigQuery at http://127.0.0.1:1 does not answer")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_half_an_address_of_an_emulator_is_said_in_a_line(parley, command: list[str]):
    half = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1"}
    result = parley(*command, PARLEY_PROJECT="some-project", **half)

    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "BIGQUERY_STORAGE_GRPC_ENDPOINT is not set" in result.output


def test_missing_credentials_are_said_in_a_line(parley):
    result = parley("query", "SELECT 1", PARLEY_PROJECT="some-project")

    assert result.output.startswith("Error: there are no credentials for Google Cloud")
    assert result.output.count("\n") == 1


def test_who_asks_too_early_learns_that_the_stack_is_not_ready_yet(parley, tmp_path: Path):
    assert "start the local stack here: parley run" in parley("query", "SELECT 1").output
    (tmp_path / ".parley").mkdir()
    with (tmp_path / ".parley" / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "the stack in .parley is not ready yet" in parley("query", "SELECT 1").output
    assert "start the local stack here: parley run" in parley("query", "SELECT 1").output


def test_a_project_that_is_none_is_said_without_advice_that_does_not_help(parley):
    assert parley("query", "SELECT 1", PARLEY_PROJECT="x").output == (
        "Error: not a Google Cloud project id: 'x'\n"
    )


def test_a_fault_of_ours_keeps_its_traceback(parley, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("pipelines.run.query_command.client", fail)
    assert isinstance(parley("query", "SELECT 1", PARLEY_PROJECT="some-project").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("message", "is_hinted"),
    [
        ("Unrecognized name: first_date at [1:8]", True),
        ("Name source_channel_id not found inside stored at [29:10]", True),
        ("Not found: Table some-project:parley.counted_events was not found in location EU", True),
        ("Exceeded rate limits: too many table update operations for this table", False),
    ],
)
def test_who_has_not_deployed_the_tables_of_the_version_is_led_there(message: str, is_hinted: bool):
    def said(command: str) -> str | None:
        with click.Context(main, info_name="parley") as root:
            root.invoked_subcommand = command
            return in_words(BadRequest(message))

    assert ("parley tables deploy" in (said("reconcile") or "")) is is_hinted
    assert said("query") == message
