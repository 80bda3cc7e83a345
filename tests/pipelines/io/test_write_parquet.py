import pytest

from pipelines.core.batches import NormalizedBatch
from pipelines.core.rows import Channel
from pipelines.io import write_parquet
from pipelines.io.write_parquet import _Write, file_name


def batch(*names: str, index: int = 0, part: int = 0) -> NormalizedBatch:
    rows = [Channel(name, "s", name, None, 0, 0, "e", 0, 3) for name in names]
    return NormalizedBatch([], {"channels": rows}, "segment", index, part)


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    seen: list[list[str]] = []
    monkeypatch.setattr(
        write_parquet.arrow,
        "write_parquet",
        lambda table, parts, file, at: seen.append(sorted(path.suffix for path in tmp_path.rglob("*.*"))),
    )
    list(_Write(str(tmp_path)).process(batch("a")))

    # While it is written it has no name that a load would take.
    assert seen == [[".tmp"]]
    assert [path.name for path in tmp_path.rglob("*.*")] == [file_name("segment", 0)]


def test_what_fails_in_the_middle_leaves_no_file_that_would_be_loaded(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(write_parquet.arrow, "write_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        list(_Write(str(tmp_path)).process(batch("a")))
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_bundle_that_is_tried_again_overwrites_what_it_had_written(tmp_path):
    for _ in range(2):
        list(_Write(str(tmp_path)).process(batch("a", "b")))
    (path,) = tmp_path.rglob("*.parquet")
    assert path.stat().st_size > 0


def test_batches_parts_and_origins_have_files_of_their_own():
    names = {
        file_name("a", 0),
        file_name("a", 1),
        file_name("a", 0, 1),
        file_name("a", 1, 1),
        file_name("b", 0),
        file_name("a", 0, 10),
    }
    assert len(names) == 6
    assert file_name("a", 0, 0) == file_name("a", 0)


def test_an_empty_batch_is_no_file(tmp_path):
    assert list(_Write(str(tmp_path)).process(NormalizedBatch([], {}, "segment"))) == []
