"""`parley people`: what is decided holds in the views, and is decided once."""

import json

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.core import ids
from tests.raw_events import raw_event

PHONE, USER_ID = "15550100001", "US.1"
ONE, OTHER = f"whatsapp:{PHONE}", f"whatsapp:{USER_ID}"


def told(number, **message):
    said = {"id": f"wamid.{number}", "timestamp": "1773489600", "type": "text", "text": {"body": "?"}, **message}
    value = {"metadata": {"phone_number_id": "1"}, "messages": [said]}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    return raw_event(body, source="whatsapp", number=number)


@pytest.fixture
def parley(analyst, monkeypatch, tmp_path):
    analyst.tell(told(1, **{"from": PHONE, "from_user_id": USER_ID}), told(2, **{"from": "15550100002"}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_PROJECT", analyst.target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", analyst.target.views_dataset.removesuffix("parley"))

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(main, ["people", *arguments])
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def decisions(analyst):
    """Return all that was ever decided, in its order."""
    sql = f"SELECT decision FROM `{analyst.target.table('alias_decisions')}` ORDER BY decided_at"
    return [row["decision"] for row in analyst.client.query_and_wait(sql)]


def test_a_wrong_alias_is_taken_out_and_put_back_each_once(parley, analyst):
    assert "would decide" in parley("unlink", ONE, OTHER)
    assert decisions(analyst) == []
    assert "decided" in parley("unlink", OTHER, ONE, "--apply", "--reason", "number passed on")
    assert "already so" in parley("unlink", ONE, OTHER, "--apply")
    assert decisions(analyst) == ["different"]
    assert "taken out: links nobody" in parley("show", ONE)
    assert "decided" in parley("withdraw", ONE, OTHER, "--apply")
    assert "already so" in parley("withdraw", ONE, OTHER, "--apply")
    assert decisions(analyst) == ["different", "withdrawn"]
    assert "links nobody" not in parley("show", ONE)


def test_two_contacts_are_linked_and_parted(parley, analyst):
    parley("link", ONE, "whatsapp:15550100002", "--apply", "--reason", "told us so")
    assert decisions(analyst) == ["same"]
    shown = parley("show", ONE)
    assert ids.contact_id("whatsapp", "", "15550100002") in shown
    assert "messages: 2" in shown
    parley("unlink", "whatsapp:15550100002", ONE, "--apply")
    assert "messages: 1" in parley("show", ONE)


def test_a_number_that_was_taken_out_is_put_back(parley, analyst):
    number = f"phone:+{PHONE}"
    assert "decided" in parley("unlink", ONE, number, "--apply")
    assert "taken out: links nobody" in parley("show", ONE)
    assert "decided" in parley("link", ONE, number, "--apply")
    assert "links nobody" not in parley("show", ONE)
    assert decisions(analyst) == ["different", "same"]


def test_what_is_unknown_or_linked_by_nothing_is_refused(parley):
    assert "no contact is" in parley("show", "whatsapp:0", exit_code=1)
    assert "nothing links these two" in parley("unlink", ONE, "whatsapp:15550100002", "--apply", exit_code=1)
    assert "one contact" in parley("link", ONE, ONE, exit_code=2)
