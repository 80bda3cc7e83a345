"""The examples of docs/adding-a-source.md, as a reader would try them."""

import re
import sys
from pathlib import Path

import pytest
from raw_events import raw_event

from pipelines.core.rows import Contact, Event, Message, Metadata
from pipelines.sources import PARSERS, registry
from pipelines.sources.normalization import normalize

TEXT = (Path(__file__).parents[1] / "docs" / "adding-a-source.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def block(language, part):
    (found,) = [text for name, text in BLOCKS if name == language and part in text]
    return found


@pytest.fixture
def rows(monkeypatch):
    def rows(source, body):
        text = block("toml", "[shop]") + block("toml", "[viber]")
        monkeypatch.setitem(PARSERS, source, registry.parsers(text)[source])
        ledger, *made = normalize(raw_event(body.encode(), source=source))
        assert isinstance(ledger, Event)
        assert ledger.outcome == "normalized"
        return {type(row): row for row in made}

    return rows


def test_own_json(rows):
    made = rows("shop", block("json", '"messages"'))
    assert made[Message].source_message_id == "m-1"
    assert (made[Metadata].key, made[Metadata].subject_id) == ("reaction.emoji", made[Message].message_id)


def test_mapping(rows):
    made = rows("viber", block("json", '"message_token"'))
    assert made[Message].source_message_id == "4912661846655238145"
    assert made[Contact].display_name == "Anna"


def test_code(rows, tmp_path, monkeypatch):
    (tmp_path / "helpdesk_source.py").write_text(block("python", "class HelpDesk"))
    metadata = tmp_path / "helpdesk_source-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: helpdesk-source\nVersion: 1.0\n")
    registered = re.search(r"^helpdesk = \"(.*)\"$", block("toml", "entry-points"), re.MULTILINE)[1]
    (metadata / "entry_points.txt").write_text(f"[parley.sources]\nhelpdesk = {registered}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "helpdesk_source", raising=False)
    note = re.search(r"echo '(.*)' > note.json", block("sh", "note.json"))[1]
    made = rows("helpdesk", note)
    assert made[Message].source_message_id == "n1"
    assert made[Message].sent_at_from == "item"
