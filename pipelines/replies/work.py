"""What is done for the reply that is first in its conversation, one step after the other.

An attempt is told, then claimed in the register, then made; what came of it is noted in the register, then told.
Whoever finds a claim without an outcome, after a crash say, knows that the call may have been made, and makes no
other before a receipt, the provider or the reply's `on_doubt` has decided.
"""

import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qs

import msgspec

from pipelines.replies.answers import Answer
from pipelines.replies.calls import Call, UnsendableError, make_call
from pipelines.replies.channels import CHANNEL_RATES, PERSON_RATES, Channel, Channels, Rate
from pipelines.replies.gates import Gates
from pipelines.replies.provider import CALL_SECONDS, Provider, Response
from pipelines.replies.register import Claim, Register, State, Waiting
from pipelines.replies.told import Told
from schemas.replies import Attempt, InvalidReplyError, Outcome, Reply, Result, answer_fields, decode_reply

_FIRST_RETRY_SECONDS: Final = 1.0
_LAST_RETRY_SECONDS: Final = 60.0
_NO_CHANNEL_SECONDS: Final = 5.0
_SOONEST_LOOK, _LATEST_LOOK = 0.2, 15.0
_FRESH_SECONDS: Final = 10.0
"""A claim that is older is not called any more: others will soon hold it for lost."""
_log = logging.getLogger(__name__)


class Rules(msgspec.Struct, frozen=True):
    """How long is waited for what; all in seconds."""

    life: float = 24 * 3600.0
    """After receipt, a reply without `expires_at` is not sent any more."""
    in_flight: float = CALL_SECONDS + _FRESH_SECONDS + 10.0
    """Within that time after a claim, its call is under way."""
    doubt: float = 600.0
    """How long receipts and the provider may take to resolve a doubt, until `on_doubt` decides."""
    share: float = 1.0
    """Which part of each rate is ours, where several senders run."""


class Steps(Protocol):
    """Is told of each step; a test may end the process there."""

    def reached(self, step: str) -> None:
        """Take note of a step."""
        ...


class _NoSteps:
    def reached(self, step: str) -> None:
        """Do nothing."""


