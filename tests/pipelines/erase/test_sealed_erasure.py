"""Erasures and retention over a sealed archive: as over a plain one, and copies of old segments are of no use."""

import datetime as dt
import os
import shutil
import signal
from pathlib import Path

import pytest
from erased_world import ACTOR, ANN, Erasing, of_everybody
from test_erase import others, without_anns

from pipelines.bigquery.suppressed import KEY
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR
from pipelines.erase import retiring
from pipelines.erase.retention import retain, rules
from pipelines.erase.segments import seal
from pipelines.io import archive_keys
from pipelines.io.archive_segments import Selection, read_segment
from pipelines.reprocess.reconcile import reconcile
from pipelines.reprocess.streamed import MINUTES
from tests.pipelines.erase.test_killed_erasure import PATIENCE_SECONDS, REPLACED, _work
from tests.pipelines.reprocess.killed import _processes
from tests.pipelines.reprocess.reprocess_support import Warehouse, options
from tests.sealed import SECRET, keyring

pytestmark = pytest.mark.thorough


@pytest.fixture
def world(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Erasing:
    """A warehouse in which everybody is, and whose archive is sealed."""
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", SECRET)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", str(tmp_path / "keys"))
    archive_keys._keyring.cache_clear()
    warehouse.received(of_everybody())
    for path in warehouse.archive.rglob("*.avro"):
        assert seal(str(path), keyring(tmp_path / "keys")).events
    return Erasing(warehouse)


def kept(archive: Path, tmp_path: Path) -> list[Path]:
    """Return copies of all segments, as a bucket keeps them."""
    paths = sorted(archive.rglob("*.avro"))
    return [Path(shutil.copy(path, tmp_path / f"copy-{number}.avro")) for number, path in enumerate(paths)]


def anything_of(ids: list[str], paths: list[Path]) -> bool:
    archive_keys._keyring.cache_clear()
    events = (event for path in paths for event in read_segment(str(path), []))
    return any(each.encode() in event.data for event in events for each in ids)


def test_killed_within_a_segment_it_goes_on_and_copies_are_of_no_use(world: Erasing, tmp_path: Path):
    w = world.warehouse
    expected = others(without_anns(world.rows(), world))
    copies = kept(w.archive, tmp_path)
    assert anything_of([ANN], copies)
    planned = world.plan(source=("whatsapp", ANN))
    names = (REST_EMULATOR, GRPC_EMULATOR, MINUTES, KEY, "PARLEY_ARCHIVE_KEY", "PARLEY_ARCHIVE_KEYS")
    environ = {name: os.environ[name] for name in names}

    process = _processes.Process(target=_work, args=(environ, w.target, w.archive, planned.run_id, REPLACED))
    process.start()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    # The new segment is there, and the old one's key yet.
    assert list((tmp_path / "keys" / "retiring").iterdir()) != []

    assert world.apply(planned.run_id).is_done

    assert list((tmp_path / "keys").rglob("retiring/*")) == []
    assert not anything_of([ANN], copies)
    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []
    assert others(without_anns(world.rows(), world)) == expected
    assert retiring.is_all_sealed(str(w.archive))
    everything = reconcile(w.client, w.target, str(w.archive), Selection(), options())
    assert (everything.agrees, everything.damages) == (True, [])


def test_what_was_kept_long_enough_is_in_no_copy_either(world: Erasing, tmp_path: Path):
    w = world.warehouse
    copies = kept(w.archive / "source=whatsapp", tmp_path)
    (rule,) = rules({"PARLEY_RETENTION_DAYS": "whatsapp=1"}, dt.datetime(2026, 6, 1, tzinfo=dt.UTC))

    done = retain(w.client, w.target, str(w.archive), rule, ACTOR, options())

    assert (done.left, done.segments > 0) == (0, True)
    assert not anything_of([ANN], copies)
    assert retiring.is_all_sealed(str(w.archive))
