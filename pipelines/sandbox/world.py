"""What the providers know: accounts, people who have written, and everything that was sent."""

import random
import threading
from collections import deque
from typing import Any, Final

import msgspec

from pipelines.sandbox.clock import Clock
from pipelines.sandbox.faults import Faults, Provider

WINDOW_SECONDS: Final = 24 * 3600.0
"""How long a person's last message allows free answers.

https://developers.facebook.com/docs/whatsapp/pricing (customer service window),
https://developers.facebook.com/docs/messenger-platform/policy/policy-overview (standard messaging window)
"""
HUMAN_AGENT_SECONDS: Final = 7 * 24 * 3600.0
MEDIA_SECONDS: Final = 30 * 24 * 3600.0
"""How long an uploaded media id is good."""
PER_SECOND: Final[dict[str, int]] = {"whatsapp": 80, "messenger": 300, "instagram": 300, "twilio": 100}
"""Messages of an account in a second. WhatsApp's is the documented default; Twilio's depends on the account."""
PAIR_SECONDS: Final = 6.0
"""Within this time one person gets one message of a WhatsApp number, after a burst."""
PAIR_BURST: Final = 45


class Account(msgspec.Struct, frozen=True):
    """One channel of a business."""

    provider: Provider
    id: str
    """Phone number id, Page id, Instagram account id, or Twilio's account SID."""
    token: str
    """What the caller must show: Graph's access token, or Twilio's auth token."""
    secret: str
    """What webhooks are signed with: the app secret, or Twilio's auth token."""
    number: str = ""
    """The phone number, where the account has one: digits with +."""


class Sent(msgspec.Struct):
    """A message that a provider has accepted."""

    id: str
    provider: Provider
    account: str
    to: str
    at: float
    request: dict[str, Any]
    """The call's body, or form."""
    fate: str = "read"
    """The last state that is told of it."""
    error: int | None = None


class World:
    """Everything the sandbox remembers; its methods may be called by several threads."""

    def __init__(self, accounts: list[Account], clock: Clock, seed: int) -> None:
        self.clock = clock
        self.faults = Faults()
        self.lock = threading.RLock()
        self.dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.sent: list[Sent] = []
        self.requests = 0
        """How many calls the providers have got, whatever became of them."""
        self.deaf = frozenset[str]()
        """Recipients who cannot be reached: what is sent to them fails later."""
        self._accounts = {account.id: account for account in accounts}
        self._written: dict[tuple[str, str], float] = {}
        self._media: dict[str, float] = {}
        self._calls: dict[str, deque[float]] = {}

    def account(self, identity: str) -> Account | None:
        """Return an account by its id, or None."""
        return self._accounts.get(identity)

    def accounts(self) -> list[Account]:
        """Return all accounts."""
        return list(self._accounts.values())

    def count_request(self) -> None:
        """Count a call to a provider."""
        with self.lock:
            self.requests += 1

    def new_id(self, prefix: str, size: int = 12) -> str:
        """Return an id that nothing else has; the same for the same seed and the same calls before."""
        with self.lock:
            return prefix + self.dice.randbytes(size).hex()

    def wrote(self, account: str, person: str) -> None:
        """Note that a person has written to an account, which opens the window."""
        with self.lock:
            self._written[account, person] = self.clock.now()

    def since_written(self, account: str, person: str) -> float | None:
        """Return the seconds since a person has last written, None where that never was."""
        with self.lock:
            at = self._written.get((account, person))
        return None if at is None else self.clock.now() - at

    def upload(self) -> str:
        """Return the id of media that was uploaded."""
        identity = str(int(self.new_id("", 6), 16))
        with self.lock:
            self._media[identity] = self.clock.now()
        return identity

    def has_media(self, identity: str) -> bool:
        """Return whether a media id is known and not too old."""
        with self.lock:
            at = self._media.get(identity)
        return at is not None and self.clock.now() - at < MEDIA_SECONDS

    def is_too_fast(self, account: Account) -> bool:
        """Count a call, and return whether there were too many of the account in this second."""
        return self._count(f"account {account.id}", 1.0, PER_SECOND[account.provider])

    def is_too_fast_for(self, account: Account, person: str) -> bool:
        """Count a message to a person, and return whether one came too soon after the others."""
        return self._count(f"pair {account.id} {person}", PAIR_SECONDS * PAIR_BURST, PAIR_BURST)

    def record(self, message: Sent) -> Sent:
        """Remember a message that was accepted."""
        with self.lock:
            self.sent.append(message)
        return message

    def find(self, identity: str) -> Sent | None:
        """Return an accepted message by its id."""
        with self.lock:
            return next((each for each in self.sent if each.id == identity), None)

    def _count(self, name: str, seconds: float, most: int) -> bool:
        now = self.clock.now()
        with self.lock:
            calls = self._calls.setdefault(name, deque())
            while calls and calls[0] <= now - seconds:
                calls.popleft()
            if len(calls) >= most:
                return True
            calls.append(now)
            return False
