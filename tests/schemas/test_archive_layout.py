import os
import shutil

import pytest

from receiver.durable import spool
from receiver.durable.segments import recover
from receiver.durable.uploader import Uploader
from schemas.archive_layout import files_on_disk


@pytest.fixture
def vanishing(tmp_path, monkeypatch):
    """A folder of which one below is removed by another process as soon as its name is known."""
    for name in ("a", "b", "c"):
        (tmp_path / f"source={name}").mkdir()
        (tmp_path / f"source={name}" / "1.avro").write_bytes(b"")
    scandir = os.scandir

    def slow(path="."):
        if str(path).endswith("source=b"):
            shutil.rmtree(path, ignore_errors=True)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", slow)
    return tmp_path


def test_finds_files_while_others_remove_folders(vanishing):
    assert [path.parent.name for path in files_on_disk(vanishing, ".avro")] == ["source=a", "source=c"]


def test_finds_files_by_the_end_of_their_names(tmp_path):
    for name in ("1.avro", "2.avro.open", "3.avro.open.corrupt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in files_on_disk(tmp_path, ".avro", ".avro.open")] == ["1.avro", "2.avro.open"]
    assert len(files_on_disk(tmp_path)) == 3
    assert files_on_disk(tmp_path / "none") == files_on_disk(tmp_path / "1.avro") == []


def test_tells_of_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "scandir", _fail)
    with pytest.raises(OSError, match="Input/output error"):
        files_on_disk(tmp_path)


def test_what_looks_through_a_receivers_disk_outlives_folders_that_go(vanishing):
    assert spool.measure(vanishing).segments == 2
    assert spool.damaged(vanishing) == []
    recover(vanishing)


def test_an_uploader_goes_on_after_a_folder_went_or_could_not_be_read(vanishing, monkeypatch):
    uploader = Uploader(vanishing, "gs://archive")
    monkeypatch.setattr(uploader, "_move", lambda path: None)
    assert uploader.upload()
    monkeypatch.setattr(os, "scandir", _fail)
    assert not uploader.upload()


def _fail(path):
    raise OSError(5, "Input/output error", str(path))
