"""Times as sources write them (seconds, milliseconds, text, nonsense) to microseconds since 1970."""

import datetime as dt
import math

import msgspec

MICROS_PER_SECOND = 1_000_000
MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND
PARTITION_DAYS_BEFORE = 3_600
"""Almost ten years: BigQuery takes no stream into partitions more than 3,650 days ago, and an event may wait for
weeks until it is stored."""
PARTITION_HOURS_AFTER = 1

_PARTITION_BEFORE = PARTITION_DAYS_BEFORE * MICROS_PER_DAY
_PARTITION_AFTER = PARTITION_HOURS_AFTER * 3_600 * MICROS_PER_SECOND
# A clock may be in another time zone than it says, and wrong by an hour besides.
_FURTHEST_AHEAD = 2 * MICROS_PER_DAY
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# A time outside of these years is no time: a zero, a counter, or a unit that nobody uses.
_EARLIEST = int(dt.datetime(2000, 1, 1, tzinfo=dt.UTC).timestamp()) * MICROS_PER_SECOND
_LATEST = int(dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp()) * MICROS_PER_SECOND
# Each unit's numbers for the years above lie in a decade of their own, so the size tells the unit.
_UNITS = ((10**11, MICROS_PER_SECOND, 1), (10**14, 1_000, 1), (10**17, 1, 1), (10**20, 1, 1_000))
_LONGEST_TEXT = 64
_DIGITS = {10: MICROS_PER_SECOND, 13: 1_000}
"""What a whole number of so many digits is multiplied by, where it has a unit that is common: by `_UNITS`."""

Written = int | float | str | None


class EventTime(msgspec.Struct, frozen=True, gc=False):
    """When something happened, and how that is known."""

    micros: int
    """Microseconds since 1970, UTC."""
    origin: str
    """`item`, `envelope` or `received`."""
    raw: str | None
    """What the source wrote, where that was used or was all there was."""


def to_micros(moment: dt.datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    gone = moment - _EPOCH
    return (gone.days * 86_400 + gone.seconds) * MICROS_PER_SECOND + gone.microseconds


def from_micros(micros: int) -> dt.datetime:
    """Return microseconds since 1970 as a UTC time."""
    return _EPOCH + dt.timedelta(microseconds=micros)


def rfc3339(micros: int) -> str:
    """Return microseconds since 1970 as RFC 3339 text with microseconds and Z."""
    return from_micros(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_time(item: Written, envelope: Written, received_micros: int) -> EventTime:
    """Return the item's own time, else its envelope's, else the time of receipt.

    A value that is missing, malformed or no time of our years counts as absent, and so does one that lies days
    after the receipt: no clock is that far ahead, and whoever wrote then would wait for an answer for ever.
    """
    latest = received_micros + _FURTHEST_AHEAD
    if (micros := parse(item)) is not None and micros <= latest:
        return EventTime(micros, "item", str(item))
    if (micros := parse(envelope)) is not None and micros <= latest:
        return EventTime(micros, "envelope", str(envelope))
    raw = None if item is None else str(item)[:_LONGEST_TEXT]
    return EventTime(received_micros, "received", raw)


def as_written(time: EventTime, written: Written) -> EventTime:
    """Return a time with what the source wrote for it, which was read in a form of its own."""
    return EventTime(time.micros, time.origin, str(written)[:_LONGEST_TEXT])


def parse(written: Written) -> int | None:
    """Return a source's time as microseconds since 1970, or None where it is no time.

    Numbers (also as text) are seconds, milliseconds, microseconds or nanoseconds by their size; other
    text is RFC 3339, where nanoseconds are cut to microseconds and a missing zone means UTC.
    """
    if isinstance(written, str):
        return _parse_text(written)
    if written is None or isinstance(written, bool):
        return None
    return _from_number(written)


def partition_day(micros: int, received_micros: int) -> int:
    """Return the partition's date as days since 1970.

    It is the date of the event where that lies within 3,600 days before and 1 hour after receipt, else
    the date of receipt: every telling lands in the same partition, a wrong clock cannot scatter rows.
    """
    plausible = -_PARTITION_BEFORE <= micros - received_micros <= _PARTITION_AFTER
    return (micros if plausible else received_micros) // MICROS_PER_DAY


def _parse_text(text: str) -> int | None:
    if len(text) in _DIGITS and text[0] != "0" and text.isdecimal() and text.isascii():
        # As nearly all sources write it: what follows gives the same, and takes three times as long.
        return _within_our_years(int(text) * _DIGITS[len(text)])
    text = text.strip()
    if not text or len(text) > _LONGEST_TEXT or not text.isascii():
        return None
    try:
        number = float(text) if "." in text else int(text)
    except ValueError:
        return _parse_rfc3339(text)
    return _from_number(number)


def _parse_rfc3339(text: str) -> int | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    try:
        return _within_our_years(to_micros(moment))
    except OverflowError:
        return None


def _from_number(number: int | float) -> int | None:
    if isinstance(number, float) and not math.isfinite(number):
        return None
    size = abs(number)
    for limit, multiplier, divisor in _UNITS:
        if size < limit:
            return _within_our_years(int(number * multiplier // divisor))
    return None


def _within_our_years(micros: int) -> int | None:
    return micros if _EARLIEST <= micros < _LATEST else None
