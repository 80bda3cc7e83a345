"""What a long command tells of itself while it works, to whoever shows it."""

from typing import Final

PLAN: Final = ("recorded", "prepared", "normalized", "loaded", "compared", "planned")
"""The steps of a plan, each named after what is done when it is reached."""
APPLY: Final = ("checked", "applied")
ROLL_BACK: Final = ("checked", "rolled back")
DISCARD: Final = ("discarded", "dropped")


class Steps:
    """Hears what was reached and how far the current work is; by itself it tells nobody."""

    def reached(self, step: str) -> None:
        """Hear that a step of `PLAN`, `APPLY`, `ROLL_BACK` or `DISCARD` is done."""

    def progress(self, what: str, done: float, total: float, unit: str) -> None:
        """Hear how much of some work is done, as often as that changes."""
