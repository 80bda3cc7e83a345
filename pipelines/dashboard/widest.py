"""The widest that each question can ask on a page of some period: for who computes what it may read."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pipelines.dashboard import conversations, lookups, messages, raw_events, reported, status
from pipelines.dashboard.period import Period


def widest(period: Period) -> Mapping[str, Mapping[str, Any]]:
    """Return of every question the parameters with which it reads most."""
    chosen = period.parameters()
    moments = {"since": period.since, "until": period.until, "source": ""}
    day = period.last_day
    week = {"first_day": day - conversations.SPAN, "last_day": day}
    return {
        "activity": chosen | {"by_hour": True},
        "answers": {"last_day": day, "conversation_ids": [""]},
        "asked": {"today": day, "conversation_ids": [""]},
        "channel": {"day": day},
        "contacts": {"days": _days(day, conversations.LIST_SIZE), "contact_ids": [""]},
        "conversations": chosen | {"contact": "x", "waiting": True},
        "dead_letters": moments,
        "event_list": moments | {"outcome": ""},
        "event": {"since": period.until - dt.timedelta(days=1), "until": period.until},
        "metadata": week | {"message_ids": [""], "conversation_ids": [""]},
        "item_days": {"first_day": day - raw_events.REACH, "last_day": day},
        "items": {"day": day},
        "latest_event": {
            "since": period.until - status.AHEAD - status.REACH,
            "until": period.until + status.AHEAD,
        },
        "latest_day": {"last_day": day},
        "letter_days": moments,
        "letter_list": moments,
        "message_list": chosen | {"direction": "", "hour": "00"},
        "message_keys": week | {"conversation_ids": [""]},
        "outcomes": moments,
        "overview": chosen,
        "people_list": chosen | {"contact": "x", "several": True},
        "person": week,
        "person_days": week | {"contact_ids": [""]},
        "person_talks": week | {"contact_ids": [""]},
        **dict.fromkeys(reported.REACH, chosen),
        "response_groups": chosen | {"in_business_hours": True},
        "run_states": {},
        "runs": {},
        "same_conversation": week,
        "search": {
            "first_day": day - dt.timedelta(days=max(messages.SEARCHED_SPANS) - 1),
            "last_day": day,
            "source": "",
            "direction": "",
        },
        "sent_list": chosen | {"state": "read"},
        "sighting": {"day": day, "conversation_ids": [""]},
        "spoken": week | {"conversation_ids": [""]},
        "texts": {"days": _days(day, lookups.TEXT_DAYS), "message_ids": [""]},
        "turn_list": chosen,
        "troubles": moments,
    }


def _days(last: dt.date, count: int) -> list[dt.date]:
    return [last - dt.timedelta(days=number) for number in range(count)]
