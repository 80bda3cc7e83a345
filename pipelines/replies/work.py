"""What is done for the reply that is first in its conversation, one step after the other.

An attempt is told, then claimed in the register, then made; what came of it is noted in the register, then told.
Whoever finds a claim without an outcome, after a crash say, knows that the call may have been made, and makes no
other before a receipt, the provider or the reply's `on_doubt` has decided.
"""

import datetime as dt
import logging
import random
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

import msgspec

from pipelines.replies.answers import Answer
from pipelines.replies.calls import Call, UnsendableError, make_call
from pipelines.replies.channels import CHANNEL_RATES, PERSON_RATES, Channel, Channels, Rate
from pipelines.replies.chats import Chats
from pipelines.replies.conclusions import NO_STEPS, SOONEST_LOOK, Attempted, Steps
from pipelines.replies.gates import Gates
from pipelines.replies.provider import CALL_SECONDS, Provider, Response
from pipelines.replies.register import Claim, Register, State
from pipelines.replies.told import Told
from receiver.replies.queue import Waiting
from schemas.replies import CHAT, Attempt, InvalidReplyError, Reply, decode_reply

_FIRST_RETRY_SECONDS: Final = 1.0
_LAST_RETRY_SECONDS: Final = 60.0
_NO_CHANNEL_SECONDS: Final = 5.0
_LATEST_LOOK: Final = 15.0
_FRESH_SECONDS: Final = 10.0
"""A claim that is older is not called any more: others will soon hold it for lost."""
_SHOWN_SECONDS: Final = 2.0
"""How long to wait until an answer is shown that another sender has claimed: it may have died."""
_log = logging.getLogger(__name__)


