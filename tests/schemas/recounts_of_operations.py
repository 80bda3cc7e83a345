"""Recounts of the cookbook's recipes about whether what the others say can be trusted."""

import datetime as dt
import json
from collections import Counter
from fractions import Fraction

from recipe_truth import Answers, Views, answers, by, days_ago, different, known, nulls_first, rounded, seconds


@answers("Was every request understood?")
def _(views: Views) -> Answers:
    steps = ("requests", "normalized", "partial", "ignored", "failed", "dead_letters")
    found = []
    for (endpoint,), rows in sorted(by(views.data_quality, "endpoint").items()):
        counts = [sum(row[step] for row in rows) for step in steps]
        assert counts[0] == sum(counts[1:5]), "a request is lost"
        found.append((endpoint, *counts))
    return found


@answers("What could not be read, and why?")
def _(views: Views) -> Answers:
    columns = ("source", "stage", "pointer", "error_class", "error_message", "received_at")
    lately = [row for row in views.dead_letters if row["received_date"] >= days_ago(30)]
    placed = ("event_id", "stage", "table_name", "pointer", "error_class", "error_message")
    lately.sort(key=lambda row: (row["received_at"], *(nulls_first(row[column]) for column in placed)))
    return [tuple(row[column] for column in columns) for row in lately]


@answers("What was ignored, and why?")
def _(views: Views) -> Answers:
    lately = [row for row in views.events if row["received_date"] >= days_ago(30)]
    ignored = Counter((row["source"], row["reason"]) for row in lately if row["outcome"] == "ignored")
    found = [(*what, number) for what, number in ignored.items()]
    return sorted(found, key=lambda each: (-each[2], each[0], nulls_first(each[1])))


@answers("Which messages came late?")
def _(views: Views) -> Answers:
    found = []
    for row in sorted(views.messages, key=lambda row: str(row["message_id"])):
        late = seconds(row["received_at"], row["sent_at"])
        if row["sent_at_from"] == "item" and late >= 3600 and row["sent_date"] >= days_ago(14):
            found.append((row["source"], row["source_message_id"], row["sent_at"], int(late // 60)))
    return sorted(found, key=lambda each: (-each[3], nulls_first(each[1])))


@answers("How long does a message take to reach us, and then to become a row?")
def _(views: Views) -> Answers:
    lately = [row for row in views.data_quality if row["day"] >= days_ago(14)]
    found = []
    for (endpoint,), rows in sorted(by(lately, "endpoint").items()):
        columns = ("median_source_delay", "p95_source_delay", "p95_processing_delay")
        median, most, processed = (max(known(rows, column), default=None) for column in columns)
        took = None if processed is None else Fraction(processed) / 86_400
        found.append((endpoint, median, most, rounded(took, 1)))
    return found


@answers("Which requests did a source send twice?")
def _(views: Views) -> Answers:
    lately = [row for row in views.events if row["received_date"] >= days_ago(30)]
    found = []
    for (source, _), rows in sorted(by(lately, "source", "body_sha256").items()):
        if len(rows) > 1:
            times = [row["received_at"] for row in rows]
            found.append((source, len(rows), min(times), max(times)))
    return sorted(found, key=lambda each: each[2])


@answers("Whose times can be relied on?")
def _(views: Views) -> Answers:
    found = []
    for (source,), rows in sorted(by(views.messages, "source").items()):
        of = Counter(row["sent_at_from"] for row in rows)
        elsewhere = sum(row["sent_at"].astimezone(dt.UTC).date() != row["sent_date"] for row in rows)
        found.append((source, of["item"], of["envelope"], of["received"], elsewhere))
    return found


@answers("Which raw event is a message from?")
def _(views: Views) -> Answers:
    events = {row["event_id"]: row for row in views.events}
    lately = [row for row in views.messages if row["sent_date"] >= days_ago(7) and row["event_id"] in events]
    lately.sort(key=lambda row: row["message_id"])
    lately.sort(key=lambda row: row["sent_at"], reverse=True)
    found = [(row, events[row["event_id"]]) for row in lately[:3]]
    return [
        (row["source_message_id"], row["event_id"], row["pointer"], event["body_bytes"], event["verified_by"])
        for row, event in found
    ]


@answers("What else is known, beside messages?")
def _(views: Views) -> Answers:
    lately = [row for row in views.metadata if row["occurred_date"] >= days_ago(30)]
    found = [
        (*what, len(rows), different(rows, "subject_id"), min(known(rows, "value"), default=None))
        for what, rows in by(lately, "key", "subject_type").items()
    ]
    return sorted(found, key=lambda each: (-each[2], each[0]))


@answers("What was reprocessed, by whom, and what did it change?")
def _(views: Views) -> Answers:
    found = []
    for run in sorted(views.runs, key=lambda row: (row["state_at"], row["run_id"])):
        sources = json.loads(run["selection"]).get("sources") or [None]
        changed = json.loads(run["counts"])["messages"]["changed"]
        who = (run["run_id"], run["state"], run["state_at"], run["actor"])
        found.append((*who, sources[0], changed))
    return found
