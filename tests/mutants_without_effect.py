"""Small changes of the code that nobody could tell, and why: `make mutants` counts them neither way."""

from typing import Final

TUNED: Final = "a number that was chosen: a thousandth or a fifth more or less is as good"
"""Nothing but speed depends on it, and that not by as little."""
NEVER_BEYOND: Final = "it never becomes greater: unequal and less are the same"
AT_THE_EDGE: Final = "a moment or a byte at the very edge may fall on either side"

REASONS: Final = {
    # receiver/durable
    "while written != len(data):": NEVER_BEYOND,
    "if content.end != content.size:": NEVER_BEYOND,
    "SEGMENT_BYTES: Final = 8 * 1024 * 1023": TUNED,
    "gone: @functools.lru_cache(maxsize=4096)": "what is kept in memory is only counted sooner",
    "while len(content) is not size and": "where nothing is missing, nothing more is read, which ends it as well",
    # pipelines/core
    "( 9**17, 1, 1)": "between the two limits lies no time of our years in any unit",
    "_FIXED: Final = 8 * 1023": TUNED,
    "_DIGITS = { 11: MICROS_PER_SECOND": "the shorter way: numbers that do not take it are read the same",
    "if self._untold.pop(known, None) is None or": "nothing is noted of the whole while a part of it is read",
    "_NOT_WORTH_WEIGHING: Final = 255 * 1024": TUNED,
    "return about if about <= _NOT_WORTH_WEIGHING else": AT_THE_EDGE,
    # pipelines/bigquery
    "LARGEST_CHUNK = 8999999": TUNED,
    "LARGEST_CHUNK = 9000001": TUNED,
    "self._last_sent += 2": "places of requests tell which came before which, and are not counted",
    "setup_patience: float = 301.0": TUNED,
    # pipelines/reprocess
    "last = next(iter(client.query_and_wait(sql)))[ -1]": "the row has one column",
    # receiver/web
    "WHOLE_BYTES: Final = 64 * 1025": TUNED,
    "ASKING_GRACE_SECONDS: Final = 6.0": TUNED,
    "ASKING_GRACE_SECONDS: Final = 4.0": TUNED,
    "now - condemned >= FAREWELL_SECONDS": AT_THE_EDGE,
    "if traffic.received > before.traffic.received and not before.asks:": "what was received never becomes less",
    "return (3 if age <= BORN_SECONDS else 0), waits.since": "among these two the longest wait comes first anyway",
}
"""By what stands in the line after the change, or in one that is gone."""


def added(diff: str) -> str:
    """Return the lines of a difference that are new; where none is, those that are gone."""

    def lines(sign: str) -> str:
        found = [line[1:].strip() for line in diff.splitlines() if line[0:1] == sign and line[1:3] != sign * 2]
        return " ".join(filter(None, found))

    return lines("+") or f"gone: {lines('-')}"


def reason(diff: str) -> str | None:
    """Return why a change has no effect; None where it may have one."""
    after = added(diff)
    return next((why for line, why in REASONS.items() if line in after), None)
