"""What goes wrong on purpose: answers that fail or are lost; webhooks that are doubled, late, swapped or lost."""

import random
import threading
from typing import Literal

import msgspec

LOST = 599
"""The status of an answer that never reaches the caller: the server ends the connection instead."""
Failure = Literal["429", "500", "503", "lost", "token", "window"]
Provider = Literal["whatsapp", "messenger", "instagram", "twilio"]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """How calls that fit it fail, so many times."""

    answer: Failure
    """`429` with Retry-After, `500`, `503`; `lost`: accepted, but the connection ends without an answer; `token`:
    the token is no longer good; `window`: the time to answer freely is over."""
    provider: Provider | None = None
    """Which provider's calls; all of them without it."""
    to: str | None = None
    """Which recipient's; all of them without it."""
    times: int | None = 1
    """How many calls; None for all that come."""
    retry_after: int = 1
    """Seconds, with `429`."""


class Habits(msgspec.Struct, forbid_unknown_fields=True):
    """How webhooks are delivered: probabilities from 0 to 1, drawn from the sandbox's seed."""

    doubled: float = 0.0
    lost: float = 0.0
    swapped: float = 0.0
    """Delivered after the next one of the same message."""
    late: float = 0.0
    late_by: float = 5.0
    """Seconds."""
    after: float = 0.05
    """Seconds from the answer to the first webhook, and from each to the next."""


class Faults:
    """The faults that are set, in the order in which they were."""

    def __init__(self) -> None:
        self.habits = Habits()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let further calls fail."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Let nothing fail any more."""
        with self._lock:
            self._faults.clear()
            self.habits = Habits()

    def meet(self, provider: Provider, to: str) -> Fault | None:
        """Return the fault that a call meets, if there is one, and count it."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or fault.provider not in {None, provider} or fault.to not in {None, to}:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def plan(self, count: int, dice: random.Random) -> list[tuple[float, int]]:
        """Return the deliveries of a message's webhooks: seconds from now, and which of them it is."""
        habits, due = self.habits, 0.0
        planned: list[tuple[float, int]] = []
        for number in range(count):
            due += habits.after
            # Drawn whether it is needed or not, so that one habit does not change another's dice.
            lost, late, doubled, swapped = (dice.random() for _ in range(4))
            at = due + (habits.late_by if late < habits.late else 0.0)
            if swapped < habits.swapped:
                at += 1.5 * habits.after
            if lost >= habits.lost:
                planned.append((at, number))
            if doubled < habits.doubled:
                planned.append((at + habits.after / 2, number))
        return sorted(planned)
