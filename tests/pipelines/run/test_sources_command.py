import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.run import sources_command
from pipelines.run.sources_command import CONSOLES, examine, sources
from schemas.custom_sources import SourcesFile

SOURCES_FILE = str(Path(__file__).parents[2] / "samples" / "custom" / "sources.toml")
ALL = {
    "PARLEY_PUBLIC_URL": "https://hooks.example.com/parley/",
    "PARLEY_FACEBOOK_APP_SECRETS": "s",
    "PARLEY_FACEBOOK_VERIFY_TOKENS": "t",
    "PARLEY_WHATSAPP_APP_SECRETS": "s",
    "PARLEY_WHATSAPP_VERIFY_TOKENS": "t",
    "PARLEY_TWILIO_AUTH_TOKENS": "s",
    "PARLEY_GOOGLE_KEYS": "s",
    "PARLEY_GOOGLE_CLIENT_TOKENS": "t",
    "PARLEY_AIRY_SIGNATURE_KEYS": "s",
    "PARLEY_CHATPLUGIN_SECRETS": "s" * 32,
    "PARLEY_CHATPLUGIN_CHANNELS": '{"site":["https://www.example.com"]}',
    "PARLEY_REPLY_TOKENS": json.dumps({"desk": {"tokens": ["t" * 32], "channels": ["twilio/*"]}}),
    "PARLEY_SOURCES_FILE": SOURCES_FILE,
    "PARLEY_SOURCE_DESK_SECRETS": "0123456789abcdef",
    "PARLEY_SOURCE_VIBER_SECRETS": "s",
    "PARLEY_SOURCE_BOT_SECRETS": "s",
}


def run(environ):
    return CliRunner().invoke(sources, ["check"], env=environ)


def test_prints_the_url_of_every_source_and_where_it_belongs():
    result = run(ALL)
    assert result.exit_code == 0, result.output
    for path in ("facebook", "whatsapp", "twilio", "google", "airy", "sources/desk", "sources/viber"):
        assert f"https://hooks.example.com/parley/{path}\n" in result.stdout
    assert "https://hooks.example.com/parley/sources.webhook\n" in result.stdout
    for console in CONSOLES.values():
        assert console in result.stdout
    assert result.stderr == ""


def test_airys_endpoint_is_printed_where_a_token_tells_a_source_alone(tmp_path):
    file = tmp_path / "sources.toml"
    environ = {"PARLEY_SOURCES_FILE": str(file), "PARLEY_SOURCE_SHOP_SECRETS": "0123456789abcdef"}
    file.write_text("[shop]\nscheme = 'hmac'\nhmac = { header = 'X-Signature' }\n")
    assert "/sources/shop\n" in run(environ).stdout
    assert "/sources.webhook" not in run(environ).stdout
    file.write_text("[shop]\nscheme = 'bearer'\n")
    assert "/sources.webhook\n" in run(environ).stdout


def test_secrets_are_not_printed():
    secret = "very-secret-very-secret-very-secret"
    environ = {
        name: secret if name.endswith(("SECRETS", "KEYS", "TOKENS")) else value for name, value in ALL.items()
    }
    assert secret not in run(environ | {"PARLEY_SOURCE_DESK_SECRETS": ""}).output


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"PARLEY_PUBLIC_URL": ""}, "PARLEY_PUBLIC_URL is not set: Twilio signs"),
        ({"PARLEY_PUBLIC_URL": "example.com"}, "PARLEY_PUBLIC_URL must be like"),
        ({"PARLEY_FACEBOOK_VERIFY_TOKENS": ""}, "PARLEY_FACEBOOK_VERIFY_TOKENS is not set: facebook's handshake"),
        ({"PARLEY_GOOGLE_CLIENT_TOKENS": ""}, "PARLEY_GOOGLE_CLIENT_TOKENS is not set"),
        ({"PARLEY_SOURCE_BOT_SECRETS": ""}, "PARLEY_SOURCE_BOT_SECRETS is not set"),
        ({"PARLEY_SOURCES_FILE": "/nowhere.toml"}, "PARLEY_SOURCES_FILE cannot be read"),
        ({"PARLEY_ALLOW_UNSIGNED": "nope"}, "PARLEY_ALLOW_UNSIGNED names 'nope'"),
    ],
)
def test_problem_names_its_variable_once_and_exits_with_1(changes, problem):
    result = run(ALL | changes)
    assert result.exit_code == 1
    assert result.stderr.count(problem) == 1


