"""What a receiver archives is sealed when it is acknowledged; what it publishes and spools is not."""

from pathlib import Path

import pytest
from receiver_support import PROJECT, archived, event, events, wait_until

from receiver.config import Config
from receiver.durable import committer
from receiver.durable.committer import Committers, UnavailableError
from receiver.durable.envelope import KeysError, LostKeyError, Wrapping
from receiver.durable.keyring import Keyring, named_in
from receiver.durable.segments import Segment, recover
from receiver.replies.archive_keys import keyring_of
from receiver.replies.store import FolderStore
from schemas.raw_event import RawEvent

SECRET = "a secret of tests, as long as it must be"
FOLDER = "source=facebook/date=2026-03-01/hour=10"
NAMED = RawEvent(b'{"text": "hello Ann"}', {**event(1).attributes, "header.x-name": "Ann", "query": "who=Ann"})


@pytest.fixture
def make(tmp_path, bus):
    """Make committers of a sealed archive whose configuration has some settings changed."""
    made = []

    def make(**settings) -> Committers:
        config = configured(tmp_path, **settings)
        made.append(Committers(config, keyring_of(config)))
        return made[-1]

    yield make
    bus.faults.clear()
    for committers in made:
        committers.close()


def configured(tmp_path: Path, **settings) -> Config:
    defaults = {"archive": str(tmp_path / "archive"), "data_dir": tmp_path / "data", "publish_seconds": 0.5}
    sealed = {"archive_key": (SECRET,), "archive_keys": str(tmp_path / "keys")}
    return Config(project=PROJECT, **(defaults | sealed | settings))


def keyring(tmp_path: Path, local: Path | None = None) -> Keyring:
    root = str(tmp_path / "keys")
    return Keyring(Wrapping([SECRET]), FolderStore(Path(root)), root, local)


def dead(tmp_path: Path, *groups: list[RawEvent], seal=None) -> Path:
    """Leave a segment as a process that was killed does."""
    segment = Segment(tmp_path / "archive" / FOLDER, seal)
    for group in groups:
        segment.append(group)
    segment._file.close()
    return segment.path


def test_no_byte_of_the_archive_shows_what_was_received(make, bus, tmp_path):
    make().commit(NAMED)

    (path,) = (tmp_path / "archive").rglob("*.open")
    assert b"event-000001" in path.read_bytes()
    assert b"Ann" not in path.read_bytes()
    (sealed,) = archived(tmp_path / "archive", open_too=True)
    assert keyring(tmp_path).open(sealed) == NAMED
    assert bus.published() == [NAMED]


def test_each_segment_of_each_process_has_a_key_of_its_own(make, tmp_path):
    one, other = make(segment_bytes=3000), make()
    for each in events(6, size=1000):
        one.commit(each)
    other.commit(event(9))

    paths = list((tmp_path / "archive").rglob("*.avro*"))
    keys = []
    for path in paths:
        with path.open("rb") as file:
            keys.append(named_in(file))
    assert len(paths) > 2
    assert [len(each) for each in keys] == [1] * len(paths)
    assert len(set().union(*keys)) == len(paths)
    opened = map(keyring(tmp_path).open, archived(tmp_path / "archive", open_too=True))
    assert {each.event_id for each in opened} == {each.event_id for each in [*events(6), event(9)]}


def test_nothing_is_acknowledged_whose_key_is_not_durable(make, tmp_path):
    (tmp_path / "keys").write_text("no folder")
    committers = make()

    with pytest.raises(UnavailableError, match="archive not writable"):
        committers.commit(event(1))

    assert list((tmp_path / "archive").rglob("*.avro*")) == []
    (tmp_path / "keys").unlink()
    committers.commit(event(1))


def test_what_is_refused_leaves_no_keys_behind(make, tmp_path):
    (tmp_path / "archive").write_text("no folder")
    committers = make()

    for _ in range(3):
        with pytest.raises(UnavailableError, match="archive not writable"):
            committers.commit(event(1))

    assert not (tmp_path / "keys").exists()
    (tmp_path / "archive").unlink()
    committers.commit(NAMED)
    assert len(list((tmp_path / "keys" / "data").iterdir())) == 1
    (sealed,) = archived(tmp_path / "archive", open_too=True)
    assert keyring(tmp_path).open(sealed) == NAMED


