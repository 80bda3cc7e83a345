"""What a process notes of what it works on, and what the next one makes of the notes of a dead one."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.io.in_hand import DEATHS_ALONE, InHand

DIE = """
import os, pathlib, sys
from pipelines.io.in_hand import InHand
in_hand = InHand(pathlib.Path(sys.argv[1]))
in_hand.take(sys.argv[2].split(","))
os.kill(os.getpid(), 9)
"""


def die(folder: Path, *message_ids: str) -> None:
    process = subprocess.run([sys.executable, "-c", DIE, str(folder), ",".join(message_ids)], check=False)
    assert process.returncode == -9


opened: list[InHand] = []


def next_process(folder: Path) -> InHand:
    opened.append(InHand(folder))
    return opened[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def test_what_a_process_died_with_is_suspect_to_the_next(tmp_path):
    die(tmp_path, "1", "2")
    in_hand = next_process(tmp_path)

    assert (in_hand.is_suspect("1"), in_hand.is_suspect("2"), in_hand.is_suspect("3")) == (True, True, False)
    assert not in_hand.is_fatal("1")


def test_a_process_that_ends_leaves_no_suspects(tmp_path):
    ended = InHand(tmp_path)
    ended.take(["1"])
    ended.close()

    assert not next_process(tmp_path).is_suspect("1")


def test_what_a_living_process_has_in_hand_is_left_to_it(tmp_path):
    living = InHand(tmp_path)
    living.take(["1"])
    other = InHand(tmp_path)

    assert not other.is_suspect("1")
    other.close()
    living.close()


def test_a_message_is_set_aside_once_processes_have_died_on_it_alone(tmp_path):
    die(tmp_path, "1", "2")
    in_hand = next_process(tmp_path)
    assert (in_hand.is_suspect("1"), in_hand.is_alone("1")) == (True, False)
    in_hand.close()
    die(tmp_path, "1", "3")
    for deaths in range(DEATHS_ALONE):
        in_hand = next_process(tmp_path)
        assert in_hand.is_alone("1")
        assert not in_hand.is_fatal("1"), deaths
        in_hand.close()
        die(tmp_path, "1")

    in_hand = next_process(tmp_path)
    assert in_hand.is_fatal("1")
    for innocent in ("2", "3"):
        assert (in_hand.is_suspect(innocent), in_hand.is_alone(innocent)) == (True, False)


def test_who_was_in_hand_with_others_when_processes_died_is_never_set_aside(tmp_path):
    for _ in range(DEATHS_ALONE + 3):
        die(tmp_path, "1", "2")

    in_hand = next_process(tmp_path)
    assert (in_hand.is_alone("1"), in_hand.is_fatal("1")) == (True, False)


def test_a_message_that_was_survived_is_suspect_no_more(tmp_path):
    die(tmp_path, "1", "2")
    in_hand = next_process(tmp_path)
    in_hand.acquit(["1"])
    assert not in_hand.is_suspect("1")
    in_hand.close()

    again = next_process(tmp_path)
    assert (again.is_suspect("1"), again.is_suspect("2")) == (False, True)


def test_a_note_that_was_cut_off_and_a_broken_list_of_suspects_stop_nobody(tmp_path):
    (tmp_path / "x.hand").write_bytes(b'["1", "2')
    (tmp_path / "suspects.json").write_bytes(b'{"1": ')

    in_hand = next_process(tmp_path)

    assert not in_hand.is_suspect("1")
    assert [path.name for path in tmp_path.glob("*.hand")] == [Path(in_hand._note.name).name]
