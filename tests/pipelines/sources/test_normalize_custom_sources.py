import pickle

from raw_events import raw_event

from pipelines.core.batches import EventBatch
from pipelines.normalize import NormalizeEvents
from pipelines.sources import PARSERS

BODY = b'{"messages":[{"source_sender_id":"a","from_contact":true,"content":"x"}]}'


def test_worker_without_the_sources_file_knows_its_sources(tmp_path, monkeypatch):
    path = tmp_path / "sources.toml"
    path.write_text("[shop]")
    monkeypatch.setenv("PARLEY_SOURCES_FILE", str(path))
    sent = pickle.dumps(NormalizeEvents())
    path.unlink()
    del PARSERS["shop"]

    step = pickle.loads(sent)
    step.setup()
    (made,) = step.process(EventBatch([raw_event(BODY, source="shop")], "test"))
    assert [row.source for row in made.rows["messages"]] == ["shop"]
    del PARSERS["shop"]
