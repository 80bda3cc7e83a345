"""The register: whoever is first has an attempt, its outcome, a message's id; and what waits is in order."""

import datetime as dt
import threading
import uuid
from pathlib import Path

import pytest

from pipelines.replies.register import Claim, Register, is_reply_id
from receiver.replies.queue import Waiting, queue_name
from receiver.replies.store import FolderStore
from schemas.replies import Addressed, Outcome, Raw

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
QUEUE = queue_name(("whatsapp", "1003", "4917"))


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(FolderStore(tmp_path))


def waiting(seconds: float, reply_id: str = "") -> Waiting:
    return Waiting(reply_id or str(uuid.uuid4()), NOON + dt.timedelta(seconds=seconds), b"{}")


def outcome(reply_id: str, result: str, number: int = 1) -> Outcome:
    reply = Addressed(source="whatsapp", channel="1003", to="4917", content=Raw(b'{"text":"Hi"}'))
    return Outcome(reply_id=reply_id, number=number, at=NOON, result=result, reply=reply)  # type: ignore[arg-type]


def test_replies_wait_in_the_order_in_which_they_were_received(register: Register):
    entries = [waiting(seconds) for seconds in (2.000001, 0, 2, 10, 0.5)]
    for entry in entries:
        assert register.add(QUEUE, entry)
        assert not register.add(QUEUE, entry)

    names = register.queue.names(QUEUE)
    found = [register.queue.read(QUEUE, name) for name in names]
    assert found == sorted(entries, key=lambda entry: entry.received_at)
    assert register.queue.conversations() == [QUEUE]
    for name in names:
        register.queue.remove(QUEUE, name)
    assert register.queue.conversations() == []
    assert register.queue.read(QUEUE, names[0]) is None


def test_what_is_over_waits_no_more(register: Register):
    entry = waiting(0)
    register.claim(entry.reply_id, 1, Claim(NOON, "one"))
    register.decide(1, outcome(entry.reply_id, "accepted"))
    assert not register.add(QUEUE, entry)
    assert register.queue.names(QUEUE) == []


def test_of_many_one_has_the_attempt(register: Register):
    reply_id, won = str(uuid.uuid4()), []
    start = threading.Barrier(8)

    def claim(name: str) -> None:
        start.wait()
        if register.claim(reply_id, 1, Claim(NOON, name)):
            won.append(name)

    threads = [threading.Thread(target=claim, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = won
    state = register.state(reply_id)
    assert state.claim == Claim(NOON, winner)
    assert (state.attempts, state.outcome, state.is_final) == (1, None, False)


def test_the_first_outcome_of_an_attempt_holds(register: Register):
    reply_id = str(uuid.uuid4())
    register.claim(reply_id, 1, Claim(NOON, "one"))
    assert register.decide(1, outcome(reply_id, "not_sent"))
    assert not register.decide(1, outcome(reply_id, "accepted"))
    assert not register.state(reply_id).is_final
    register.claim(reply_id, 2, Claim(NOON, "two"))
    assert register.state(reply_id).outcome is None
    register.doubt(reply_id, 2)
    assert register.state(reply_id).doubted
    assert register.decide(2, outcome(reply_id, "accepted", 2))
    assert register.state(reply_id).is_final


def test_proof_and_the_owner_of_a_message_stay(register: Register):
    reply_id, other = str(uuid.uuid4()), str(uuid.uuid4())
    assert register.state(reply_id).proof == ""
    assert register.prove(reply_id, "wamid.1")
    assert not register.prove(reply_id, "wamid.2")
    assert register.state(reply_id).proof == "wamid.1"
    assert register.take("SM1", reply_id)
    assert register.take("SM1", reply_id)
    assert not register.take("SM1", other)


ID = "8b5b64b4-8f5b-5a57-9a3c-6a1d2f4b7c11"


@pytest.mark.parametrize("text", ["", "../x", "x" * 36, ID.upper(), f"{{{ID}}}", ID.replace("-", "")])
def test_what_is_no_id_of_the_receivers_names_nothing(register: Register, text: str):
    assert not is_reply_id(text)
    with pytest.raises(ValueError, match="no reply"):
        register.state(text)
