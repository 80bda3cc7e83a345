"""Small faults that once went unnoticed: each test here fails for one of them."""

from types import SimpleNamespace

import pytest
from receiver_support import event, events

from receiver.config import MIB, PUBSUB_MAX_BYTES, Config, Settings
from receiver.durable import segments
from receiver.durable.publisher import Publisher, PublishError, published_size
from receiver.durable.segment_log import SegmentLog
from receiver.durable.spool import Spool
from receiver.durable.uploader import Uploader, UploadError, _checksum
from receiver.web import intake
from schemas import raw_event


def test_a_segment_on_which_an_append_failed_is_not_used_again(tmp_path, monkeypatch):
    log = SegmentLog(lambda _: tmp_path, MIB, 60.0)
    log.append(events(1))
    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(OSError, match="I/O"):
            log.append(events(1, first=1))
    log.append(events(1, first=2))
    log.close()

    # What the disk made of a write that failed nobody knows: it must not lie in front of good blocks.
    assert len(list(tmp_path.glob("*.avro"))) == 2


def test_a_spool_is_emptied_by_age_and_not_by_name(tmp_path):
    spool = Spool(tmp_path, "facebook")
    folder = tmp_path / "source=facebook"
    folder.mkdir(parents=True)
    names = ["host-9-1700000000000000003-0", "host-10-1700000000000000002-9", "other-1-1700000000000000001-5"]
    for name in names:
        (folder / f"{name}.avro").touch()
    assert [path.stem for path in spool.closed()] == names[::-1]


@pytest.mark.parametrize("confirmed", [0, 2, 4])
def test_a_publish_that_confirms_another_number_is_none(confirmed):
    publisher = Publisher("project", "raw-")
    publisher._call = lambda *_, **__: SimpleNamespace(message_ids=["id"] * confirmed)
    with pytest.raises(PublishError, match=f"{confirmed} of 3"):
        publisher.publish("facebook", events(3), 1.0)


def test_an_object_of_the_same_size_and_other_bytes_is_not_the_segment(tmp_path, monkeypatch):
    path = tmp_path / "a.avro"
    path.write_bytes(b"segment")
    with path.open("rb") as file:
        checksum, size = _checksum(file)
    blob = SimpleNamespace(
        crc32c=checksum, size=size, upload_from_file=lambda *_, **__: None, reload=lambda **_: None
    )
    uploader = Uploader(tmp_path, "gs://bucket/prefix")
    monkeypatch.setattr(uploader, "_bucket", lambda: SimpleNamespace(blob=lambda _: blob))
    with path.open("rb") as file:
        uploader._create("a.avro", file)
        blob.crc32c = "AAAAAA=="
        with pytest.raises(UploadError):
            uploader._create("a.avro", file)
        blob.crc32c, blob.size = checksum, size + 1
        with pytest.raises(UploadError):
            uploader._create("a.avro", file)
    assert path.exists()


def test_the_longest_event_that_is_taken_fits_into_a_request():
    settings = Settings(
        {
            "PARLEY_PROJECT": "p",
            "PARLEY_ARCHIVE": "none",
            "PARLEY_DATA_DIR": "/d",
            "PARLEY_MAX_BODY_BYTES": "9000001",
        }
    )
    Config.from_settings(settings)
    assert len(settings.problems) == 1
    # All attributes that Pub/Sub takes, as long as it takes them.
    largest = event(size=9_000_000)
    for number in range(100):
        largest.attributes[f"{number:0256}"] = "x" * intake.MAX_VALUE_BYTES
    assert published_size(largest) <= PUBSUB_MAX_BYTES
    assert len(list(zip(raw_event.query_names(), range(32), strict=False))) == intake.MAX_QUERY_PARTS