class Worker:
    """Attends to conversations; its methods may be called by several threads, one for each conversation."""

    def __init__(
        self,
        name: str,
        register: Register,
        told: Told,
        channels: Channels,
        provider: Provider,
        gates: Gates,
        rules: Rules = Rules(),
        steps: Steps = _NoSteps(),
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        """Take the name by which this process is known, one that no other ever has, and what it works with."""
        self.name = name
        self._register = register
        self._told = told
        self._channels = channels
        self._provider = provider
        self._gates = gates
        self._rules = rules
        self._steps = steps
        self._now = clock

    def attend(self, conversation: str) -> float | None:
        """Do what can be done now; return the seconds until there may be more, None where nothing waits.

        Raises:
            Exception: the register or the archive fails; it can be tried again.
        """
        names = self._register.waiting(conversation)
        if not names:
            return None
        entry = self._register.read(conversation, names[0])
        wait = 0.0 if entry is None else self._step(entry)
        if wait > 0:
            return wait
        self._register.remove(conversation, names[0])
        self._steps.reached("removed")
        return 0.0

    def _step(self, entry: Waiting) -> float:
        """Return 0 when nothing more is to be done for a reply, else the seconds until there is."""
        try:
            reply = decode_reply(entry.data)
        except InvalidReplyError as error:
            _log.error("no reply, so it is not sent: %s", error, extra={"reply_id": entry.reply_id})
            return 0.0
        state = self._register.state(entry.reply_id)
        if state.outcome is not None and state.is_final:
            # Noted by a process that may have died before it told.
            self._told.outcome(state.outcome)
            return 0.0
        if state.claim is not None and (state.proof or state.outcome is None):
            return self._resolve(entry, reply, state, state.claim)
        return self._try(entry, reply, state)

    def _try(self, entry: Waiting, reply: Reply, state: State) -> float:
        now, number = self._now(), state.attempts + 1
        if now >= self._expires(entry, reply):
            return self._use_up(entry, reply, number, Claim(now, self.name, "expire"), "expired")
        if state.outcome is not None and state.outcome.retry_at is not None and state.outcome.retry_at > now:
            return (state.outcome.retry_at - now).total_seconds()
        channel = self._channels.get(reply.source, reply.channel)
        if channel is None and reply.source in CHANNEL_RATES:
            _log.warning("no token for the channel %s/%s", reply.source, reply.channel)
            return _NO_CHANNEL_SECONDS
        try:
            call = make_call(reply, entry.reply_id, channel or Channel(""), self._provider.places)
        except UnsendableError as error:
            _log.warning("not sent: %s", error, extra={"reply_id": entry.reply_id})
            return self._use_up(
                entry, reply, number, Claim(now, self.name, "refuse"), "refused", "content", str(error).encode()
            )
        assert channel is not None  # noqa: S101 - without one there is no call
        wait = self._gates.wait((reply.source, reply.channel), *self._rates(reply, channel))
        if wait > 0:
            return wait
        return self._send(entry, reply, number, call, channel)

    def _send(self, entry: Waiting, reply: Reply, number: int, call: Call, channel: Channel) -> float:
        now = self._now()
        self._told.attempt(Attempt(reply_id=entry.reply_id, number=number, at=now, sender=self.name))
        self._steps.reached("attempt told")
        claim = Claim(self._now(), self.name)
        if not self._register.claim(entry.reply_id, number, claim):
            # Another sender makes this attempt.
            return _SOONEST_LOOK
        self._steps.reached("attempt claimed")
        if (self._now() - claim.at).total_seconds() > _FRESH_SECONDS:
            # This process has slept: the others may take the attempt for lost by now.
            return self._conclude(entry, reply, number, Response(Answer("not_sent", error_code="late")))
        response = self._provider.send(reply.source, call, channel)
        self._steps.reached("called")
        self._learn(reply, response.answer)
        if response.answer.meaning == "in_doubt":
            return self._tell_doubt(entry, reply, number, response)
        return self._conclude(entry, reply, number, response)

    def _learn(self, reply: Reply, answer: Answer) -> None:
        """Let the gates know what an answer says of its channel."""
        channel = (reply.source, reply.channel)
        if answer.stops:
            if self._gates.stop(channel):
                _log.error("the channel %s/%s is stopped: %s", *channel, answer.error_code)
        elif answer.holds:
            self._gates.hold(channel, answer.retry_after or _FIRST_RETRY_SECONDS)
        elif answer.meaning == "accepted" and self._gates.go(channel):
            _log.warning("the channel %s/%s goes on", *channel)

    def _conclude(self, entry: Waiting, reply: Reply, number: int, response: Response) -> float:
        """Note and tell what came of an attempt that is not in doubt."""
        answer, retry_at, wait = response.answer, None, 0.0
        if answer.meaning == "not_sent":
            wait = answer.retry_after if answer.retry_after is not None else _backoff(number)
            retry_at = self._now() + dt.timedelta(seconds=wait)
        outcome = self._outcome(entry, reply, number, answer.meaning, response, retry_at)
        self._decide(reply, number, outcome)
        # Never 0, with which a reply is done.
        return max(wait, 0.001) if retry_at else 0.0

    def _decide(self, reply: Reply, number: int, outcome: Outcome) -> None:
        if reply.source == "twilio" and outcome.source_message_id:
            self._register.take(outcome.source_message_id, outcome.reply_id)
        if self._register.decide(number, outcome):
            self._steps.reached("outcome noted")
        elif outcome.result != "accepted":
            # Somebody else has decided before, and that holds: but what a provider has taken, it has.
            return
        self._told.outcome(outcome)
        self._steps.reached("outcome told")

    def _use_up(
        self,
        entry: Waiting,
        reply: Reply,
        number: int,
        claim: Claim,
        result: Result,
        code: str = "",
        why: bytes = b"",
    ) -> float:
        """End a reply without a call: by a claim, so that no other sender makes one."""
        if not self._register.claim(entry.reply_id, number, claim):
            return _SOONEST_LOOK
        return self._end(entry, reply, number, result, code, why)

    def _end(
        self, entry: Waiting, reply: Reply, number: int, result: Result, code: str = "", why: bytes = b""
    ) -> float:
        _log.warning("%s", result, extra={"reply_id": entry.reply_id})
        response = Response(Answer("refused", error_code=code or None), None, why)
        self._decide(reply, number, self._outcome(entry, reply, number, result, response))
        return 0.0

    def _resolve(self, entry: Waiting, reply: Reply, state: State, claim: Claim) -> float:
        """Find out what came of an attempt that has no outcome, or of one that a receipt has told of since."""
        number, identity = state.attempts, state.proof
        if not identity and claim.purpose == "expire":
            return self._end(entry, reply, number, "expired")
        if not identity and claim.purpose == "refuse":
            return self._end(entry, reply, number, "refused", "content")
        age = (self._now() - claim.at).total_seconds()
        if not identity and not state.doubted and age < self._rules.in_flight:
            return min(max(_SOONEST_LOOK, age / 4), self._rules.in_flight - age + 0.001)
        identity = identity or self._ask(entry, reply, claim)
        if identity:
            _log.info("a doubt is resolved", extra={"reply_id": entry.reply_id})
            response = Response(Answer("accepted", identity))
            outcome = self._outcome(entry, reply, number, "accepted", response)
            if state.outcome is not None:
                # Its attempt was given up, and the next is not made any more.
                number += 1
                if not self._register.claim(entry.reply_id, number, Claim(self._now(), self.name, "refuse")):
                    return _SOONEST_LOOK
            self._decide(reply, number, outcome)
            return 0.0
        if age < self._rules.doubt:
            if not state.doubted:
                self._tell_doubt(entry, reply, number, Response(Answer("in_doubt", error_code="no_answer")))
            return min(max(_SOONEST_LOOK, age / 10), _LATEST_LOOK, self._rules.doubt - age + 0.001)
        if reply.on_doubt == "drop":
            return self._end(entry, reply, number, "dropped", "in_doubt")
        outcome = self._outcome(
            entry, reply, number, "in_doubt", Response(Answer("in_doubt", error_code="on_doubt"))
        )
        self._decide(reply, number, outcome)
        return _SOONEST_LOOK

    def _tell_doubt(self, entry: Waiting, reply: Reply, number: int, response: Response) -> float:
        self._told.outcome(self._outcome(entry, reply, number, "in_doubt", response))
        self._steps.reached("doubt told")
        self._register.doubt(entry.reply_id, number)
        return _SOONEST_LOOK

    def _ask(self, entry: Waiting, reply: Reply, claim: Claim) -> str:
        """Return the id of a reply's message, where the provider has a list of what it took and the message is there.

        Of several that look alike, one that belongs to another reply is left to it.
        """
        channel = self._channels.get(reply.source, reply.channel)
        if reply.source != "twilio" or channel is None:
            return ""
        form = parse_qs(make_call(reply, entry.reply_id, channel, self._provider.places).content.decode())
        text = (form.get("Body") or [""])[0]
        for identity in self._provider.ask_twilio(reply, text, channel, claim.at) or ():
            if self._register.take(identity, entry.reply_id):
                return identity
        return ""

    def _outcome(
        self,
        entry: Waiting,
        reply: Reply,
        number: int,
        result: Result,
        response: Response,
        retry_at: dt.datetime | None = None,
    ) -> Outcome:
        return Outcome(
            reply_id=entry.reply_id,
            number=number,
            at=self._now(),
            result=result,
            status=response.status,
            source_message_id=response.answer.source_message_id,
            error_code=response.answer.error_code,
            retry_at=retry_at,
            reply=reply.addressed(),
            **(answer_fields(response.body) if response.body else {}),
        )

    def _rates(self, reply: Reply, channel: Channel) -> list[tuple[tuple[str, ...], Rate]]:
        rates = [((reply.source, reply.channel), _shared(channel_rate(reply.source, channel), self._rules.share))]
        if person := PERSON_RATES.get(reply.source):
            rates.append(((reply.source, reply.channel, reply.to), person))
        return rates

    def _expires(self, entry: Waiting, reply: Reply) -> dt.datetime:
        return reply.expires_at or entry.received_at + dt.timedelta(seconds=self._rules.life)


def channel_rate(source: str, channel: Channel) -> Rate:
    """Return how often a channel may be called."""
    return channel.rate or CHANNEL_RATES[source]


def _shared(rate: Rate, share: float) -> Rate:
    return Rate(max(1, int(rate.most * share)), rate.seconds)


def _backoff(number: int) -> float:
    longest = min(_FIRST_RETRY_SECONDS * 2 ** min(number - 1, 10), _LAST_RETRY_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, and nothing else
