"""What is on the disk when the power fails: only what was synced, the entries of folders included.

The disk is watched as the calls go by: what a file or folder held at its last sync is what a failure leaves.
"""

import shutil
from pathlib import Path

import pytest
from receiver_support import events

from receiver.durable import segments
from receiver.durable.segments import Segment, make_folder, recover


class Disk:
    """Notes what each sync makes outlive a failure."""

    def __init__(self) -> None:
        self.entries: dict[Path, set[str]] = {}
        self.sizes: dict[Path, int] = {}

    def sync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self.entries[path] = {entry.name for entry in path.iterdir()}
        else:
            self.sizes[path] = path.stat().st_size

    def has(self, path: Path) -> bool:
        """Whether a failure leaves a file or folder where it is, though perhaps not its content."""
        return path.name in self.entries.get(path.parent, set())


@pytest.fixture
def disk(monkeypatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(segments.os, "fsync", disk.sync)
    monkeypatch.setattr(segments.os, "fdatasync", disk.sync)
    return disk


def test_a_segment_is_there_with_its_events(disk, tmp_path):
    segment = Segment(tmp_path / "a")
    segment.append(events(3))

    assert disk.has(segment.path)
    assert disk.sizes[segment.path] == segment.path.stat().st_size
    segment.close()


def test_every_folder_that_was_made_is_there(disk, tmp_path):
    make_folder(tmp_path / "a" / "b" / "c")

    assert disk.has(tmp_path / "a")
    assert disk.has(tmp_path / "a" / "b")
    assert disk.has(tmp_path / "a" / "b" / "c")


def test_a_closed_segment_has_its_final_name(disk, tmp_path):
    segment = Segment(tmp_path)
    segment.append(events(3))
    closed = segment.close()

    assert closed is not None
    assert disk.entries[tmp_path] == {closed.name}


def test_a_torn_tail_stays_cut(disk, tmp_path):
    segment = Segment(tmp_path)
    segment.append(events(3))
    whole = segment.size
    segment._file.write(b"torn")
    segment._file.close()
    disk.sizes.clear()
    recover(tmp_path)

    (closed,) = tmp_path.iterdir()
    assert disk.sizes[segment.path] == whole
    assert disk.entries[tmp_path] == {closed.name}


def test_a_damaged_segment_is_kept_before_its_whole_blocks_take_its_place(disk, tmp_path, monkeypatch):
    segment = Segment(tmp_path)
    for number in range(3):
        segment.append(events(1, first=number))
    content = bytearray(segment.path.read_bytes())
    content[-100:-60] = bytes(40)
    segment.path.write_bytes(content)
    segment._file.close()
    kept: list[bool] = []
    replace = Path.replace

    def watched(part: Path, path: Path) -> Path:
        kept.append(disk.has(path.with_name(f"{path.name}.corrupt")))
        return replace(part, path)

    monkeypatch.setattr(Path, "replace", watched)
    recover(tmp_path)

    assert kept == [True]
    names = {path.name for path in tmp_path.iterdir()}
    assert disk.entries[tmp_path] == names
    assert any(name.endswith(".corrupt") for name in names)
    (whole,) = (path for path in tmp_path.iterdir() if path.name.endswith(".avro"))
    assert any(size == whole.stat().st_size for size in disk.sizes.values())


def test_a_segment_that_was_written_again_is_there(disk, tmp_path):
    segment = Segment(tmp_path / "a")
    segment.append(events(3))
    shutil.rmtree(tmp_path / "a")
    segment.append(events(1, first=3))

    assert disk.has(segment.path)
    assert disk.sizes[segment.path] == segment.path.stat().st_size
    segment.close()
