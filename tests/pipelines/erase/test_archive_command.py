"""`parley archive encrypt` seals what is plain; said again, it finds nothing to do."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.erase import retiring
from pipelines.io import archive_keys
from pipelines.io.archive_segments import read_segment
from tests.raw_events import text_message, write_segment
from tests.sealed import SECRET

EVENTS = [text_message(number) for number in range(6)]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", SECRET)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", str(tmp_path / "keys"))
    archive_keys._keyring.cache_clear()
    write_segment(tmp_path / "archive", EVENTS[:4])
    write_segment(tmp_path / "archive", EVENTS[4:], "host-2-0-0.avro")
    return tmp_path / "archive"


def encrypt(archive: Path):
    return CliRunner().invoke(main, ["archive", "encrypt", "--archive", str(archive), "--quiet"])


def test_what_is_plain_is_sealed_once(archive: Path):
    done = encrypt(archive)
    assert (done.exit_code, done.output.startswith("6 events sealed, in 2 segments of ")) == (0, True)

    assert retiring.is_all_sealed(str(archive))
    found = [each for path in sorted(archive.rglob("*.avro")) for each in read_segment(str(path), [])]
    assert found == EVENTS
    assert "0 events sealed, in 0 segments" in encrypt(archive).output


def test_what_is_being_written_or_damaged_is_left_and_told(archive: Path):
    one, other = sorted(archive.rglob("*.avro"))
    one.rename(f"{one}.open")
    other.write_bytes(other.read_bytes()[:-50])

    done = encrypt(archive)

    assert done.exit_code == 6
    assert f"cannot be read, and stays: {other}" in done.output
    assert "2 segments are left" in done.output


def test_without_keys_nothing_is_done(archive: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PARLEY_ARCHIVE_KEY")
    monkeypatch.delenv("PARLEY_ARCHIVE_KEYS")

    done = encrypt(archive)

    assert done.exit_code == 1
    assert "PARLEY_ARCHIVE_KEY and PARLEY_ARCHIVE_KEYS are not set" in done.output
    assert not retiring.is_all_sealed(str(archive))
