import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.run.preview import preview
from pipelines.sources import PARSERS

SAMPLES = Path(__file__).parents[2] / "samples"
SMS = str(SAMPLES / "twilio" / "sms_text.form")


@pytest.fixture
def run():
    before = dict(PARSERS)

    def run(*arguments, stdin=None, env=None):
        result = CliRunner().invoke(preview, ["--json", *arguments], input=stdin, env=env)
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr

    yield run
    PARSERS.clear()
    PARSERS.update(before)


def test_prints_each_row_with_its_table_the_ledger_row_first(run):
    code, lines, _ = run("--source", "twilio", "--received-at", "2026-11-22T18:30:00Z", SMS)
    assert code == 0
    assert [line["table"] for line in lines] == ["events", "messages"]
    ledger, message = lines[0]["row"], lines[-1]["row"]
    assert (ledger["outcome"], ledger["rows"]) == ("normalized", 1)
    assert ledger["content_type"] == "application/x-www-form-urlencoded"
    assert message["content"] == Path(SMS).read_text()
    assert (message["sent_at"], message["sent_date"]) == ("2026-11-22T18:30:00.000000Z", "2026-11-22")
    assert message["flags"] == []


def test_two_previews_of_a_body_are_equal(run):
    arguments = ("--source", "twilio", "--received-at", "2026-11-22T18:30:00Z", SMS)
    assert run(*arguments) == run(*arguments)


def test_bodies_of_several_files_are_several_events(run):
    _, lines, _ = run("--source", "twilio", SMS, str(SAMPLES / "twilio" / "whatsapp_text.form"))
    ledger = [line["row"]["event_id"] for line in lines if line["table"] == "events"]
    assert len(set(ledger)) == 2


@pytest.mark.parametrize("files", [[], ["-"]])
def test_reads_standard_input(run, files):
    code, lines, _ = run("--source", "twilio", *files, stdin=Path(SMS).read_bytes())
    assert (code, lines[-1]["table"]) == (0, "messages")


def test_attributes_are_the_events_own(run):
    arguments = ("--attribute", "query=From=%2B1&To=%2B2&Body=x", "--attribute", "event_id=e1")
    code, lines, _ = run("--source", "twilio", *arguments, stdin=b"")
    assert code == 0
    assert lines[-1]["row"]["content"] == "From=%2B1&To=%2B2&Body=x"
    assert lines[-1]["row"]["event_id"] == "e1"


def test_dead_letter_is_printed_and_exits_with_1(run):
    code, lines, _ = run("--source", "facebook", stdin=b"{\xff")
    assert code == 1
    assert [line["table"] for line in lines] == ["events", "dead_letters"]
    assert lines[1]["row"]["data"] == "{\\xff"


def test_custom_sources_are_those_of_the_sources_file(run):
    env = {"PARLEY_SOURCES_FILE": str(SAMPLES / "custom" / "sources.toml")}
    body = b"mid=9&msisdn=%2B49&shortcode=85777"
    arguments = ("--source", "gateway", "--content-type", "application/x-www-form-urlencoded")
    code, lines, _ = run(*arguments, stdin=body, env=env)
    assert (code, lines[-1]["row"]["source"]) == (0, "gateway")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing option '--source'"),
        (["--source", "nope"], "'nope' is none of airy"),
        (["--source", "twilio", "no-such-file"], "does not exist"),
        (["--source", "twilio", "--received-at", "soon"], "is not an RFC 3339 time"),
        (["--source", "twilio", "--attribute", "nonsense"], "is not KEY=VALUE"),
        (["--source", "twilio", "--attribute", "received_at=soon"], "received_at is not RFC 3339"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(run, arguments, complaint):
    code, lines, told = run(*arguments, stdin=b"")
    assert (code, lines) == (2, [])
    assert complaint in told


def test_wrong_sources_file_is_told_with_its_line(run, tmp_path):
    path = tmp_path / "sources.toml"
    path.write_text("\n[shop]\nschem = 1\n")
    code, _, told = run("--source", "twilio", stdin=b"", env={"PARLEY_SOURCES_FILE": str(path)})
    assert code == 2
    assert "line 3: shop.schem" in told
