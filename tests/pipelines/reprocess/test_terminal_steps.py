"""The bar of a long command: it moves, and needs no thread, beside which no process could be forked."""

import threading

import pytest

from pipelines.reprocess import terminal


def test_the_bar_is_drawn_by_the_command_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    before = threading.active_count()
    drawn: list[str] = []

    with terminal.steps(quiet=False) as steps:
        steps.progress("reading", 1, 4, "events")
        drawn.append(capsys.readouterr().err)
        steps.progress("reading", 4, 4, "events")
        drawn.append(capsys.readouterr().err)
        assert threading.active_count() == before

    assert ["25%" in text for text in drawn] == [True, False]
    assert "100%" in drawn[1]
