"""Answers of the live chat: shown once, whoever dies when, and what visitors wrote beside them."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.rows import Message
from pipelines.replies.channels import Channels
from pipelines.replies.chats import Chats
from pipelines.replies.gates import Gates
from pipelines.replies.provider import Provider
from pipelines.replies.register import Register
from pipelines.replies.sender import Hearing
from pipelines.replies.told import Told
from pipelines.replies.turns import Turns
from pipelines.replies.work import Worker
from pipelines.sources.normalization import normalize
from receiver.answers.conversations import MOST_BYTES, Conversations, conversation_key
from receiver.replies.queue import queue_name
from receiver.replies.store import FolderStore
from schemas.raw_event import RawEvent
from schemas.replies import ATTEMPT_TYPE, OUTCOME_TYPE, REPLY_ID, Outcome, decode_outcome

REPLY = "3d9ac0d8-2ac1-5b0e-9f0e-4a3c54b3a0aa"
VISITOR = "8c3d1c7e-55a0-4c8e-9b8f-0d5b8f2c6a11"
AT = "2026-11-28T12:00:00.000000Z"
STEPS = ["attempt told", "attempt claimed", "called", "outcome noted", "outcome told", "removed"]


class Died(BaseException):
    pass


class DieAt:
    def __init__(self, step: str) -> None:
        self._step = step

    def reached(self, step: str) -> None:
        if step == self._step:
            raise Died


class Archive:
    def __init__(self) -> None:
        self.events: list[RawEvent] = []

    def commit(self, event: RawEvent) -> None:
        self.events.append(event)

    def of_type(self, content_type: str) -> list[RawEvent]:
        return [event for event in self.events if event.content_type == content_type]

    def outcomes(self) -> list[Outcome]:
        return [decode_outcome(event.data) for event in self.of_type(OUTCOME_TYPE)]


class Clock:
    now = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


class Office:
    """Senders that share a register, a store and an archive."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.clock = Archive(), Clock()
        self.register = Register(FolderStore(folder / "replies"))
        self.conversations = Conversations(FolderStore(folder / "chat"))
        self.chats = Chats(self.conversations, 30)

    def sender(self, name: str, steps: Any = None) -> Worker:
        more = {"steps": steps} if steps else {}
        with Provider(None) as provider:
            return Worker(
                name,
                self.register,
                Told(self.archive),
                Channels({}),
                provider,
                Gates(),
                clock=self.clock,
                chats=self.chats,
                **more,
            )

    def hear(self, event: RawEvent) -> None:
        Hearing(self.register, Turns(), Channels({}), Gates(), self.chats).hear(event)

    def shown(self) -> list[tuple[str, bool, bytes]]:
        found = self.conversations.read(conversation_key("shop", VISITOR))
        return [(entry.id, entry.from_contact, bytes(entry.content)) for _, entry in found]

    def attend(self, worker: Worker) -> None:
        """Let a sender do what is to be done, and time go on whenever it waits."""
        while (wait := worker.attend(queue_name(("chatplugin", "shop", VISITOR)))) is not None:
            self.clock.now += dt.timedelta(seconds=wait)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def posted(reply_id: str = REPLY, content: str = '{"text":  "Yes"}', **more: object) -> RawEvent:
    body = {
        "source": "chatplugin",
        "channel": "shop",
        "to": VISITOR,
        "actor": {"kind": "human", "id": "7", "name": "Ada"},
    }
    text = json.dumps(body | more)[:-1] + f', "content": {content}}}'
    attributes = {
        "event_id": "e",
        "source": "replies",
        "received_at": AT,
        "verified_by": "desk",
        REPLY_ID: reply_id,
    }
    return RawEvent(text.encode(), attributes | {"content_type": "application/json"})


def wrote(message: str = '{"text":  "Is it back?"}', name: str = "m-1", **more: str) -> RawEvent:
    attributes = {"event_id": "e", "source": "chatplugin", "received_at": AT, "verified_by": "token"}
    attributes |= {"channel_id": "shop", "conversation_id": VISITOR, "message_id": name}
    return RawEvent(b'{"message":%s,"sent_at":"2026-11-28T11:59:59.000Z"}' % message.encode(), attributes | more)


def test_an_answer_is_shown_untouched_and_told_as_accepted(office: Office):
    office.hear(posted())
    office.attend(office.sender("one"))

    assert office.shown() == [(REPLY, False, b'{"text":  "Yes"}')]
    (entry,) = [entry for _, entry in office.conversations.read(conversation_key("shop", VISITOR))]
    assert entry.received_at == dt.datetime.fromisoformat(AT).timestamp()
    assert (entry.sender_name, entry.sender_kind, entry.sent_at) == ("Ada", "human", "2026-11-28T12:00:00.000Z")
    assert [(each.result, each.source_message_id) for each in office.archive.outcomes()] == [("accepted", REPLY)]
    assert len(office.archive.of_type(ATTEMPT_TYPE)) == 1
    (message,) = [row for row in normalize(office.archive.of_type(OUTCOME_TYPE)[0]) if isinstance(row, Message)]
    assert (message.source, message.direction, message.sender_id) == ("chatplugin", "outbound", "7")
    assert (message.source_message_id, message.content) == (REPLY, '{"text":  "Yes"}')
    asked = next(row for row in normalize(wrote()) if isinstance(row, Message))
    assert (message.conversation_id, message.contact_id) == (asked.conversation_id, asked.contact_id)


