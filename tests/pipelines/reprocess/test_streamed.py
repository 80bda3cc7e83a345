"""For how long what deletes leaves alone what live has just stored."""

import datetime as dt

import pytest

from pipelines.bigquery.target import REST_EMULATOR, ConfigurationError
from pipelines.reprocess import streamed


@pytest.mark.parametrize(
    ("text", "emulator", "minutes"),
    [("", "", 30), ("30", "", 30), ("45", "", 45), ("0", "http://there", 0), ("", "http://there", 30)],
)
def test_how_long_to_wait_is_a_setting(text: str, emulator: str, minutes: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(streamed.MINUTES, text)
    monkeypatch.setenv(REST_EMULATOR, emulator)

    assert streamed.buffered_for() == dt.timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["0", "29", "-1", "1.5", "soon", "²", "9" * 30])
def test_googles_wait_is_not_shortened(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(streamed.MINUTES, text)
    monkeypatch.delenv(REST_EMULATOR, raising=False)

    with pytest.raises(ConfigurationError, match=streamed.MINUTES):
        streamed.buffered_for()
