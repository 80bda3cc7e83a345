"""Replies reach the sandbox's providers once, whatever fails and whoever is killed: its own record says so."""

import datetime as dt
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from outbound import CHANNELS, Outbound, person, wait_until

from pipelines.local.pubsub import PubSubServer
from pipelines.sandbox.faults import Fault, Habits

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
STEPS = ["attempt told", "attempt claimed", "called", "outcome noted", "outcome told", "removed"]


@pytest.fixture
def outbound(tmp_path: Path, pubsub: PubSubServer) -> Iterator[Outbound]:
    outbound = Outbound(tmp_path, pubsub.address)
    yield outbound
    outbound.close()


def test_a_reply_is_accepted_on_every_source_with_its_id_and_its_content(outbound: Outbound):
    native = {
        "facebook": {"message": {"text": "Hello", "quick_replies": []}, "messaging_type": "RESPONSE"},
        "instagram": {"text": "Hello", "quick_replies": []},
        "whatsapp": {"messaging_product": "whatsapp", "type": "text", "text": {"body": "Hello"}},
        "twilio": {"Body": "Hello"},
    }
    replies = []
    for source in CHANNELS:
        outbound.hear(source, person(source))
        replies.append(outbound.post(source, person(source), {"text": "Hi"}))
        replies.append(outbound.post(source, person(source), native[source]))

    with outbound.sender():
        results = outbound.settle(*replies)

    assert results == ["accepted"] * len(replies)
    assert outbound.sent() == dict.fromkeys(replies, 1)
    identities = {each.id for each in outbound.world.sent}
    assert {each.source_message_id for each in outbound.outcomes()} == identities
    assert len(outbound.attempts()) == len(replies)


def test_order_is_kept_in_a_conversation_while_calls_fail(outbound: Outbound):
    to = person("whatsapp")
    outbound.hear("whatsapp", to)
    outbound.world.faults.add(Fault("429", retry_after=1))
    outbound.world.faults.add(Fault("503", times=1))
    replies = [outbound.post("whatsapp", to, {"text": str(number)}) for number in range(6)]

    with outbound.sender():
        outbound.settle(*replies)

    assert [each.request["text"]["body"] for each in outbound.world.sent] == [str(number) for number in range(6)]
    assert outbound.sent() == dict.fromkeys(replies, 1)
    first = [each.result for each in outbound.outcomes(replies[0])]
    assert first[-1] == "accepted" and set(first[:-1]) == {"not_sent"}


@pytest.mark.parametrize("source", ["whatsapp", "facebook", "twilio"])
def test_a_lost_answer_is_resolved_by_receipts_and_not_sent_again(outbound: Outbound, source: str):
    outbound.hear(source, person(source))
    outbound.world.faults.add(Fault("lost"))
    reply = outbound.post(source, person(source), {"text": "Hi"}, on_doubt="send")

    with outbound.sender():
        results = outbound.settle(reply)

    assert results == ["accepted"]
    assert outbound.sent() == {reply: 1}
    assert [each.result for each in outbound.outcomes(reply)] == ["in_doubt", "accepted"]


@pytest.fixture
def patient(tmp_path: Path, pubsub: PubSubServer) -> Iterator[Outbound]:
    """Doubts wait for longer than any test does."""
    outbound = Outbound(tmp_path, pubsub.address, PARLEY_DOUBT_SECONDS="600")
    yield outbound
    outbound.close()


SEEN = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"}


@pytest.mark.parametrize(("source", "content"), [("facebook", {"sender_action": "typing_on"}), ("whatsapp", SEEN)])
def test_what_is_no_message_is_accepted_without_an_id_and_nothing_waits_for_its_lost_answer(
    patient: Outbound, source: str, content: dict[str, str]
):
    outbound = patient
    outbound.hear(source, person(source))
    accepted = outbound.post(source, person(source), content)
    with outbound.sender():
        assert outbound.settle(accepted) == ["accepted"]
    outbound.world.faults.add(Fault("lost", times=1))
    lost, reply = (outbound.post(source, person(source), each) for each in (content, {"text": "Hi"}))

    with outbound.sender():
        assert outbound.settle(lost, reply) == ["dropped", "accepted"]

    assert outbound.outcomes(accepted)[-1].source_message_id is None
    assert outbound.sent() == {reply: 1}


def test_twilio_is_asked_where_no_receipt_comes(outbound: Outbound):
    to = person("twilio")
    outbound.world.faults.habits = Habits(lost=1.0)
    first = outbound.post("twilio", to, {"text": "the same"})
    outbound.world.faults.add(Fault("lost", times=2))
    second = outbound.post("twilio", to, {"text": "the same"})

    with outbound.sender():
        results = outbound.settle(first, second)

    assert results == ["accepted", "accepted"]
    assert outbound.sent() == {first: 1, second: 1}
    assert len({each.source_message_id for each in outbound.outcomes() if each.result == "accepted"}) == 2


