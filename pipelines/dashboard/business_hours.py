"""When somebody is there to answer: which days of the week, from when to when, by the reader's clock."""

import re
from collections.abc import Mapping
from typing import Final, Self

import msgspec

from pipelines.bigquery.target import ConfigurationError

BUSINESS_HOURS: Final = "PARLEY_DASHBOARD_BUSINESS_HOURS"
DEFAULT: Final = "Mon-Fri 09:00-17:00"
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM: Final = re.compile(r"(?P<days>\S+) (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)", re.ASCII)
_DAY_MINUTES: Final = 1_440


class BusinessHours(msgspec.Struct, frozen=True):
    """The same hours on some days of the week."""

    text: str
    """As a person writes them."""
    workdays: str
    """Of each weekday from Monday on, `1` where it is one of them, else `0`."""
    opens: int
    """Seconds after midnight."""
    closes: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Return the hours that the environment says, such as `Mon-Fri 09:00-17:00` or `Mon,Wed,Sat 10:00-24:00`.

        Raises:
            ConfigurationError: it says something else.
        """
        text = environ.get(BUSINESS_HOURS, "").strip() or DEFAULT
        found = _FORM.fullmatch(text)
        if found:
            days = [_days(part) for part in found["days"].split(",")]
            opens, closes = _minutes(found["opens"]), _minutes(found["closes"])
            if all(days) and 0 <= opens < closes <= _DAY_MINUTES:
                chosen = set().union(*days)
                workdays = "".join("1" if number in chosen else "0" for number in range(len(WEEKDAYS)))
                return cls(text, workdays, opens * 60, closes * 60)
        raise ConfigurationError(f"{BUSINESS_HOURS} is hours such as {DEFAULT!r}, not {text!r}")

    def parameters(self) -> dict[str, str | int]:
        """Return them as the parameters of a question."""
        return {"workdays": self.workdays, "opens": self.opens, "closes": self.closes}


def _days(text: str) -> set[int]:
    """Return the numbers of `Mon` or `Mon-Fri`, from 0 for Monday; none where it means no days in this order."""
    first, _, last = text.partition("-")
    if first not in WEEKDAYS or (last or first) not in WEEKDAYS or text.endswith("-"):
        return set()
    return set(range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1))


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    return hours * 60 + minutes if minutes < 60 else -1
