"""A misspelt option of a command over Beam is refused: dropped, it would ask for something else."""

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.io.options import unknown

COMMANDS = (
    ["backfill", "plan"],
    ["dead-letters", "redrive"],
    ["reconcile"],
    ["stream"],
    ["batch", "--archive=x", "--into=x_"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--sources", "whatsapp"], "no such option: --sources"),
        (["--fromm=2026-03-01"], "no such option: --fromm=2026-03-01"),
        (["--runner=FlinkRunner", "--sources=whatsapp"], "no such option: --sources=whatsapp"),
        (["2026-03-01"], "unexpected argument: 2026-03-01"),
    ],
)
def test_a_misspelt_option_is_wrong_usage(command: list[str], given: list[str], named: str):
    done = CliRunner().invoke(main, [*command, *given])

    assert (done.exit_code, named in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    "given",
    [
        [],
        [
            "--runner",
            "DataflowRunner",
            "--region=x",
            "--no_use_public_ips",
            "--experiments=a",
            "--experiments",
            "b",
        ],
        ["--runner=FnApiRunner", "--processes", "2", "--direct_num_workers=2", "--live_reader=pull"],
        ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--stop_seconds=3"],
        [
            "--runner=FlinkRunner",
            "--flink_master=x",
            "--environment_type=EXTERNAL",
            "--a_job_servers_own",
            "value",
        ],
    ],
)
def test_options_of_beam_and_the_pipeline_pass(given: list[str]):
    assert unknown(given, ["--from", "--source"]) == []


def test_of_a_runner_here_everything_is_known():
    assert unknown(["--runner=FnApiRunner", "--a_job_servers_own", "value"]) == ["--a_job_servers_own"]