def test_a_key_that_could_not_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    keys = keyring(tmp_path, tmp_path / "local")
    keys.new()
    (kept,) = (tmp_path / "local").iterdir()
    monkeypatch.setattr("receiver.durable.keyring.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        keys.new()

    assert list((tmp_path / "local").iterdir()) == [kept]


def test_a_bucket_of_keys_is_not_asked_before_an_event_is_acknowledged(make, tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    committers = make(archive="gs://archive/raw", archive_keys="gs://keys")

    committers.commit(event(1))

    (path,) = (tmp_path / "data" / "archive").rglob("*.open")
    with path.open("rb") as file:
        (key_id,) = named_in(file)
    assert [each.name for each in (tmp_path / "data" / "keys").iterdir()] == [key_id]


def test_what_a_dead_process_may_not_have_published_is_published_as_it_was_received(make, bus, tmp_path):
    path = dead(tmp_path, [event(0)], [NAMED, event(2)], seal=keyring(tmp_path).new().seal)

    make().start()

    wait_until(lambda: len(bus.published()) == 2)
    assert bus.published() == [NAMED, event(2)]
    wait_until(lambda: not path.exists())
    assert b"Ann" not in path.with_name(path.name.removesuffix(".open")).read_bytes()


def test_without_its_key_a_segment_of_a_dead_process_stays_for_later(tmp_path, monkeypatch):
    path = dead(tmp_path, [NAMED], seal=keyring(tmp_path).new().seal)
    kept = []
    without = Committers(configured(tmp_path, archive_key=(), archive_keys=""))

    with pytest.raises(KeysError, match=r"PARLEY_ARCHIVE_KEY and PARLEY_ARCHIVE_KEYS"):
        recover(tmp_path / "archive", kept.append, without._unseal)
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    with_keys = Committers(configured(tmp_path), keyring(tmp_path))
    with pytest.raises(OSError, match="PARLEY_ARCHIVE_KEYS has no data keys"):
        recover(tmp_path / "archive", kept.append, with_keys._unseal)
    assert (kept, path.exists()) == ([], True)

    (tmp_path / "elsewhere").rename(tmp_path / "keys")
    recover(tmp_path / "archive", kept.append, with_keys._unseal)
    assert (kept, path.exists()) == ([[NAMED]], False)


def test_of_a_damaged_last_block_the_other_events_are_published(tmp_path, caplog):
    path = dead(tmp_path, [event(1), event(2)], seal=keyring(tmp_path).new().seal)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    kept = []

    recover(tmp_path / "archive", kept.append, Committers(configured(tmp_path), keyring(tmp_path))._unseal)

    assert kept == [[event(1)]]
    assert "cannot be read" in caplog.text


def test_a_key_that_is_destroyed_leaves_no_second_name(tmp_path):
    keys = keyring(tmp_path)
    key = keys.new()
    (wrapped,) = (tmp_path / "keys" / "data").iterdir()
    left = tmp_path / "keys" / "parts" / "1-2-3"
    # As a power failure may leave it, that forgets the second of two changes of a folder.
    left.hardlink_to(wrapped)
    other = keys.new()
    assert keys.open(key.seal(event(1))) == event(1)

    keys.destroy(key.id)

    assert not left.exists()
    with pytest.raises(LostKeyError, match="was destroyed"):
        keys.open(key.seal(event(1)))
    assert keys.open(other.seal(event(1))) == event(1)


def test_when_the_switch_is_off_nothing_is_sealed(tmp_path, bus):
    config = configured(tmp_path, archive_key=(), archive_keys="")
    assert keyring_of(config) is None
    committers = committer.Committers(config, keyring_of(config))
    committers.commit(NAMED)
    assert archived(tmp_path / "archive", open_too=True) == [NAMED]
    committers.close()
