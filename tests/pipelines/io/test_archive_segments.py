"""The archive is read whole: the right segments, and every event of a damaged one that can be saved."""

import datetime as dt
from pathlib import Path

import pytest

from pipelines.io import archive_segments
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_segments import Selection, find_groups, find_segments, origin, read_segment
from tests.raw_events import NOON, raw_event, text_message, write_segment

HOUR = dt.timedelta(hours=1)


def ids(events):
    return [event.event_id for event in events]


def test_an_event_comes_back_as_it_was_written(tmp_path: Path):
    event = raw_event(b'{"a": "\\ud83d\xff\x00"}', number=5)
    path = write_segment(tmp_path, [event])

    assert list(read_segment(str(path), [])) == [event]


def test_segments_are_found_by_source_and_hour(tmp_path: Path):
    early = write_segment(tmp_path, [text_message(1, NOON)])
    write_segment(tmp_path, [text_message(2, NOON + HOUR)])
    write_segment(tmp_path, [raw_event(b"a=1", source="twilio")])

    found = find_segments(str(tmp_path), Selection(NOON, NOON + HOUR, ("facebook",)))

    assert found == [str(early)]


def test_a_range_that_begins_within_an_hour_includes_its_segment(tmp_path: Path):
    path = write_segment(tmp_path, [text_message(1, NOON + HOUR / 2)])

    assert find_segments(str(tmp_path), Selection(NOON + HOUR / 4)) == [str(path)]


def test_an_export_of_pubsub_without_our_folders_is_found_whatever_the_range(tmp_path: Path):
    path = write_segment(tmp_path, [text_message(1)]).rename(tmp_path / "export_2026-03-14T12:00_abc.avro")

    assert find_segments(str(tmp_path), Selection(NOON, NOON + HOUR, ("facebook",))) == [str(path)]


def test_an_archive_that_does_not_exist_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no archive at"):
        find_segments(str(tmp_path / "nowhere"), Selection())


def test_an_empty_archive_has_no_segments(tmp_path: Path):
    assert find_segments(str(tmp_path), Selection()) == []


@pytest.mark.parametrize(
    ("start", "end", "sources", "expected"),
    [
        (NOON, None, (), True),
        (NOON + dt.timedelta(microseconds=1), None, (), False),
        (None, NOON, (), False),
        (None, NOON + dt.timedelta(microseconds=1), (), True),
        (None, None, ("twilio",), False),
        (None, None, ("twilio", "facebook"), True),
    ],
)
def test_a_selection_is_a_half_open_range_of_some_sources(start, end, sources, expected):
    assert Selection(start, end, sources).has(text_message(1)) is expected


def test_an_event_that_does_not_say_when_it_was_received_is_never_left_out():
    event = raw_event(b"{}")
    del event.attributes["received_at"]

    assert Selection(NOON, NOON).has(event)


def test_a_torn_tail_of_a_segment_being_written_is_no_damage(tmp_path: Path):
    events = [text_message(n) for n in range(4)]
    path = write_segment(tmp_path, events, "host-1-0-0.avro.open")
    path.write_bytes(path.read_bytes()[:-20])
    damages: list[Damage] = []

    assert ids(read_segment(str(path), damages)) == ids(events[:2])
    assert damages == []


def test_a_torn_tail_of_a_closed_segment_is_told_with_its_place(tmp_path: Path):
    events = [text_message(n) for n in range(4)]
    path = write_segment(tmp_path, events)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    damages: list[Damage] = []

    assert ids(read_segment(str(path), damages)) == ids(events[:2])
    assert [(d.path, d.offset + d.size) for d in damages] == [(str(path), len(whole) - 20)]


def test_blocks_after_a_corrupt_one_are_read_and_none_twice(tmp_path: Path):
    events = [text_message(n) for n in range(10)]
    path = write_segment(tmp_path, events)
    content = bytearray(path.read_bytes())
    place = content.index(b'"m_4"') - 300
    content[place : place + 200] = b"\xff" * 200
    path.write_bytes(content)
    damages: list[Damage] = []

    assert ids(read_segment(str(path), damages)) == ids(events[:4] + events[6:])
    assert len(damages) == 1
    assert damages[0].offset <= place < damages[0].offset + damages[0].size


def test_a_file_that_is_not_avro_is_damage(tmp_path: Path):
    path = tmp_path / "x.avro"
    path.write_bytes(b"not avro at all")
    damages: list[Damage] = []

    assert list(read_segment(str(path), damages)) == []
    assert damages[0].offset == 0


def test_a_segment_that_was_closed_since_it_was_listed_is_read_under_its_new_name(tmp_path: Path):
    path = write_segment(tmp_path, [text_message(1)])

    assert ids(read_segment(f"{path}.open", [])) == ids([text_message(1)])


def test_the_origin_of_a_segment_is_the_same_open_or_closed_and_under_any_root(tmp_path: Path):
    path = write_segment(tmp_path, [text_message(1)])

    assert origin(f"{path}.open") == origin(str(path))
    assert origin(str(path)) == "source=facebook/date=2026-03-14/hour=12/host-1-0-0.avro"


def test_small_neighbours_are_read_together_and_a_large_segment_alone(tmp_path: Path, monkeypatch):
    paths = [write_segment(tmp_path, [text_message(n)], f"{n}.avro") for n in range(5)]
    paths.append(write_segment(tmp_path, [text_message(n) for n in range(100)], "5.avro"))
    size = paths[0].stat().st_size
    monkeypatch.setattr(archive_segments, "GROUP_BYTES", 3 * size + 2)

    groups = find_groups(str(tmp_path), Selection())

    assert [len(group.segments) for group in groups] == [3, 2, 1]
    assert [path for group in groups for path in group.segments] == [str(path) for path in paths]
    assert [group.size for group in groups] == [3 * size, 2 * size, paths[5].stat().st_size]
    assert [group.origin for group in groups] == [origin(str(paths[first])) for first in (0, 3, 5)]
