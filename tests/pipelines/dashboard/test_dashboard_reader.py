import datetime as dt
from typing import Any

import pytest
from dashboard_world import DAYS, START, DashboardWorld

from pipelines.dashboard.reader import Entry, assemble

pytestmark = pytest.mark.thorough

LAST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


def at(minute: int) -> dt.datetime:
    return START + dt.timedelta(minutes=minute)


def message(name: str, minute: int, **more: Any) -> dict[str, Any]:
    return {
        "message_id": name,
        "source_message_id": f"source-{name}",
        "direction": "inbound",
        "kind": "message",
        "sent_at": at(minute),
        "sent_date": at(minute).date(),
        "text": f"text of {name}",
        "choice": None,
        "reply_to_source_message_id": None,
        "attachments": [],
        "flags": [],
        "event_id": "e",
        "received_at": at(minute),
    } | more


def noted(subject: str, key: str, value: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "metadata_id": f"{subject}-{key}-{value}-{minute}",
        "subject_type": "message",
        "subject_id": subject,
        "key": key,
        "value": value,
        "occurred_at": at(minute),
        "occurred_date": at(minute).date(),
        "received_at": at(minute),
        "event_id": "e",
        "actor_id": None,
        "has_message": True,
    } | more


def told(messages: list[dict[str, Any]], *metadata: dict[str, Any]) -> list[Entry]:
    return assemble(messages, metadata, ["c"], START, LAST)


def test_delivered_never_falls_back_to_sent() -> None:
    receipts = [noted("a", "source.delivery_state", state) for state in ("delivered", "sent")]
    assert told([message("a", 0, direction="outbound")], *receipts)[0].state == "delivered"


def test_a_watermark_covers_what_went_out_before_it() -> None:
    sent = [message(name, minute, direction="outbound") for name, minute in (("a", 1), ("b", 9))]
    mark = noted("c", "source.read_watermark", at(5).isoformat(), 6, subject_type="conversation")
    assert [entry.state for entry in told(sent, mark)] == ["read", None]


def test_the_last_edit_is_shown_and_the_earlier_texts_kept() -> None:
    (entry,) = told(
        [message("a", 0)], noted("a", "source.edited", "2nd", 1), noted("a", "source.edited", "3rd", 2)
    )
    assert (entry.text, list(entry.earlier_texts)) == ("3rd", ["text of a", "2nd"])


def test_a_deleted_message_says_nothing_any_more() -> None:
    (entry,) = told([message("a", 0)], noted("a", "source.deleted", "true", 4))
    assert (entry.text, entry.deleted_at) == (None, at(4))


def test_a_reaction_that_was_taken_back_is_gone_and_another_persons_stays() -> None:
    reactions = (
        noted("a", "reaction.emoji", "❤", 1, actor_id="x"),
        noted("a", "reaction.emoji", "👍", 2, actor_id="y"),
        noted("a", "reaction.emoji", "", 3, actor_id="x"),
    )
    assert told([message("a", 0)], *reactions)[0].reactions == ["👍"]


def test_an_answer_quotes_what_is_on_the_page() -> None:
    entries = told(
        [
            message("a", 0),
            message("b", 1, reply_to_source_message_id="source-a"),
            message("d", 2, reply_to_source_message_id="gone"),
        ]
    )
    assert [entry.quoted for entry in entries] == [None, "text of a", ""]


def test_a_message_known_by_its_receipts_alone_has_its_place() -> None:
    receipts = [noted("api", "source.delivery_state", state, 5, has_message=False) for state in ("sent", "failed")]
    receipts.append(noted("api", "source.error", "131026", 5, has_message=False))
    entry = told([message("a", 0), message("b", 9)], *receipts)[1]
    assert (entry.has_message, entry.direction, entry.state, entry.error) == (
        False,
        "outbound",
        "failed",
        "131026",
    )


def test_what_else_happened_is_on_one_page_only() -> None:
    note = noted("c", "source.thread_control", "passed", 5, subject_type="conversation")
    assert [entry.notes for entry in assemble([], [note], ["c"], at(5), at(6))] == [
        [("source.thread_control", "passed")]
    ]
    assert assemble([], [note], ["c"], at(6), LAST) == []
    assert assemble([], [note], ["c"], at(0), at(5)) == []


def test_every_message_stands_as_in_the_view_messages_current(world: DashboardWorld) -> None:
    days = {"first_day": START.date(), "last_day": START.date() + dt.timedelta(days=DAYS + 1)}
    conversations = [
        str(row["id"])
        for row in world.query(
            "SELECT conversation_id AS id FROM parley.metadata "
            "WHERE conversation_id IN (SELECT conversation_id FROM parley.messages) GROUP BY source, id "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY source ORDER BY COUNT(DISTINCT key) DESC, id) <= 4"
        )
    ]
    expected = {
        str(row["message_id"]): row
        for row in world.query("SELECT * FROM parley.messages_current")
        if row["conversation_id"] in conversations
    }
    texts = world.warehouse.ask(
        "texts",
        message_ids=list(expected),
        days=[START.date() + dt.timedelta(days=number) for number in range(DAYS + 2)],
    )
    found, several = {}, 0
    for conversation in conversations:
        same = world.warehouse.ask("same_conversation", conversation_id=conversation, **days)
        names = [conversation, *(row["conversation_id"] for row in same)]
        several += len(names) > 2
        own = [row for row in texts if row["conversation_id"] in names]
        ids = [row["message_id"] for row in own]
        metadata = world.warehouse.ask("metadata", message_ids=ids, conversation_ids=names, **days)
        entries = assemble(own, metadata, names, START, LAST)
        found |= {entry.id: entry for entry in entries if entry.direction and entry.has_message}
    assert found.keys() == expected.keys()
    assert several > 1
    for message_id, row in expected.items():
        entry = found[message_id]
        assert (entry.text, entry.state, entry.error, entry.deleted_at, sorted(entry.reactions)) == (
            row["text"],
            row["delivery_state"],
            row["delivery_error"],
            row["deleted_at"],
            sorted(each["emoji"] for each in row["reactions"]),  # type: ignore[attr-defined]
        )
    for name in ("deleted_at", "edited_at", "reactions", "state"):
        assert any(getattr(entry, name) for entry in found.values()), f"no message shows {name}"
