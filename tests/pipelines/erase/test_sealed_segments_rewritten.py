"""Once a sealed segment is rewritten, nobody reads a copy of the old one, wherever it is killed on the way."""

import contextlib
import importlib
import shutil
from pathlib import Path

import pytest

from pipelines.core.spellings import Spellings
from pipelines.erase import retiring, segments
from pipelines.erase.segments import Rewritten, rewrite, seal
from pipelines.erase.stores import names_in
from pipelines.io import archive_keys
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_segments import read_sealed, read_segment
from receiver.durable.keyring import Keyring
from schemas.raw_event import DATA_KEY, RawEvent
from tests.raw_events import text_message, write_segment
from tests.sealed import SECRET, keyring, write_sealed

EVENTS = [text_message(number) for number in range(9)]


class KilledError(BaseException):
    """Ends a process without letting it clean up."""


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", SECRET)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", str(tmp_path / "keys"))
    for name in ("PARLEY_ARCHIVE", "PARLEY_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    archive_keys._keyring.cache_clear()
    return keyring(tmp_path / "keys")


def without_third(event: RawEvent) -> RawEvent | None:
    if event.event_id != EVENTS[3].event_id or not event.data:
        return None
    return RawEvent(b"", {**event.attributes, "erased": "run"})


LEFT = [without_third(each) or each for each in EVENTS]


def readable(path: Path) -> list[RawEvent]:
    """Return the events of a segment, as a process reads them that knows no key yet."""
    archive_keys._keyring.cache_clear()
    return list(read_segment(str(path), []))


def key_ids(path: Path) -> set[str]:
    return {each.attributes[DATA_KEY] for each in read_sealed(str(path), []) if DATA_KEY in each.attributes}


def stored(tmp_path: Path) -> tuple[set[str], set[str]]:
    """Return which keys there are, and which are about to go."""
    return tuple({path.name for path in (tmp_path / "keys" / folder).glob("*")} for folder in ("data", "retiring"))


def copied(path: Path, tmp_path: Path) -> Path:
    """Return a copy as a bucket keeps it of what was replaced."""
    return Path(shutil.copy(path, tmp_path / "a copy.avro"))


def test_a_copy_of_the_old_segment_is_of_no_use_and_others_events_are_the_same(tmp_path: Path, keys: Keyring):
    old = keys.new()
    path = write_sealed(tmp_path / "archive", EVENTS, old)
    other = write_sealed(tmp_path / "archive", EVENTS[:2], keys.new(), "host-2-0-0.avro")
    copy = copied(path, tmp_path)
    assert readable(copy) == EVENTS

    assert rewrite(str(path), without_third, keys=keys).events == 1

    damages: list[Damage] = []
    assert readable(copy) == []
    assert list(read_segment(str(copy), damages)) == []
    assert "was destroyed" in damages[0].error
    assert readable(path) == LEFT
    assert readable(other) == EVENTS[:2]
    assert (len(key_ids(path)), old.id in key_ids(path)) == (1, False)
    assert stored(tmp_path) == (key_ids(path) | key_ids(other), set())
    assert b"text 3" not in b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())


def test_where_nothing_changes_the_key_stays(tmp_path: Path, keys: Keyring):
    path = write_sealed(tmp_path / "archive", EVENTS, keys.new())
    before = path.read_bytes(), stored(tmp_path)

    assert rewrite(str(path), lambda _: None, keys=keys) == Rewritten()

    assert (path.read_bytes(), stored(tmp_path)) == before


def test_each_event_is_asked_about_once(tmp_path: Path, keys: Keyring):
    path = write_sealed(tmp_path / "archive", EVENTS, keys.new())
    asked = []
    rewrite(str(path), lambda event: asked.append(event.event_id) or without_third(event), keys=keys)
    assert asked == [each.event_id for each in EVENTS]


def test_a_plain_segment_is_sealed_when_it_is_rewritten_and_the_day_is_noted(tmp_path: Path, keys: Keyring):
    path = write_segment(tmp_path / "archive", EVENTS)
    assert retiring.last_plain(keys) is None

    assert rewrite(str(path), without_third, keys=keys).events == 1

    assert readable(path) == LEFT
    assert b"text 1" not in path.read_bytes()
    assert retiring.last_plain(keys) is not None
    assert retiring.is_all_sealed(str(tmp_path / "archive"))


def test_without_keys_a_sealed_segment_is_left_alone(tmp_path: Path, keys: Keyring):
    path = write_sealed(tmp_path / "archive", EVENTS, keys.new())
    before = path.read_bytes()
    with pytest.raises(OSError, match="PARLEY_ARCHIVE_KEY and PARLEY_ARCHIVE_KEYS"):
        rewrite(str(path), without_third)
    assert path.read_bytes() == before


