"""Recounts of the cookbook's recipes about what was said."""

import re
from collections import Counter

from recipe_truth import Answers, Views, answers, by, days_ago, different, nulls_first


@answers("What is in one conversation, as a person would read it?")
def _(views: Views) -> Answers:
    longest = min(views.conversations, key=lambda row: (-row["messages"], row["conversation_id"]))
    said = [row for row in views.messages_current if row["conversation_id"] == longest["conversation_id"]]
    columns = ("sent_at", "direction", "text", "delivery_state", "is_deleted")
    said.sort(key=lambda row: (row["sent_at"], row["message_id"]))
    return [tuple(row[column] for column in columns) for row in said[:8]]


@answers("Who wrote about returning something?")
def _(views: Views) -> Answers:
    lately = [row for row in views.message_texts if row["sent_date"] >= days_ago(14)]
    words = [(row, set(re.findall(r"[a-z0-9_]+", (row["text"] or "").lower()))) for row in lately]
    found = [row for row, said in words if "return" in said]
    found.sort(key=lambda row: (row["sent_at"], row["message_id"]))
    return [(row["sent_at"], row["source"], row["text"]) for row in found]


@answers("Which questions come again and again?")
def _(views: Views) -> Answers:
    asked = [row for row in views.message_texts if row["direction"] == "inbound" and row["text"] is not None]
    found = [(text, len(rows), different(rows, "contact_id")) for (text,), rows in by(asked, "text").items()]
    return sorted(found, key=lambda each: (-each[1], each[0]))[:5]


@answers("What do people send besides text?")
def _(views: Views) -> Answers:
    sent = [{"source": row["source"], **each} for row in views.message_texts for each in row["attachments"]]
    found = []
    for what, rows in by(sent, "source", "type").items():
        names = [row["file_name"] for row in rows if row["file_name"] is not None]
        found.append((*what, len(rows), min(names, default=None)))
    return sorted(found, key=lambda each: (-each[2], each[0], nulls_first(each[1])))


@answers("Which buttons do people press?")
def _(views: Views) -> Answers:
    pressed = Counter(
        (row["source"], row["kind"], row["text"], row["choice"])
        for row in views.message_texts
        if row["choice"] is not None
    )
    found = [(*what, times) for what, times in pressed.items()]
    return sorted(found, key=lambda each: (-each[4], *map(nulls_first, each[:4])))


@answers("How do people react to our messages?")
def _(views: Views) -> Answers:
    ours = [row for row in views.messages_current if row["direction"] == "outbound"]
    reactions = [{**row, **reaction} for row in ours for reaction in row["reactions"]]
    found = [
        (*what, len(rows), different(rows, "contact_id"))
        for what, rows in by(reactions, "source", "emoji").items()
    ]
    return sorted(found, key=lambda each: (-each[2], each[0], each[1]))


@answers("Which messages were changed or deleted after they were sent?")
def _(views: Views) -> Answers:
    first = {row["message_id"]: row["text"] for row in views.message_texts}
    found = []
    for row in sorted(views.messages_current, key=lambda row: str(row["message_id"])):
        if row["is_deleted"] or row["edits"]:
            at = row["deleted_at"] or row["edited_at"]
            told = (row["source"], row["text"], first[row["message_id"]], row["edits"], row["is_deleted"], at)
            found.append(told)
    return sorted(found, key=lambda each: nulls_first(each[5]))
