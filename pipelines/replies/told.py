"""Attempts and outcomes as raw events: archived and published as every webhook is."""

import datetime as dt
from typing import Protocol

import uuid_utils

from schemas import raw_event
from schemas.raw_event import RawEvent
from schemas.replies import ATTEMPT_TYPE, OUTCOME_TYPE, REPLY_ID, SENDER, SOURCE, Attempt, Outcome, encode


class Committer(Protocol):
    """Makes raw events durable, as `receiver.durable.committer.Committers` does."""

    def commit(self, event: RawEvent) -> None:
        """Return when an event is durable, or raise."""
        ...


class Told:
    """Tells what the sender does."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    def attempt(self, attempt: Attempt) -> None:
        """Return when an attempt is told durably.

        Raises:
            receiver.durable.committer.UnavailableError: it is not.
        """
        self._commit(attempt.reply_id, ATTEMPT_TYPE, encode(attempt))

    def outcome(self, outcome: Outcome) -> None:
        """Return when an outcome is told durably.

        Raises:
            receiver.durable.committer.UnavailableError: it is not.
        """
        self._commit(outcome.reply_id, OUTCOME_TYPE, encode(outcome))

    def _commit(self, reply_id: str, content_type: str, data: bytes) -> None:
        attributes = {
            raw_event.EVENT_ID: str(uuid_utils.uuid7()),
            raw_event.SOURCE: SOURCE,
            raw_event.RECEIVED_AT: raw_event.format_received_at(dt.datetime.now(dt.UTC)),
            raw_event.CONTENT_TYPE: content_type,
            raw_event.VERIFIED_BY: SENDER,
            REPLY_ID: reply_id,
        }
        self._committer.commit(RawEvent(data, attributes))
