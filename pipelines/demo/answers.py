"""The answers of the demo: a visitor of each source asks, an answer goes back, and its receipts come in."""

import json
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from rich.console import Console

from pipelines.demo.story import expect
from pipelines.demo.warehouse import Warehouse
from pipelines.demo.webhooks import call, receiver
from pipelines.io.archive_segments import Selection, find_segments, read_segment
from pipelines.local import environment, ready
from schemas.replies import IDEMPOTENCY_KEY, REPLY_ID, SOURCE

_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.4
"""Between a provider's answer and its first receipt, and between one receipt and the next."""
_ACTOR: Final = "Dana"
_TEXT: Final = (
    "The sandbox is Graph and Twilio here (docs/sandbox.md). {visitors} visitors ask, and each answer is posted "
    "to /replies, twice with the same key, as after a lost answer. It is archived and published as webhooks are, "
    "and `parley send` calls the provider, whose receipts come back as webhooks:"
)
_SENT: Final = (
    "The providers got {count} calls: one for each answer. Each is one message, with its text and its receipts."
)
_STILL: Final = (
    "All of the archive, with the answers in it, was reprocessed since: planned, applied, rolled back, applied "
    "again, and made once more in batch. Calls to the providers before and after: {before} and {after}."
)
SPOKEN: Final = """
    SELECT FORMAT_TIMESTAMP('%H:%M:%S', sent_at) AS sent, m.source, IFNULL(r.actor_name, 'visitor') AS who, text,
      delivery_state AS came_to_be
    FROM messages_current AS m LEFT JOIN replies AS r USING (message_id)
    WHERE m.conversation_id IN (SELECT conversation_id FROM replies)
    ORDER BY m.source, sent_at, direction"""
TOLD: Final = """
    SELECT reply_id, state, actor_name, text, delivery_state, outbound_messages, attempts
    FROM `V.replies`
    LEFT JOIN `V.conversations` USING (conversation_id)
    LEFT JOIN (SELECT message_id, text, delivery_state FROM `V.messages_current`) USING (message_id)"""


class Visitor(NamedTuple):
    """Who asks, and what is answered."""

    provider: str
    """The sandbox's name of it."""
    source: str
    person: str
    question: str
    answer: str
    last_state: str
    """The last that the provider tells of what it has sent."""


VISITORS: Final = (
    Visitor("messenger", "facebook", "7310000000000021", "Do you open on Sundays?", "From 10 to 4.", "read"),
    Visitor("instagram", "instagram", "980000000000022", "かわいい! いくら?", "20 €, と送料 😀", "read"),
    Visitor("whatsapp", "whatsapp", "4915550000023", "Is it the blue one?", "It is, in all sizes.", "read"),
    Visitor("twilio", "twilio", "+4915550000024", "Where is my parcel?", 'At "Späti" 5, until 8 pm', "delivered"),
)
"""One of each source that can send over the sandbox."""


def tell(console: Console, warehouse: Warehouse) -> int:
    """Let visitors ask, and answer them; return how many events that were.

    Raises:
        StoryError: something is not as it should be.
        NotReadyError: or it has not come in time.
    """
    console.print(_TEXT.format(visitors=len(VISITORS)))
    call(f"{sandbox()}/sandbox/habits", {"after": _PAUSE_SECONDS}, method="PUT")
    accounts = {each["provider"]: each for each in call(f"{sandbox()}/sandbox/accounts")}
    for visitor in VISITORS:
        said = {"account": accounts[visitor.provider]["id"], "person": visitor.person, "text": visitor.question}
        call(f"{sandbox()}/sandbox/people", said)
    ready.wait_for("what the visitors ask", lambda: len(_webhooks()) >= len(VISITORS), _SECONDS)
    posts = [(visitor, _post(visitor, accounts[visitor.provider])) for visitor in VISITORS for _ in range(2)]
    answered = {reply_id: visitor for visitor, reply_id in posts}
    with console.status("waiting for what becomes of the answers …"):
        ready.wait_for("the receipts", lambda: _are_through(warehouse, answered), _SECONDS)
    told = warehouse.rows(TOLD)
    warehouse.ask("What was asked and answered, as an analyst reads it", SPOKEN)
    check(told, answered, requests())
    console.print(_SENT.format(count=requests()))
    return _archived() + len(_webhooks())


def check(told: Sequence[tuple[Any, ...]], answered: dict[str, Visitor], calls: int) -> None:
    """Make sure that each answer was sent once, and is one message with its text, actor and receipts.

    Raises:
        StoryError: one is not.
    """
    expect("how often a visitor was answered", len(answered), len(VISITORS))
    expect(
        "what became of the answers",
        {row[0]: row[1:6] for row in told},
        {each: ("accepted", _ACTOR, who.answer, who.last_state, 1) for each, who in answered.items()},
    )
    expect("calls to the providers", calls, sum(int(row[-1]) for row in told))


def check_nothing_sent(console: Console, before: int) -> None:
    """Make sure that the providers have got no call since there were so many.

    Raises:
        StoryError: they have.
    """
    after = requests()
    expect("calls to the providers after all of the archive was reprocessed", after, before)
    console.print(_STILL.format(before=before, after=after))


def requests() -> int:
    """Return how many calls the providers have got."""
    return int(call(f"{sandbox()}/sandbox/requests")["requests"])


def sandbox() -> str:
    """Return the sandbox's URL."""
    return os.environ["PARLEY_TWILIO_URL"]


def _post(visitor: Visitor, account: dict[str, Any]) -> str:
    """Post an answer, and return its id."""
    reply = {
        "source": visitor.source,
        "channel": account["number"] if visitor.source == "twilio" else account["id"],
        "to": visitor.person,
        "content": {"text": visitor.answer},
        "actor": {"kind": "human", "id": "agent-1", "name": _ACTOR},
    }
    headers = {
        "Authorization": f"Bearer {os.environ[environment.REPLY_TOKEN]}",
        IDEMPOTENCY_KEY: f"demo-{visitor.source}",
    }
    return str(call(f"{receiver()}/replies", json.dumps(reply).encode(), headers)[REPLY_ID])


def _are_through(warehouse: Warehouse, answered: dict[str, Visitor]) -> bool:
    states = {row[0]: row[4] for row in warehouse.rows(TOLD)}
    return all(states.get(each) == visitor.last_state for each, visitor in answered.items())


def _archived() -> int:
    """Return how many events of replies are in the archive: what was posted, attempts and outcomes."""
    segments = find_segments(os.environ["PARLEY_ARCHIVE"], Selection(sources=(SOURCE,)))
    return sum(1 for segment in segments for _ in read_segment(segment, []))


def _webhooks() -> list[dict[str, Any]]:
    """Return the webhooks that the receiver has taken from the sandbox."""
    return [each for each in call(f"{sandbox()}/sandbox/webhooks") if 200 <= each["status"] < 300]
