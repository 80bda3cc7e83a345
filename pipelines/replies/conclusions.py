"""What came of an attempt: noted in the register, once for all senders, then told as a raw event."""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Final, Protocol

from pipelines.replies.answers import Answer
from pipelines.replies.provider import Response
from pipelines.replies.register import Claim, Purpose, Register
from pipelines.replies.told import Told
from schemas.replies import Outcome, Reply, Result, answer_fields

SOONEST_LOOK: Final = 0.2
"""Seconds until a look at what another sender may be about."""
_log = logging.getLogger(__name__)


class Steps(Protocol):
    """Is told of each step; a test may end the process there."""

    def reached(self, step: str) -> None:
        """Take note of a step."""
        ...


class _NoSteps:
    def reached(self, step: str) -> None:
        """Do nothing."""


NO_STEPS: Final = _NoSteps()


class Attempted:
    """One attempt of one reply, by its number; each method returns the seconds until the next look, 0 for none."""

    def __init__(
        self,
        reply_id: str,
        reply: Reply,
        number: int,
        register: Register,
        told: Told,
        steps: Steps,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self.reply_id = reply_id
        self.reply = reply
        self.number = number
        self._register = register
        self._told = told
        self._steps = steps
        self._now = clock

    def use_up(self, sender: str, purpose: Purpose, result: Result, code: str = "", why: str = "") -> float:
        """End a reply without a call: by a claim, so that no other sender makes one."""
        if not self._register.claim(self.reply_id, self.number, Claim(self._now(), sender, purpose)):
            return SOONEST_LOOK
        return self.end(result, code, why)

    def end(self, result: Result, code: str = "", why: str = "") -> float:
        """End a reply that was not sent, or of which nobody knows."""
        _log.warning("%s %s", result, why or code, extra={"reply_id": self.reply_id})
        return self.conclude(result, Response(Answer("refused", error_code=code or None), None, why.encode()))

    def conclude(self, result: Result, response: Response, wait: float = 0.0) -> float:
        """Note and tell what came of the attempt; in so many seconds there may be another."""
        outcome = self._outcome(result, response, self._now() + dt.timedelta(seconds=wait) if wait else None)
        if self.reply.source == "twilio" and outcome.source_message_id:
            self._register.take(outcome.source_message_id, self.reply_id)
        if self._register.decide(self.number, outcome):
            self._steps.reached("outcome noted")
        elif result != "accepted":
            # Somebody else has decided before, and that holds: but what a provider has taken, it has.
            return max(wait, SOONEST_LOOK)
        self._told.outcome(outcome)
        self._steps.reached("outcome told")
        return wait

    def doubt(self, response: Response) -> float:
        """Tell that nobody knows yet what came of the attempt."""
        self._told.outcome(self._outcome("in_doubt", response))
        self._steps.reached("doubt told")
        self._register.doubt(self.reply_id, self.number)
        return SOONEST_LOOK

    def _outcome(self, result: Result, response: Response, retry_at: dt.datetime | None = None) -> Outcome:
        return Outcome(
            reply_id=self.reply_id,
            number=self.number,
            at=self._now(),
            result=result,
            status=response.status,
            source_message_id=response.answer.source_message_id,
            error_code=response.answer.error_code,
            retry_at=retry_at,
            reply=self.reply.addressed(),
            **(answer_fields(response.body) if response.body else {}),
        )