class Rules(msgspec.Struct, frozen=True):
    """How long is waited for what; all in seconds."""

    life: float = 24 * 3600.0
    """After receipt, a reply without `expires_at` is not sent any more."""
    in_flight: float = CALL_SECONDS + _FRESH_SECONDS + 10.0
    """Within that time after a claim, its call may be under way."""
    doubt: float = 600.0
    """How long receipts and the provider may take to resolve a doubt, until `on_doubt` decides."""
    share: float = 1.0
    """Which part of each rate is ours, where several senders run."""


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


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
        rules: Rules | None = None,
        steps: Steps = NO_STEPS,
        clock: Callable[[], dt.datetime] = _utc_now,
        chats: Chats | None = None,
    ) -> None:
        """Take the name by which this process is known, one that no other ever has, and what it works with.

        Without `chats`, answers of the live chat wait.
        """
        self.name = name
        self._register = register
        self._told = told
        self._channels = channels
        self._provider = provider
        self._gates = gates
        self._rules = rules or Rules()
        self._steps = steps
        self._now = clock
        self._chats = chats

    def attend(self, conversation: str) -> float | None:
        """Do what can be done now; return the seconds until there may be more, None where nothing waits.

        Raises:
            Exception: the register or the archive fails; it can be tried again.
        """
        names = self._register.queue.names(conversation)
        if not names:
            return None
        entry = self._register.queue.read(conversation, names[0])
        wait = 0.0 if entry is None else self._step(entry)
        if wait > 0:
            return wait
        self._register.queue.remove(conversation, names[0])
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
        if reply.source == CHAT and (state.claim is None or state.claim.purpose == "send"):
            return self._show(entry, reply, state)
        if state.claim is not None and (state.proof or state.outcome is None):
            return self._resolve(entry, reply, state, state.claim)
        return self._try(entry, reply, state)

    def _try(self, entry: Waiting, reply: Reply, state: State) -> float:
        """Make the next attempt, where it is time for one."""
        now, attempted = self._now(), self._attempted(entry, reply, state.attempts + 1)
        if now >= (reply.expires_at or entry.received_at + dt.timedelta(seconds=self._rules.life)):
            return attempted.use_up(self.name, "expire", "expired")
        if state.outcome is not None and state.outcome.retry_at is not None and state.outcome.retry_at > now:
            return (state.outcome.retry_at - now).total_seconds()
        channel = self._channels.get(reply.source, reply.channel)
        if channel is None:
            _log.warning("no token for the channel %s/%s", reply.source, reply.channel)
            return _NO_CHANNEL_SECONDS
        try:
            call = make_call(reply, entry.reply_id, channel, self._provider.places)
        except UnsendableError as error:
            return attempted.use_up(self.name, "refuse", "refused", "content", str(error))
        rates = self._rates(reply, channel)
        if wait := self._gates.wait((reply.source, reply.channel), *rates):
            return wait
        try:
            return self._send(attempted, call, channel)
        finally:
            self._gates.end(*rates)

    def _show(self, entry: Waiting, reply: Reply, state: State) -> float:
        """Show an answer to a visitor of the live chat: here nothing is in doubt, as it may be shown again."""
        if self._chats is None:
            return _NO_CHANNEL_SECONDS
        now = self._now()
        if state.claim is None:
            attempted = self._attempted(entry, reply, 1)
            if reply.expires_at is not None and now >= reply.expires_at:
                return attempted.use_up(self.name, "expire", "expired")
            self._told.attempt(Attempt(reply_id=entry.reply_id, number=1, at=now, sender=self.name))
            self._steps.reached("attempt told")
            if not self._register.claim(entry.reply_id, 1, Claim(now, self.name)):
                return SOONEST_LOOK
            self._steps.reached("attempt claimed")
        elif state.claim.sender != self.name and (now - state.claim.at).total_seconds() < _SHOWN_SECONDS:
            # Another sender is about it.
            return SOONEST_LOOK
        self._chats.show(reply, entry.reply_id, entry.received_at)
        self._steps.reached("called")
        return self._attempted(entry, reply, 1).conclude("accepted", Response(Answer("accepted", entry.reply_id)))

    def _send(self, attempted: Attempted, call: Call, channel: Channel) -> float:
        """Tell of an attempt, claim it, and make the call."""
        reply, reply_id, number = attempted.reply, attempted.reply_id, attempted.number
        self._told.attempt(Attempt(reply_id=reply_id, number=number, at=self._now(), sender=self.name))
        self._steps.reached("attempt told")
        claim = Claim(self._now(), self.name)
        if not self._register.claim(reply_id, number, claim):
            # Another sender makes this attempt.
            return SOONEST_LOOK
        self._steps.reached("attempt claimed")
        if (self._now() - claim.at).total_seconds() > _FRESH_SECONDS:
            # This process has slept: the others may take the attempt for lost by now.
            return attempted.conclude(
                "not_sent", Response(Answer("not_sent", error_code="late")), _backoff(number)
            )
        response = self._provider.send(reply.source, call, channel)
        self._steps.reached("called")
        answer = response.answer
        self._learn(reply, answer)
        if answer.meaning == "in_doubt":
            return attempted.doubt(response)
        wait = 0.0
        if answer.meaning == "not_sent":
            # Never 0, with which a reply is done.
            wait = _backoff(number) if answer.retry_after is None else max(answer.retry_after, 0.001)
        return attempted.conclude(answer.meaning, response, wait)

    def _learn(self, reply: Reply, answer: Answer) -> None:
        """Let the gates know what an answer says of its channel."""
        channel = (reply.source, reply.channel)
        if answer.stops:
            if self._gates.stop(channel):
                _log.error("a channel is stopped: %s/%s, %s", *channel, answer.error_code)
        elif answer.holds:
            self._gates.hold(channel, answer.retry_after or _FIRST_RETRY_SECONDS)
        elif answer.meaning in {"accepted", "refused"} and self._gates.go(channel):
            _log.warning("the channel %s/%s goes on", *channel)

    def _resolve(self, entry: Waiting, reply: Reply, state: State, claim: Claim) -> float:
        """Find out what came of an attempt without an outcome, or of one that a receipt has told of since."""
        attempted = self._attempted(entry, reply, state.attempts)
        if not state.proof and claim.purpose != "send":
            return attempted.end(*(("expired",) if claim.purpose == "expire" else ("refused", "content")))
        age = (self._now() - claim.at).total_seconds()
        if not state.proof and not state.doubted and age < self._rules.in_flight:
            return min(max(SOONEST_LOOK, age / 4), self._rules.in_flight - age + 0.001)
        identity = state.proof or self._ask(entry, reply, claim)
        if not identity:
            return self._wait(attempted, state, age)
        _log.info("a doubt is resolved", extra={"reply_id": entry.reply_id})
        if state.outcome is not None:
            # Its attempt was given up before; the next is not made any more.
            attempted = self._attempted(entry, reply, state.attempts + 1)
            if not self._register.claim(entry.reply_id, attempted.number, Claim(self._now(), self.name, "refuse")):
                return SOONEST_LOOK
        return attempted.conclude("accepted", Response(Answer("accepted", identity)))

    def _wait(self, attempted: Attempted, state: State, age: float) -> float:
        """Wait for proof, and decide as the reply says where none has come in time.

        Of what is no message none ever comes, and what is behind it need not wait.
        """
        is_action = attempted.reply.is_action
        if age < self._rules.doubt and not is_action:
            if not state.doubted:
                attempted.doubt(Response(Answer("in_doubt", error_code="no_answer")))
            return min(max(SOONEST_LOOK, age / 10), _LATEST_LOOK, self._rules.doubt - age + 0.001)
        why = "it is dropped" if attempted.reply.on_doubt == "drop" else "it is sent again"
        _log.error("a reply stayed in doubt: %s", why, extra={"reply_id": attempted.reply_id})
        if attempted.reply.on_doubt == "drop":
            return attempted.end("dropped", "in_doubt")
        wait = _backoff(attempted.number) if is_action else SOONEST_LOOK
        return attempted.conclude("in_doubt", Response(Answer("in_doubt", error_code="on_doubt")), wait)

    def _ask(self, entry: Waiting, reply: Reply, claim: Claim) -> str:
        """Return the id of a reply's message, where the provider lists what it took, and has it.

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

    def _attempted(self, entry: Waiting, reply: Reply, number: int) -> Attempted:
        return Attempted(entry.reply_id, reply, number, self._register, self._told, self._steps, self._now)

    def _rates(self, reply: Reply, channel: Channel) -> list[tuple[tuple[str, ...], Rate]]:
        rate = channel_rate(reply.source, channel)
        ours = Rate(max(1, int(rate.most * self._rules.share)), rate.seconds)
        rates: list[tuple[tuple[str, ...], Rate]] = [((reply.source, reply.channel), ours)]
        if person := PERSON_RATES.get(reply.source):
            rates.append(((reply.source, reply.channel, reply.to), person))
        return rates


def channel_rate(source: str, channel: Channel) -> Rate:
    """Return how often a channel may be called."""
    return channel.rate or CHANNEL_RATES[source]


def _backoff(number: int) -> float:
    longest: float = min(_FIRST_RETRY_SECONDS * 2 ** min(number - 1, 10), _LAST_RETRY_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, and nothing else