def test_what_nobody_can_read_any_more_stays_and_is_told(tmp_path: Path, keys: Keyring):
    key = keys.new()
    path = write_sealed(tmp_path / "archive", EVENTS, key)
    keys.destroy(key.id)
    before = path.read_bytes()

    done = rewrite(str(path), without_third, keys=keys)

    assert "was destroyed" in done.damage
    assert (path.read_bytes(), stored(tmp_path)) == (before, (set(), set()))


STEPS = ["new key", "before", "noted", "in place", "replaced", "key removed", "destroyed"]


def kill_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process that rewrites die right after a step."""

    def dying(function):
        def die(*given, **named):
            function(*given, **named)
            raise KilledError

        return die

    match step:
        case "new key":
            monkeypatch.setattr(Keyring, "new", dying(Keyring.new))
        case "noted":
            monkeypatch.setattr(retiring, "note", dying(retiring.note))
        case "in place":
            monkeypatch.setattr(Path, "replace", dying(Path.replace))
        case "replaced":
            monkeypatch.setattr(segments, "sync_folder", dying(segments.sync_folder))
        case "key removed":
            monkeypatch.setattr(Keyring, "destroy", dying(Keyring.destroy))
        case "destroyed":
            monkeypatch.setattr(retiring, "destroy", dying(retiring.destroy))


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_it_is_finished_by_whoever_comes_next(
    tmp_path: Path, keys: Keyring, monkeypatch, step
):
    path = write_sealed(tmp_path / "archive", EVENTS, keys.new())
    copy = copied(path, tmp_path)
    (old,) = key_ids(path)

    def die_before() -> None:
        if step == "before":
            raise KilledError

    with monkeypatch.context() as patch, contextlib.suppress(KilledError):
        kill_at(step, patch)
        rewrite(str(path), without_third, die_before, keys)
        pytest.fail("it was not killed")
    # Whatever has happened, everything of the others is there.
    assert [each for each in readable(path) if each.event_id != EVENTS[3].event_id] == EVENTS[:3] + EVENTS[4:]

    retiring.finish(keys, str(tmp_path / "archive"))
    assert [each for each in readable(path) if each.event_id != EVENTS[3].event_id] == EVENTS[:3] + EVENTS[4:]
    rewrite(str(path), without_third, keys=keys)

    assert readable(path) == LEFT
    assert readable(copy) == []
    assert old not in stored(tmp_path)[0]
    assert stored(tmp_path)[1] == set()


def test_a_key_that_its_segment_still_has_is_never_destroyed(tmp_path: Path, keys: Keyring):
    archive, key = str(tmp_path / "archive"), keys.new()
    path = write_sealed(tmp_path / "archive", EVENTS, key)
    retiring.note(keys, key.id, str(path))

    assert retiring.finish(keys, archive) == 0
    # Nor one whose segment is nowhere, or cannot be read.
    moved = path.rename(tmp_path / "elsewhere.avro")
    assert retiring.finish(keys, archive) == 0
    # What has it may be what cannot be read.
    other = keys.new()
    write_segment(tmp_path / "archive", [*map(other.seal, EVENTS[:4]), *map(key.seal, EVENTS[4:6])])
    path.write_bytes(path.read_bytes()[:-100])
    assert key.id not in key_ids(path)
    assert retiring.finish(keys, archive) == 0
    # It was uploaded meanwhile from a receiver's disk.
    path.unlink()
    moved.rename(path)
    retiring.note(keys, key.id, f"/gone/archive/{path.relative_to(tmp_path / 'archive')}")
    assert retiring.finish(keys, archive) == 0
    assert readable(path) == EVENTS


def test_a_sealed_segment_on_a_disk_is_searched_by_what_it_says(
    tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch
):
    path = write_sealed(tmp_path / "data" / "archive", EVENTS, keys.new())
    assert b"contact-3" not in path.read_bytes()
    assert names_in(Spellings(["contact-3"]), path)
    assert names_in(Spellings(["x-hub-signature-256"]), path)
    assert not names_in(Spellings(["contact-8"]), path)
    assert names_in(Spellings(["contact-3"]), write_segment(tmp_path / "plain", EVENTS))

    # On a receiver's disk that is where `verify` looks for it, too.
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    verify = importlib.import_module("pipelines.erase.verify")
    (disk,) = verify._disks("gs://elsewhere", Spellings(["contact-3"]))
    assert (disk.place, disk.hits) == ("disk", 1)


def test_what_is_plain_is_sealed_when_asked_for_and_the_rest_stays(tmp_path: Path, keys: Keyring):
    plain = write_segment(tmp_path / "archive", EVENTS[:4])
    sealed = write_sealed(tmp_path / "archive", EVENTS[4:], keys.new(), "host-2-0-0.avro")
    before = sealed.read_bytes()
    assert not retiring.is_all_sealed(str(tmp_path / "archive"))

    assert seal(str(plain), keys).events == 4
    assert seal(str(sealed), keys) == Rewritten()
    assert seal(str(plain), keys) == Rewritten()

    assert retiring.is_all_sealed(str(tmp_path / "archive"))
    assert (readable(plain), sealed.read_bytes()) == (EVENTS[:4], before)
