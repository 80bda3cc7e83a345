"""Channels that could not send are refused when they are read, not with every reply."""

import json
from pathlib import Path

import pytest

from pipelines.replies.channels import CHANNELS, CHANNELS_FILE, Channels, ChannelsError

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
