"""Copies of a sealed archive count no days, but only where that is so: of all of it, long enough, keys and all."""

import datetime as dt
from pathlib import Path

import pytest

from pipelines.erase import copies, retiring
from pipelines.erase.copies import Copy, last_day
from pipelines.io import archive_keys
from receiver.durable.keyring import Keyring
from tests.sealed import SECRET, keyring

KEPT = [Copy("soft deletion of archive", 7.0, "checked"), Copy("old versions in archive", 30.0, "checked")]
GONE = [Copy("soft deletion of keys", 0.0, "checked")]
ARCHIVE = "gs://archive/raw"


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", SECRET)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", str(tmp_path / "keys"))
    monkeypatch.setattr(retiring, "is_all_sealed", lambda archive: archive == ARCHIVE)
    monkeypatch.setattr(copies, "_has_others", lambda _: False)
    archive_keys._keyring.cache_clear()
    return keyring(tmp_path / "keys")


def days(found: list[Copy]) -> list[float | None]:
    return [each.days for each in found]


def test_nothing_readable_is_left_of_what_was_always_sealed(keys: Keyring):
    found = copies._sealed(ARCHIVE, KEPT)

    assert days(found) == [0, 0]
    assert all("sealed" in each.what and each.how == "assumed" for each in found)
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assert last_day(found, now) < last_day(KEPT, now)


def test_without_keys_all_is_as_it_was(keys: Keyring, monkeypatch):
    monkeypatch.delenv("PARLEY_ARCHIVE_KEY")
    monkeypatch.delenv("PARLEY_ARCHIVE_KEYS")
    assert copies._sealed(ARCHIVE, KEPT) == KEPT


def test_while_anything_is_plain_copies_count(keys: Keyring, monkeypatch):
    monkeypatch.setattr(retiring, "is_all_sealed", lambda _: False)
    found = copies._sealed(ARCHIVE, KEPT)
    assert days(found) == [7, 30]
    assert "not all" in found[0].what


@pytest.mark.parametrize(("ago", "expected"), [(0, [7, 30]), (30, [7, 30]), (32, [0, 0])])
def test_copies_from_before_it_was_sealed_count_as_long_as_they_are_kept(keys: Keyring, ago: int, expected):
    day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=ago)
    keys.store.create(f"plain/{day.isoformat()}", b"")
    keys.store.create("plain/2020-01-01", b"")
    assert days(copies._sealed(ARCHIVE, KEPT)) == expected


def test_while_a_key_is_yet_to_be_destroyed_copies_count(keys: Keyring):
    retiring.note(keys, "0" * 32, "/archive/one.avro")
    found = copies._sealed(ARCHIVE, KEPT)
    assert days(found) == [7, 30]
    assert "yet to be destroyed" in found[0].what


def test_old_versions_that_nothing_deletes_stay_what_they_were(keys: Keyring):
    kept = [Copy("old versions in archive", None, "checked")]
    assert days(copies._sealed(ARCHIVE, kept)) == [0]
    keys.store.create("plain/2020-01-01", b"")
    assert days(copies._sealed(ARCHIVE, kept)) == [None]


def test_what_lies_beside_the_events_counts(keys: Keyring, monkeypatch):
    monkeypatch.setattr(copies, "_has_others", lambda _: True)
    found = copies._sealed(ARCHIVE, KEPT)
    assert days(found) == [7, 30, 0, 0]
    assert "live chat" in found[0].what


@pytest.mark.parametrize(("kept_of_keys", "expected"), [(0.0, [0, 0]), (7.0, [7, 30, 7])])
def test_the_bucket_of_keys_is_asked_whether_it_keeps_what_is_destroyed(
    keys: Keyring, monkeypatch, kept_of_keys: float, expected
):
    monkeypatch.setattr(archive_keys, "open_store", lambda _: keys.store)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", "gs://keys/ours")
    asked = []
    monkeypatch.setattr(
        copies,
        "_bucket",
        lambda name: asked.append(name) or [Copy(f"soft deletion of {name}", kept_of_keys, "checked")],
    )
    assert days(copies._sealed(ARCHIVE, KEPT)) == expected
    assert asked == ["keys"]
