"""In which order a visitor is told what came at the same time, and that nothing of it waits."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from receiver.answers import answers
from receiver.answers.answers import Answers
from receiver.answers.conversations import Conversations, conversation_key
from receiver.answers.entries import Entry
from receiver.chatplugin.tokens import Visitor
from receiver.replies.store import FolderStore

VISITOR = Visitor("shop", "3d9ac0d8")
KEY = conversation_key("shop", "3d9ac0d8")
TYPES, TYPES_NO_MORE = {"on": True}, {"on": False}


class Chats(Conversations):
    """Conversations in which something may happen while they are read."""

    meanwhile: Callable[[], None] | None = None

    def read(self, key: str, after: int = 0) -> list[tuple[int, Entry]]:
        found = super().read(key, after)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return found

    def add(self, name: str, *, from_contact: bool = False) -> None:
        sent_at, content = "2026-11-28T12:00:00.000Z", Raw(b'{"text":"x"}')
        self.append(KEY, Entry(id=name, from_contact=from_contact, sent_at=sent_at, content=content))


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(FolderStore(tmp_path))


def told_by_one_look(chats: Chats) -> list[Any]:
    """Return what a visitor is told who comes now: names of messages, and whether somebody types."""
    asked = Answers(chats, 10)
    listener = asked.listen(VISITOR, "1")
    try:
        assert listener.wait(20)
        # So that it has been told of all.
        time.sleep(0.1)
        return [each["data"].get("id", each["data"]) for each in asked.wait(listener, 0, 20)]
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (["typing_on", "answer"], ["answer"]),
        (["answer", "typing_on"], ["answer", TYPES]),
        (["typing_on", "question"], [TYPES, "question"]),
        (["typing_on", "typing_off"], [TYPES_NO_MORE]),
        (["answer", "typing_on", "typing_off"], ["answer", TYPES_NO_MORE]),
    ],
)
def test_an_answer_ends_that_somebody_types(chats: Chats, happens: list[Any], told: list[Any]):
    for each in happens:
        # Notices of the same millisecond have no order.
        time.sleep(0.002)
        if each in {"answer", "question"}:
            chats.add(each, from_contact=each == "question")
        else:
            chats.news.tell(KEY, each)

    assert told_by_one_look(chats) == told


def test_an_answer_that_nobody_was_told_of_yet_comes_after_its_typing(chats: Chats, tmp_path: Path):
    chats.news.tell(KEY, "typing_on")
    FolderStore(tmp_path).create(
        f"chats/{KEY[:2]}/{KEY}/00000001", b'{"id":"a","from_contact":false,"sent_at":""}'
    )

    assert told_by_one_look(chats) == [TYPES, "a"]


@pytest.mark.parametrize("way", ["stream", "wait"])
def test_what_is_stored_while_a_conversation_is_read_is_told_at_once(
    chats: Chats, monkeypatch: pytest.MonkeyPatch, way: str
):
    monkeypatch.setattr(answers, "HEARTBEAT_SECONDS", 20.0)
    asked = Answers(chats, 10, 0.01)
    listener = asked.listen(VISITOR, "1")
    known = threading.Event()
    wake = listener.wake
    monkeypatch.setattr(listener, "wake", lambda notice: (wake(notice), known.set()))

    def meanwhile() -> None:
        chats.add("answer")
        assert known.wait(20)

    chats.meanwhile = meanwhile
    begun = time.monotonic()
    if way == "stream":
        stream = asked.stream(listener, 0)
        assert b"ready" in next(stream)
        assert b'"answer"' in next(stream)
    else:
        assert [each["id"] for each in asked.wait(listener, 0, 20)] == [1]

    assert time.monotonic() - begun < 10
    listener.close()
