"""Channels that could not send are refused when they are read, not with every reply."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipelines.replies.calls import Call, Places
from pipelines.replies.channels import CHANNELS, CHANNELS_FILE, Channels, ChannelsError
from pipelines.replies.provider import Provider

SECRET = "EAAG0123456789"


@pytest.mark.parametrize("token", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\N{NO-BREAK SPACE}", f"{SECRET}…"])
def test_a_token_that_no_header_can_hold_is_told_with_its_channel_and_not_shown(token: str):
    with pytest.raises(ChannelsError, match="'whatsapp/1003' has a token with a space") as told:
        Channels({CHANNELS: json.dumps({"whatsapp/1003": {"token": token}})})

    assert SECRET not in str(told.value)


def test_a_file_with_such_a_token_leaves_what_was_known_before(tmp_path: Path):
    path = tmp_path / "channels.json"
    path.write_text(json.dumps({"whatsapp/1003": {"token": SECRET}}))
    channels = Channels({CHANNELS_FILE: str(path)})

    path.write_text(json.dumps({"whatsapp/1003": {"token": f"{SECRET}-new\n"}}))
    with pytest.raises(ChannelsError):
        channels.refresh()

    assert channels.get("whatsapp", "1003").token == SECRET


def test_an_api_key_of_twilio_calls_for_its_account():
    seen: list[str] = []

    class Twilio(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode())
            self.send_response(201)
            self.end_headers()
            self.wfile.write(b'{"sid": "SM1"}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Twilio)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    token = {"account": "AC1", "token": SECRET}
    channels = Channels({CHANNELS: json.dumps({"twilio/+1": token, "twilio/+2": {**token, "key": "SK1"}})})
    call = Call(f"http://127.0.0.1:{server.server_port}/", b"", "application/x-www-form-urlencoded")
    try:
        with Provider(Places()) as provider:
            for number in ("+1", "+2"):
                provider.send("twilio", call, channels.get("twilio", number))
    finally:
        server.shutdown()
        server.server_close()

    assert seen == [f"AC1:{SECRET}", f"SK1:{SECRET}"]


def test_an_app_secret_of_twilios_is_told():
    twilio = {"token": SECRET, "account": "AC1", "app_secret": "s"}
    with pytest.raises(ChannelsError, match="'twilio/\\*' has an app_secret"):
        Channels({CHANNELS: json.dumps({"twilio/*": twilio})})


def test_a_key_where_there_are_none_is_told():
    with pytest.raises(ChannelsError, match="'whatsapp/1003' has a key"):
        Channels({CHANNELS: json.dumps({"whatsapp/1003": {"token": SECRET, "key": "SK1"}})})
