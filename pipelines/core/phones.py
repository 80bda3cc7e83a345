"""Phone numbers in one spelling each, where one mobile number is written in several.

Mexico's 1 and Argentina's 9 after the country's code mark mobile numbers, and Brazil's have had a ninth digit
for some years: with and without it, a number reaches the same person.
https://faq.whatsapp.com/1294841057948784
"""

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

MOBILE: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_REMEMBERED: Final = 16_384
# E.164 has at most 15 digits, and no country's code begins with 0.
_INTERNATIONAL: Final = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_SPELT_TWICE: Final = ("52", "54", "55")
"""The codes of Mexico, Argentina and Brazil."""


@lru_cache(_REMEMBERED)
def e164(number: str) -> str | None:
    """Return an international number in E.164, in its one spelling; None where it is none.

    The plus sign may be missing, as in WhatsApp's ids; a number without its country is none.
    """
    digits = number.removeprefix("+")
    if _INTERNATIONAL.fullmatch(digits) and not digits.startswith(_SPELT_TWICE):
        return f"+{digits}"
    try:
        parsed = phonenumbers.parse(number if number.startswith("+") else f"+{number}", None)
    except NumberParseException:
        return None
    written = f"{parsed.country_code}{_national(parsed)}"
    return f"+{written}" if _INTERNATIONAL.fullmatch(written) else None


def _national(parsed: PhoneNumber) -> str:
    """Return a number without its country's code: of all the ways to write it, the one that is a mobile number."""
    national = phonenumbers.national_significant_number(parsed)
    candidates = {
        52: [national.removeprefix("1")] if len(national) == 11 else [],
        54: [f"9{national}"] if len(national) == 10 else [],
        # Of eight digits that begin with less than 6 are fixed lines.
        55: [f"{national[:2]}9{national[2:]}"] if len(national) == 10 and national[2] in "6789" else [],
    }.get(parsed.country_code or 0, [])
    return next((each for each in candidates if _is_mobile(parsed.country_code, each)), national)


def _is_mobile(country: int | None, national: str) -> bool:
    number = phonenumbers.parse(f"+{country}{national}", None)
    return phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in MOBILE
