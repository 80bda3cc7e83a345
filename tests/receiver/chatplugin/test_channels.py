import json
from pathlib import Path

import pytest

from receiver.chatplugin.channels import ChatSettings
from receiver.config import Settings

SECRET = "s" * 32


def read(**variables: str) -> tuple[ChatSettings | None, list[str]]:
    settings = Settings({f"PARLEY_{name}": value for name, value in variables.items()})
    return ChatSettings.from_settings(settings), settings.problems


def test_without_secrets_and_channels_there_is_no_live_chat():
    assert read() == (None, [])


def test_channels_may_come_from_a_file(tmp_path: Path):
    file = tmp_path / "channels.json"
    file.write_text('{"shop": ["https://shop.example"], "app": ["capacitor://localhost"]}')

    chat, problems = read(CHATPLUGIN_SECRETS=SECRET, CHATPLUGIN_CHANNELS_FILE=str(file))

    assert problems == []
    assert chat is not None
    assert chat.channels == {
        "shop": frozenset({"https://shop.example"}),
        "app": frozenset({"capacitor://localhost"}),
    }


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://müller.example", "https://xn--mller-kva.example"),
        ("https://müller.example:8443", "https://xn--mller-kva.example:8443"),
        # As Chromium, Firefox and Safari send them; fass.de may be somebody else's.
        ("https://faß.de", "https://xn--fa-hia.de"),
        ("https://ü.straße.example:8443", "https://xn--tda.xn--strae-oqa.example:8443"),
        ("https://ελλάς.gr", "https://xn--hxarsa0b.gr"),
        ("https://क्\u200dष.example", "https://xn--11b2ezcw70k.example"),
        ("https://日本。jp", "https://xn--wgv71a.jp"),
        ("https://b.c:443", "https://b.c"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://b.c:80", "https://b.c:80"),
        ("capacitor://localhost", "capacitor://localhost"),
        (f"https://{'ü' * 80}.example", f"https://{'ü' * 80}.example"),
    ],
)
def test_origins_are_taken_as_browsers_send_them(written: str, sent: str):
    chat, problems = read(CHATPLUGIN_SECRETS=SECRET, CHATPLUGIN_CHANNELS=json.dumps({"a": [written]}))

    assert problems == []
    assert chat is not None
    assert chat.channels == {"a": frozenset({sent})}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"CHATPLUGIN_SECRETS": SECRET}, "CHATPLUGIN_CHANNELS is not set"),
        ({"CHATPLUGIN_CHANNELS": '{"a": ["https://b.c"]}'}, "CHATPLUGIN_SECRETS is not set"),
        ({"CHATPLUGIN_SECRETS": "short"}, "less than 32 bytes"),
        ({"CHATPLUGIN_CHANNELS": "[]"}, "not a JSON object"),
        ({"CHATPLUGIN_CHANNELS": '{"a": "https://b.c"}'}, "not a JSON object"),
        ({"CHATPLUGIN_CHANNELS": '{"a b": ["https://b.c"]}'}, "no channel id"),
        ({"CHATPLUGIN_CHANNELS": '{"a": []}'}, "has no origin"),
        ({"CHATPLUGIN_CHANNELS": '{"a": ["*"]}'}, "no origin"),
        ({"CHATPLUGIN_CHANNELS": '{"a": ["https://b.c/"]}'}, "no origin"),
        ({"CHATPLUGIN_CHANNELS": '{"a": ["https://*.b.c"]}'}, "no origin"),
        ({"CHATPLUGIN_CHANNELS": '{"a": ["https://B.c"]}'}, "no origin"),
        ({"CHATPLUGIN_CHANNELS_FILE": "missing.json"}, "No such file"),
        ({"CHATPLUGIN_CHANNELS": "{}", "CHATPLUGIN_CHANNELS_FILE": "x"}, "both set"),
        ({"CHATPLUGIN_CHANNELS": '{"a": ["https://b.c"]}', "CHATPLUGIN_DEMO": "z"}, "CHATPLUGIN_DEMO names"),
    ],
)
def test_what_is_wrong_is_told_by_the_variables_name(variables: dict[str, str], named: str):
    _, problems = read(**variables)

    assert any(named in problem for problem in problems), problems
