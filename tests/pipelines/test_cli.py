"""The command line: help without Beam, clear errors, and the commands around tables and queries."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from pipelines.cli import COMMANDS, main


def invoke(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str):
    result = invoke(name, "--help")

    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage: ")


def test_the_list_of_commands_is_complete():
    result = invoke("--help")

    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_an_unknown_command_is_wrong_usage():
    assert invoke("nonsense").exit_code == 2


def test_a_command_without_its_packages_says_what_to_install():
    code = "import sys; sys.modules['apache_beam'] = None; from pipelines.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", code, "stream", "--help"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "install parley[pipeline]" in done.stderr


def test_a_query_needs_no_beam():
    code = "import sys, pipelines.run.table_commands; sys.exit('apache_beam' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_receiver_needs_neither_beam_nor_bigquery():
    code = (
        "import sys, receiver.app, receiver.server, receiver.sources, pkgutil, importlib\n"
        "for m in pkgutil.iter_modules(receiver.sources.__path__):\n"
        "    importlib.import_module('receiver.sources.' + m.name)\n"
        "sys.exit(bool({'apache_beam', 'google.cloud.bigquery', 'pyarrow'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_parsers_need_neither_beam_nor_flask():
    code = (
        "import sys, pipelines.sources.normalization\n"
        "sys.exit(bool({'apache_beam', 'flask', 'google.cloud.bigquery'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_project_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARLEY_PROJECT", raising=False)

    result = invoke("query", "SELECT 1")

    assert result.exit_code == 1
    assert "PARLEY_PROJECT" in result.output
    assert "parley run" in result.output


def test_a_time_that_is_none_is_wrong_usage(tmp_path):
    result = invoke("batch", "--archive", str(tmp_path), "--into", "x_", "--from", "yesterday")

    assert result.exit_code == 2
    assert "yesterday" in result.output