@pytest.mark.parametrize(("on_doubt", "result", "times"), [("drop", "dropped", 1), ("send", "accepted", 2)])
def test_without_proof_the_reply_decides(outbound: Outbound, on_doubt: str, result: str, times: int):
    outbound.environ["PARLEY_DOUBT_SECONDS"] = "1.5"
    to = person("whatsapp")
    outbound.hear("whatsapp", to)
    outbound.world.faults.habits = Habits(lost=1.0)
    outbound.world.faults.add(Fault("lost"))
    reply = outbound.post("whatsapp", to, {"text": "Hi"}, on_doubt=on_doubt)

    with outbound.sender():
        results = outbound.settle(reply)

    assert results == [result]
    assert outbound.sent() == {reply: times}


def test_a_closed_window_refuses_the_reply_and_not_those_after_it(outbound: Outbound):
    to = person("whatsapp")
    refused = outbound.post("whatsapp", to, {"text": "too late"})
    template = {"messaging_product": "whatsapp", "type": "template", "template": {"name": "hello"}}
    accepted = outbound.post("whatsapp", to, template)

    with outbound.sender():
        results = outbound.settle(refused, accepted)

    assert results == ["refused", "accepted"]
    (outcome,) = outbound.outcomes(refused)
    assert (outcome.status, outcome.error_code) == (400, "131047")
    assert "24 hours" in str(outcome.body)


def test_a_revoked_token_stops_its_channel_until_there_is_another(outbound: Outbound):
    to, other = person("whatsapp"), person("twilio")
    outbound.hear("whatsapp", to)
    good = outbound.channels.read_text()
    bad = json.loads(good) | {"whatsapp/1003": {"token": "revoked"}}
    outbound.channels.write_text(json.dumps(bad))
    waits = [outbound.post("whatsapp", to, {"text": str(number)}) for number in range(3)]
    goes = outbound.post("twilio", other, {"text": "Hi"})

    with outbound.sender():
        assert outbound.settle(goes) == ["accepted"]
        wait_until(lambda: len(outbound.outcomes(waits[0])) > 0)
        assert outbound.results(*waits) == ["", "", ""]
        outbound.channels.write_text(good)
        results = outbound.settle(*waits)

    assert results == ["accepted"] * 3
    assert outbound.sent() == dict.fromkeys([*waits, goes], 1)


def test_what_expires_is_not_sent(outbound: Outbound):
    to = person("whatsapp")
    outbound.hear("whatsapp", to)
    past = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)).isoformat()
    late = outbound.post("whatsapp", to, {"text": "late"}, expires_at=past)
    after = outbound.post("whatsapp", to, {"text": "in time"})

    with outbound.sender():
        results = outbound.settle(late, after)

    assert results == ["expired", "accepted"]
    assert outbound.sent() == {after: 1}


def test_what_others_have_sent_and_what_comes_again_is_not_sent(outbound: Outbound):
    to = person("whatsapp")
    outbound.hear("whatsapp", to)
    outbound.post("whatsapp", to, {"text": "by others"}, sent_by_others=True, source_message_id="wamid.1")
    reply = outbound.post("whatsapp", to, {"text": "Hi"})

    with outbound.sender():
        outbound.settle(reply)
        outbound.post("whatsapp", to, {"text": "Hi"}, reply_id=reply)
        last = outbound.post("whatsapp", to, {"text": "last"})
        outbound.settle(last)

    assert outbound.sent() == {reply: 1, last: 1}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_nothing_is_lost_and_nothing_sent_twice(outbound: Outbound, step: str):
    replies = []
    for source in ("whatsapp", "twilio"):
        for number in range(3):
            to = person(source, number)
            outbound.hear(source, to)
            replies += [outbound.post(source, to, {"text": f"{number} {turn}"}) for turn in range(2)]

    with outbound.sender(step, nth=4) as doomed:
        doomed.join(30)
        assert doomed.exitcode == -signal.SIGKILL
    with outbound.sender(), outbound.sender():
        results = outbound.settle(*replies)

    sent = outbound.sent()
    assert max(sent.values()) == 1
    # Where a thread ends between its claim and the call, nobody can know that there was none: `on_doubt` decides.
    unsent = [reply for reply in replies if not sent[reply]]
    assert len(unsent) == results.count("dropped") <= 6
    assert {result for reply, result in zip(replies, results, strict=True) if sent[reply]} == {"accepted"}
