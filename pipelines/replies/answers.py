"""What a provider's answer means for a reply; pure.

Only what the provider itself says, or a connection that was never made, counts as not sent. What may have been
taken is in doubt: no provider lets anybody repeat a call without risk.
https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes
https://developers.facebook.com/docs/graph-api/guides/error-handling
https://developers.facebook.com/docs/graph-api/overview/rate-limiting
https://developers.facebook.com/docs/messenger-platform/error-codes
https://www.twilio.com/docs/api/errors
"""

import datetime as dt
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

Meaning = Literal["accepted", "refused", "not_sent", "in_doubt"]
MAX_RETRY_SECONDS: Final = 3600.0
"""No provider's wish to be left alone is believed for longer."""
_RATE_SECONDS: Final = 5.0
_QUOTA_SECONDS: Final = 60.0
"""A quota of an hour or a day is not free again in seconds, and each call meanwhile lengthens the wait."""
_PAIR_SECONDS: Final = 6.0
_GRAPH_TOKEN: Final = frozenset({0, 33, 102, 190, 368, 131005, 131031, 131045, 133010})
_WHATSAPP_TOKEN: Final = _GRAPH_TOKEN | {3, 10, *range(200, 300)}
"""There these say that the token lacks a permission; on a page 10 and 200 are about one person or the window."""
_INVALID: Final = 100
_MISSING: Final = 33
_RESTRICTED: Final = (10, 1893063)
"""The Page may send nothing for a while; since June 2026."""
_GRAPH_QUOTA: Final = frozenset({4, 17, 32, 341, 613, 80001, 80002, 80006, 80007, 80008, 131048, 133016})
"""Of the app, a page, an account of Instagram, Messenger or WhatsApp."""
_GRAPH_RATE: Final = frozenset({130429}) | _GRAPH_QUOTA
_GRAPH_PAIR: Final = frozenset({131056})
_GRAPH_LATER: Final = frozenset({2, 1200, 131016, 131057, 133004})
_GRAPH_UNKNOWN: Final = frozenset({1, 131000})
_TWILIO_TOKEN: Final = frozenset({20003, 20005, 20006})
_TWILIO_RATE: Final = frozenset({20429, 21611, 14107, 63018, 63038})
_TWILIO_LATER: Final = frozenset({20503})
_TWILIO_UNKNOWN: Final = frozenset({20500, 20504})
"""https://www.twilio.com/docs/api/errors/20500: repeated, a message may be received twice."""


class Answer(NamedTuple):
    """What came of a call."""

    meaning: Meaning
    source_message_id: str | None = None
    """The provider's id of what it accepted."""
    error_code: str | None = None
    retry_after: float | None = None
    """Seconds; None where the provider does not say."""
    stops: bool = False
    """The channel's token is no longer good: nothing else of this channel would be taken either."""
    holds: bool = False
    """The channel is over its rate."""


_Codes = tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int]]


class _Error(msgspec.Struct):
    code: int | None = None
    error_subcode: int | None = None
    type: str = ""
    is_transient: bool = False

    @property
    def concerns_caller(self) -> bool:
        """Whether nothing would be taken: the token is of another account, say, or the Page restricted."""
        if self.code == _INVALID:
            return self.error_subcode == _MISSING or self.type == "GraphMethodException"
        return (self.code, self.error_subcode) == _RESTRICTED


class _Id(msgspec.Struct):
    id: str = ""


class _GraphBody(msgspec.Struct):
    error: _Error | None = None
    messages: list[_Id] = []
    message_id: str = ""
    recipient_id: str = ""
    success: bool = False


class _Usage(msgspec.Struct):
    estimated_time_to_regain_access: float = 0.0
    """Minutes."""


class _TwilioBody(msgspec.Struct):
    code: int | None = None
    sid: str = ""


def read_answer(
    source: str, status: int, body: bytes, headers: Mapping[str, str], now: dt.datetime | None = None
) -> Answer:
    """Return the meaning of an HTTP answer; `now` is needed where Retry-After may be a date."""
    after = _retry_after(headers.get("retry-after"), now)
    code: int | None
    if source == "twilio":
        twilio = _decode(body, _TwilioBody)
        code, identity = twilio.code, twilio.sid
        token, rate, later, unknown = _TWILIO_TOKEN, _TWILIO_RATE, _TWILIO_LATER, _TWILIO_UNKNOWN
    else:
        graph = _decode(body, _GraphBody)
        code = graph.error.code if graph.error else None
        if code in _GRAPH_QUOTA:
            after = after or _regain(headers.get("x-business-use-case-usage")) or _QUOTA_SECONDS
        identity = graph.message_id or (graph.messages[0].id if graph.messages else "")
        token = _WHATSAPP_TOKEN if source == "whatsapp" else _GRAPH_TOKEN
        if graph.error is not None and graph.error.concerns_caller:
            token |= {code or 0}
        rate, later, unknown = _GRAPH_RATE, _GRAPH_LATER, _GRAPH_UNKNOWN
        if status == 200 and not identity and (graph.recipient_id or graph.success) and graph.error is None:
            # What typing and seen are answered with: there is no message.
            return Answer("accepted")
        if graph.error is not None and graph.error.is_transient and code not in unknown:
            later |= {code or -1}
    if 200 <= status < 300 and code is None:
        return Answer("accepted", identity) if identity else Answer("in_doubt", error_code="no_id")
    return _failure(source, status, code, after, (token, rate, later, unknown))


def _failure(source: str, status: int, code: int | None, after: float | None, codes: _Codes) -> Answer:
    token, rate, later, unknown = codes
    word = str(code) if code is not None else f"http_{status}"
    # Of a 503 with nothing of the provider's own, a proxy's connection may have ended after the call had arrived.
    is_unavailable = status == 503 and code not in unknown and (code is not None or after is not None)
    if status == 401 or code in token:
        answer = Answer("not_sent", None, word, after, stops=True)
    elif code in _GRAPH_PAIR and source != "twilio":
        answer = Answer("not_sent", None, word, after or _PAIR_SECONDS)
    elif status == 429 or code in rate:
        answer = Answer("not_sent", None, word, after or _RATE_SECONDS, holds=True)
    elif is_unavailable or code in later:
        answer = Answer("not_sent", None, word, after)
    elif status >= 500 or status in {408, 425} or code in unknown:
        answer = Answer("in_doubt", None, word)
    else:
        answer = Answer("refused", None, word)
    return answer


def _retry_after(text: str | None, now: dt.datetime | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        if now is None or moment.tzinfo is None:
            return None
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_SECONDS) if math.isfinite(seconds) else None


def _regain(text: str | None) -> float:
    """Return in how many seconds Graph expects a quota to be free again, by id of what has one; 0 where unsaid."""
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, list[_Usage]])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 0.0
    minutes = max((use.estimated_time_to_regain_access for uses in found.values() for use in uses), default=0.0)
    return min(max(minutes * 60, 0.0), MAX_RETRY_SECONDS)


def _decode(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # No answer of the provider's own: its status has to do.
        return kind()
