"""Whoever reads an archive reads what is sealed in it as it was received, or says why not."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.bigquery.target import ConfigurationError
from pipelines.core.rows import TABLES
from pipelines.io import archive_keys
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_keys import from_environment
from pipelines.io.archive_segments import Selection, read_segment
from pipelines.io.options import ParleyOptions
from pipelines.run import batch
from schemas.raw_event import RawEvent
from tests.raw_events import text_message, write_segment
from tests.sealed import SECRET, keyring, write_sealed

EVENTS = [text_message(number) for number in range(9)]
OPTIONS = PipelineOptions(runner="FnApiRunner")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of keys that the environment names."""
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", SECRET)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv("PARLEY_ARCHIVE", raising=False)
    archive_keys._keyring.cache_clear()
    return tmp_path / "keys"


def test_sealed_and_plain_events_are_read_alike(tmp_path: Path, keys: Path):
    ring = keyring(keys)
    one, other = ring.new(), ring.new()
    tombstone = RawEvent(b"", {**EVENTS[4].attributes, "erased": "run"})
    mixed = [*map(one.seal, EVENTS[:2]), EVENTS[2], other.seal(EVENTS[3]), tombstone]
    path = write_segment(tmp_path, mixed)
    damages: list[Damage] = []

    assert list(read_segment(str(path), damages)) == [*EVENTS[:4], tombstone]
    assert damages == []


def test_without_settings_it_is_said_which_are_missing(tmp_path: Path, keys: Path, monkeypatch):
    path = write_sealed(tmp_path, EVENTS, keyring(keys).new())
    plain = write_segment(tmp_path / "plain", EVENTS)
    monkeypatch.delenv("PARLEY_ARCHIVE_KEY")
    with pytest.raises(ConfigurationError, match="PARLEY_ARCHIVE_KEY is not set"):
        list(read_segment(str(path), []))
    monkeypatch.delenv("PARLEY_ARCHIVE_KEYS")

    with pytest.raises(ConfigurationError, match="PARLEY_ARCHIVE_KEY and PARLEY_ARCHIVE_KEYS must be set"):
        list(read_segment(str(path), []))

    assert list(read_segment(str(plain), [])) == EVENTS


def test_another_secret_or_another_place_is_no_damage(tmp_path: Path, keys: Path, monkeypatch):
    path = write_sealed(tmp_path, EVENTS, keyring(keys).new())
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", "x" * 40)
    with pytest.raises(ConfigurationError, match="PARLEY_ARCHIVE_KEY does not have the secret"):
        list(read_segment(str(path), []))
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", f"{'x' * 40},{SECRET}")
    assert list(read_segment(str(path), [])) == EVENTS

    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", str(tmp_path / "elsewhere"))
    with pytest.raises(ConfigurationError, match="PARLEY_ARCHIVE_KEYS has no data keys"):
        list(read_segment(str(path), []))


def test_what_nobody_can_read_any_more_is_told_once_for_a_key(tmp_path: Path, keys: Path):
    ring = keyring(keys)
    gone, left = ring.new(), ring.new()
    path = write_segment(tmp_path, [*map(gone.seal, EVENTS[:4]), *map(left.seal, EVENTS[4:])])
    ring.destroy(gone.id)
    damages: list[Damage] = []

    assert list(read_segment(str(path), damages)) == EVENTS[4:]
    (damage,) = damages
    assert damage.error.startswith(f"4 events are sealed with the data key {gone.id}, which was destroyed")


def test_a_damaged_byte_costs_its_event_and_is_told(tmp_path: Path, keys: Path):
    key = keyring(keys).new()
    sealed = [key.seal(each) for each in EVENTS]
    path = write_segment(tmp_path, sealed)
    content = path.read_bytes()
    at = content.index(sealed[3].data) + 50
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    damages: list[Damage] = []

    assert list(read_segment(str(path), damages)) == EVENTS[:3] + EVENTS[4:]
    (damage,) = damages
    assert damage == Damage(
        str(path), 0, len(sealed[3].data), f"event {EVENTS[3].event_id} is not what was sealed"
    )


def test_a_sealed_archive_makes_the_rows_that_a_plain_one_makes(tmp_path: Path, keys: Path):
    ring = keyring(keys)
    for archive in ("plain", "sealed"):
        for number in range(3):
            key, events = ring.new(), EVENTS[3 * number : 3 * number + 3]
            name = f"host-1-{number}-0.avro"
            if archive == "plain":
                write_segment(tmp_path / archive, events, name)
            else:
                write_sealed(tmp_path / archive, events, key, name)

    made = {}
    for archive in ("plain", "sealed"):
        done = batch.run(str(tmp_path / archive), Selection(), str(tmp_path / f"rows-{archive}"), OPTIONS)
        assert (done.events, done.damages) == (9, 0)
        made[archive] = rows(tmp_path / f"rows-{archive}")

    assert made["sealed"] == made["plain"]
    assert len(made["sealed"]["messages"]) == 9


def rows(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table in TABLES:
        paths = (folder / table).rglob("*.parquet")
        each = [row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()]
        found[table] = sorted(json.dumps(row | {"processed_at": 0}, default=str) for row in each)
    return found


def test_a_job_names_the_keys_and_the_secret_by_options(keys: Path, monkeypatch):
    monkeypatch.delenv("PARLEY_ARCHIVE_KEY")
    monkeypatch.delenv("PARLEY_ARCHIVE_KEYS")
    flags = ["--archive_keys=gs://keys/ours", "--archive_key_secret=projects/p/secrets/PARLEY_ARCHIVE_KEY"]
    known = PipelineOptions(flags).view_as(ParleyOptions).keys()

    asked = []
    monkeypatch.setattr(archive_keys, "read_secret", lambda name: asked.append(name) or f"{SECRET},{'o' * 40}")
    assert (known.place, known.secrets) == ("gs://keys/ours", ())
    assert asked == []
    assert known.required() is known.required()
    assert asked == ["projects/p/secrets/PARLEY_ARCHIVE_KEY/versions/latest"]
    with pytest.raises(ConfigurationError, match="--archive_keys is not given"):
        PipelineOptions(flags[1:]).view_as(ParleyOptions).keys()


@pytest.mark.parametrize(
    ("key", "place", "said"),
    [
        ("", "keys", "PARLEY_ARCHIVE_KEY is not set"),
        (SECRET, "", "PARLEY_ARCHIVE_KEYS is not set"),
        ("short", "keys", "32 characters"),
        (f"{SECRET},short", "keys", "32 characters"),
        (SECRET, "archive/keys", "must not lie within the archive"),
        (SECRET, "archive", "must not lie within the archive"),
        (SECRET, "gs://", "names no bucket"),
    ],
)
def test_what_is_configured_wrongly_is_told(tmp_path: Path, keys: Path, monkeypatch, key, place, said):
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", key)
    monkeypatch.setenv(
        "PARLEY_ARCHIVE_KEYS", str(tmp_path / place) if place and not place.startswith("gs") else place
    )
    with pytest.raises(ConfigurationError, match=said):
        from_environment(archive=str(tmp_path / "archive"))
