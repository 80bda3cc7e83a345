"""`parley rates check`: mistakes of a rate card, and messages that no rate fits."""

import pytest
from click.testing import CliRunner
from test_message_costs import GERMANY, rates
from webhooks import pricing, status, tell

from pipelines.cli import main

GOOD = GERMANY.format("utility", "message", 50_000)


@pytest.fixture
def check(analyst, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_PROJECT", analyst.target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", analyst.target.views_dataset.removesuffix("parley"))

    def run(exit_code):
        result = CliRunner().invoke(main, ["rates", "check"])
        assert result.exit_code == exit_code, result.output
        return result.output.splitlines()

    return run


def test_a_rate_card_is_in_order(check, analyst):
    rates(analyst, GOOD, GERMANY.format("marketing", "message", 110_000))
    tell(analyst, status(0, "a", "delivered", **pricing("utility")))

    assert check(0) == ["2 rates: in order"]


def test_each_mistake_is_named(check, analyst):
    rates(
        analyst,
        "('whatsapp', 'up', 'Marketing', '+49', 'piece', -1, 'eur', DATE '2026-02-01', DATE '2026-01-01')",
        GOOD,
        "('whatsapp', NULL, 'utility', '49', 'message', 60000, 'EUR', DATE '2026-02-01', NULL)",
        # For other numbers, or after the other: no contradiction.
        "('whatsapp', NULL, 'utility', '491', 'message', 1, 'EUR', NULL, NULL)",
        "('twilio.sms', NULL, NULL, NULL, 'segment', 1, 'EUR', NULL, DATE '2026-01-31')",
        "('twilio.sms', NULL, NULL, NULL, 'segment', 2, 'EUR', DATE '2026-02-01', NULL)",
    )
    wrong = "  whatsapp up Marketing ++49 by piece from 2026-02-01 to 2026-01-01"

    lines = check(1)
    assert lines.count(wrong) == 7
    at = lines.index("two rates hold for the same on the same day:")
    assert lines[at + 1 : at + 2] == ["  whatsapp * utility +49 by message from * to *, and from 2026-02-01"]
    assert lines[at + 2 :] == ["6 rates"]


def test_messages_without_a_price_are_counted(check, analyst):
    rates(analyst, GOOD)
    tell(analyst, *(status(n, f"m{n}", "delivered", **pricing("marketing")) for n in range(2)))

    assert check(1) == [
        "charged messages have no price:",
        "  2 × whatsapp outbound, category marketing, numbers +49…",
        "1 rates",
    ]
