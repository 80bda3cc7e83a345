"""A person gets all that is known of them, and nothing of others."""

import html
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from erased_world import ANN, ANNS_USER_ID, BOB, EVE, of_everybody, profile, text, whatsapp

from pipelines.cli import main
from pipelines.erase.export import Export, as_json, as_page, export
from pipelines.erase.plan import NobodyError, Wanted
from pipelines.local import environment
from pipelines.run import local_stack
from tests.pipelines.reprocess.reprocess_support import Warehouse

pytestmark = pytest.mark.thorough


def of(warehouse: Warehouse, **wanted: object) -> Export:
    return export(warehouse.client, warehouse.target, str(warehouse.archive), Wanted(**wanted))  # type: ignore[arg-type]


def test_all_of_a_person_and_nothing_of_others(warehouse: Warehouse):
    script = "<script>alert(1)</script>"
    events = [*of_everybody(), whatsapp(30, [text(ANN, 30, script)], [profile(ANN, "Ann")])]
    warehouse.received(events)

    found = of(warehouse, source=("whatsapp", ANN))

    written = as_json(found)
    told = json.loads(written)
    mine = [row for row in told["rows"]["messages"] if row["contact_id"] in told["contacts"]]
    assert len(mine) == len(told["rows"]["messages"]) > 0
    stored = warehouse.query("SELECT DISTINCT message_id, contact_id FROM `V.counted_messages`")
    expected = {row["message_id"] for row in stored if row["contact_id"] in told["contacts"]}
    assert {row["message_id"] for row in mine} == expected
    assert ANNS_USER_ID in written
    # Alone in a body she gets all of it, and of a body with others her items.
    assert any(each.get("body") == events[0].data.decode() for each in told["received"])
    (both,) = [each for each in told["received"] if each["event_id"] == events[1].attributes["event_id"]]
    assert "body" not in both
    assert all(item.encode() in events[1].data and BOB not in item for item in both["items"])
    page = as_page(found)
    for form in (written, html.unescape(page)):
        assert "Ann" in form
        for other in (BOB, EVE, "Bob", "Eve"):
            assert other not in form
    assert script not in page
    assert html.escape(script) in page


def test_nobody_is_exported_whom_nobody_knows(warehouse: Warehouse):
    warehouse.archived(of_everybody()[:1])
    with pytest.raises(NobodyError):
        of(warehouse, source=("whatsapp", "4915550009999"))


def test_the_command_writes_what_only_its_user_can_read(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    warehouse.archived(of_everybody())
    monkeypatch.setenv("PARLEY_PROJECT", warehouse.target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", warehouse.target.views_dataset.removesuffix("parley"))
    monkeypatch.setenv("PARLEY_ARCHIVE", str(warehouse.archive))
    folder = tmp_path / "answer"

    done = CliRunner().invoke(
        main, ["export", "--source", "whatsapp", "--source-contact", ANN, "--to", str(folder), "--quiet"]
    )

    assert done.exit_code == 0, done.output
    assert {each.name for each in folder.iterdir()} == {"export.json", "export.html"}
    assert all(each.stat().st_mode & 0o077 == 0 for each in (folder, *folder.iterdir()))
    assert CliRunner().invoke(main, ["export", "--source", "whatsapp", "--to", str(folder)]).exit_code == 2


def test_the_command_finds_archive_and_rows_of_the_stack_that_runs_in_this_folder(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    warehouse.archived(of_everybody())
    stack = {
        "PARLEY_PROJECT": warehouse.target.project,
        "PARLEY_DATASET_PREFIX": warehouse.target.views_dataset.removesuffix("parley"),
        "PARLEY_ARCHIVE": str(warehouse.archive),
    }
    # What the command adopts is undone with the rest when the test ends.
    for name in stack:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    export_ann = ["export", "--source", "whatsapp", "--source-contact", ANN, "--to", "answer", "--quiet"]

    alone = CliRunner().invoke(main, export_ann)
    local_stack.DEFAULT_FOLDER.mkdir()
    environment.save(local_stack.DEFAULT_FOLDER, stack)
    beside_it = CliRunner().invoke(main, export_ann)

    assert alone.exit_code == 2
    assert "PARLEY_ARCHIVE" in alone.output
    assert beside_it.exit_code == 0, beside_it.output
    assert Path("answer/export.html").exists()