@pytest.mark.parametrize("step", STEPS)
def test_a_sender_that_dies_leaves_an_answer_that_another_shows_once(office: Office, step: str):
    office.hear(posted())
    with pytest.raises(Died):
        office.attend(office.sender("one", DieAt(step)))
    office.hear(posted())

    office.attend(office.sender("two"))

    assert [name for name, *_ in office.shown()] == [REPLY]
    assert {each.result for each in office.archive.outcomes()} == {"accepted"}


def test_a_question_that_is_heard_after_its_answer_was_received_before_it(office: Office):
    office.hear(posted())
    office.attend(office.sender("one"))
    office.hear(wrote(received_at="2026-11-28T11:59:59.500000Z"))

    found = [entry for _, entry in office.conversations.read(conversation_key("shop", VISITOR))]
    assert [entry.from_contact for entry in sorted(found, key=lambda each: each.order)] == [True, False]


def test_answers_are_shown_in_the_order_in_which_they_were_posted(office: Office):
    ids = [f"{number}{REPLY[1:]}" for number in range(3)]
    for number, name in enumerate(ids):
        event = posted(name)
        office.hear(
            RawEvent(event.data, event.attributes | {"received_at": f"2026-11-28T12:00:0{number}.000000Z"})
        )

    office.attend(office.sender("one"))

    assert [name for name, *_ in office.shown()] == ids


def test_an_answer_that_came_too_late_is_not_shown(office: Office):
    office.hear(posted(expires_at="2026-11-28T11:00:00Z"))
    office.attend(office.sender("one"))

    assert office.shown() == []
    assert [each.result for each in office.archive.outcomes()] == ["expired"]


def test_a_store_that_fails_is_tried_again(office: Office, monkeypatch: pytest.MonkeyPatch):
    office.hear(posted())
    worker = office.sender("one")
    with monkeypatch.context() as broken:
        broken.setattr(Conversations, "append", lambda *_: (_ for _ in ()).throw(OSError("no disk")))
        with pytest.raises(OSError, match="no disk"):
            office.attend(worker)
    assert office.archive.outcomes() == []

    office.attend(worker)

    assert [name for name, *_ in office.shown()] == [REPLY]
    assert len(office.archive.of_type(ATTEMPT_TYPE)) == 1


def test_what_a_visitor_wrote_is_kept_once_for_their_next_visit(office: Office):
    for _ in range(2):
        office.hear(wrote())

    assert office.shown() == [("m-1", True, b'{"text":  "Is it back?"}')]


@pytest.mark.parametrize(
    "event",
    [
        wrote(name=""),
        wrote("{"),
        wrote('"' + "x" * MOST_BYTES + '"'),
        wrote(received_at="yesterday"),
        RawEvent(b"\xff", wrote().attributes),
        RawEvent(b"{}", wrote().attributes),
        RawEvent(b"[]", wrote().attributes),
    ],
    ids=["no id", "cut", "long", "no time", "no text", "no message", "no object"],
)
def test_what_cannot_be_shown_is_passed_over(office: Office, event: RawEvent):
    office.hear(event)
    office.hear(wrote())

    assert [name for name, *_ in office.shown()] == ["m-1"]


@pytest.mark.parametrize("given", ["7", "null", '"soon"', '"' + "1" * 60 + '"', '{"a": 1}'])
def test_a_time_that_is_none_is_that_of_receipt(office: Office, given: str):
    office.hear(RawEvent(b'{"message":1,"sent_at":%s}' % given.encode(), wrote().attributes))

    (entry,) = [entry for _, entry in office.conversations.read(conversation_key("shop", VISITOR))]
    assert entry.sent_at == "2026-11-28T12:00:00.000Z"


def test_who_types_is_told_now_and_never_later(office: Office):
    event = posted(content='{"sender_action": "typing_on"}')
    office.hear(RawEvent(event.data, event.attributes | {"received_at": "2026-01-01T12:00:00.000000Z"}))
    event = posted(f"1{REPLY[1:]}", content='{"sender_action": "typing_off"}')
    now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    office.hear(RawEvent(event.data, event.attributes | {"received_at": now}))
    office.attend(office.sender("one"))

    assert office.shown() == []
    assert [notice.what for notice in office.conversations.news.read()] == ["typing_off"]
    assert [each.result for each in office.archive.outcomes()] == ["accepted", "accepted"]


def test_that_somebody_has_seen_what_was_written_is_kept(office: Office):
    office.hear(posted(content='{"sender_action": "mark_seen"}'))
    office.attend(office.sender("one"))

    (entry,) = [entry for _, entry in office.conversations.read(conversation_key("shop", VISITOR))]
    assert (entry.kind, entry.event()) == ("seen", {"sent_at": "2026-11-28T12:00:00.000Z"})


def test_what_visitors_do_besides_writing_is_no_message_of_theirs(office: Office):
    office.hear(RawEvent(b'{"event":"typing","on":true}', wrote().attributes))

    assert office.shown() == []