def test_json_has_endpoints_problems_and_notes_and_stands_alone_on_stdout():
    result = CliRunner().invoke(sources, ["check", "--json"], env=ALL | {"PARLEY_GOOGLE_CLIENT_TOKENS": ""})
    told = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (1, "")
    assert {each["source"]: each["url"] for each in told["endpoints"]}["airy"].endswith("/parley/airy")
    assert all(each["console"] for each in told["endpoints"])
    assert told["problems"] == ["PARLEY_GOOGLE_CLIENT_TOKENS is not set: google's handshake would be refused"]
    assert told["notes"] == []


def test_expressions_are_checked_too(tmp_path):
    path = tmp_path / "sources.toml"
    path.write_text("[shop]\nscheme = 'none'\n[[shop.mapping.message]]\ncontact = 'item.'\n")
    report = examine({"PARLEY_SOURCES_FILE": str(path)})
    assert any("line 4: shop.mapping.message[0].contact" in problem for problem in report.problems)


def test_expressions_are_left_to_the_pipeline_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(sources_command, "_checks_expressions", lambda: False)
    report = examine(ALL)
    assert not report.problems
    assert any("expressions were not checked" in note for note in report.notes)


def test_nothing_configured_is_a_problem():
    assert examine({}).problems == ["no source is configured: see docs/sources/"]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"PARLEY_TWILIO_AUTH_TOKENS": "", "PARLEY_PUBLIC_URL": ""}, "the URLs above have no host"),
        ({"PARLEY_PUBLIC_URL": "http://example.com"}, "is not https"),
        ({"PARLEY_ALLOW_UNSIGNED": "airy", "PARLEY_AIRY_SIGNATURE_KEYS": ""}, "whoever knows airy's URL"),
    ],
)
def test_what_to_mind_is_a_note_and_no_problem(changes, note):
    result = run(ALL | changes)
    assert result.exit_code == 0
    assert note in result.stderr


def test_source_that_is_called_by_get_has_its_url_too(tmp_path):
    file = tmp_path / "sources.toml"
    file.write_text("[sms]\nmethods=['GET']\nscheme='token'\ntoken={query='key'}")
    printed = run({"PARLEY_SOURCES_FILE": str(file), "PARLEY_SOURCE_SMS_SECRETS": "0123456789abcdef"}).stdout
    assert "/sources/sms\n" in printed


def add(provider, **environ):
    return CliRunner().invoke(sources, ["add", provider], env={"PARLEY_SOURCES_FILE": ""} | environ)


def test_recipe_is_added_to_the_file_once(tmp_path):
    file = tmp_path / "sources.toml"
    told = add("telegram", PARLEY_SOURCES_FILE=str(file))
    assert told.exit_code == 0, told.output
    assert "PARLEY_SOURCE_TELEGRAM_SECRETS" in told.output
    assert add("google-chat", PARLEY_SOURCES_FILE=str(file)).exit_code == 0
    assert list(SourcesFile(file.read_text()).definitions) == ["telegram", "google-chat"]
    again = add("telegram", PARLEY_SOURCES_FILE=str(file))
    assert (again.exit_code, "already" in again.output) == (2, True)
    environ = {"PARLEY_SOURCES_FILE": str(file), "PARLEY_SOURCE_TELEGRAM_SECRETS": "0123456789abcdef"}
    assert "/sources/telegram" in run(environ).stdout


@pytest.mark.parametrize(
    ("provider", "what"),
    [
        ("discord", "it is no one's"),
        ("teams", "teams.jwt.audience is nobody's"),
        ("google-chat", "google-chat.jwt.audience is nobody's"),
        ("freshchat", "a public key is PEM"),
    ],
)
def test_recipe_that_is_not_filled_in_is_a_problem(tmp_path, provider, what):
    file = tmp_path / "sources.toml"
    environ = {"PARLEY_SOURCES_FILE": str(file), "PARLEY_PUBLIC_URL": "https://p.example"}
    assert CliRunner().invoke(sources, ["add", provider], env=environ).exit_code == 0
    result = run(environ)
    assert result.exit_code == 1
    assert what in result.stderr


def test_recipe_is_printed_without_a_file_and_a_misspelt_one_told():
    assert SourcesFile(add("line").output).definitions.keys() == {"line"}
    told = add("telegramm")
    assert (told.exit_code, "did you mean telegram?" in told.output) == (2, True)


def test_file_that_is_wrong_is_left_as_it_is(tmp_path):
    file = tmp_path / "sources.toml"
    file.write_text("[shop]\nschem = 1\n")
    assert add("line", PARLEY_SOURCES_FILE=str(file)).exit_code == 2
    assert file.read_text() == "[shop]\nschem = 1\n"
