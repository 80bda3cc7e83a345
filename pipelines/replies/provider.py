"""Calls to Graph and Twilio, bounded in time and size; tells what was not sent from what may have been."""

import base64
import datetime as dt
import hmac
import time
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, Self

import httpx
import msgspec

from pipelines.replies.answers import Answer, read_answer
from pipelines.replies.calls import Call, Places, twilio_addresses, twilio_messages
from pipelines.replies.channels import Channel
from schemas.replies import Addressed

CALL_SECONDS: Final = 25.0
"""No call takes longer, whatever comes of it."""
_TIMEOUT: Final = httpx.Timeout(connect=5.0, read=20.0, write=10.0, pool=5.0)
_MAX_ANSWER_BYTES: Final = 64 * 1024
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_PAGE_SIZE: Final = "100"
_EARLIER_SECONDS: Final = 5.0
"""How far our clock may be ahead of Twilio's."""


class Response(NamedTuple):
    """What came of a call, with the bytes of the answer where there was one."""

    answer: Answer
    status: int | None = None
    body: bytes = b""


class _Message(msgspec.Struct):
    sid: str
    body: str | None = None
    direction: str = ""
    date_created: str = ""


class _Messages(msgspec.Struct):
    messages: list[_Message] = []


class Provider:
    """A client of all providers; its methods may be called by several threads."""

    def __init__(self, places: Places, connections: int = 32) -> None:
        self.places = places
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=20
        )
        self._client = httpx.Client(timeout=_TIMEOUT, limits=limits, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, source: str, call: Call, channel: Channel) -> Response:
        """Make a call, once, and return what came of it."""
        headers = {"Content-Type": call.content_type, "Authorization": _credentials(source, channel)}
        deadline = time.monotonic() + CALL_SECONDS
        status, body = None, b""
        try:
            with self._client.stream(
                "POST", call.url, params=_proof(channel), content=call.content, headers=headers
            ) as response:
                status = response.status_code
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                        break
                answer = read_answer(source, status, body, response.headers, dt.datetime.now(dt.UTC))
        except _NOT_SENT as error:
            return Response(Answer("not_sent", error_code=_word(error)))
        except httpx.HTTPError as error:
            # The request, or a part of it, is out: it may have been taken.
            return Response(Answer("in_doubt", error_code=_word(error)), status, body)
        return Response(answer, status, body[:_MAX_ANSWER_BYTES])

    def ask_twilio(self, reply: Addressed, body: str, channel: Channel, since: dt.datetime) -> list[str] | None:
        """Return the ids of messages that Twilio has of a text since a moment, the first one first.

        None where it cannot be asked: without a text (a picture, a template) any other without one looks the same.
        """
        if not body:
            return None
        to, sender = twilio_addresses(reply)
        # As a day: Twilio compares dates of sending by days, in UTC.
        params = {"To": to, "DateSent>": since.astimezone(dt.UTC).strftime("%Y-%m-%d"), "PageSize": _PAGE_SIZE}
        if not sender.startswith("MG"):
            params["From"] = sender
        try:
            response = self._client.get(
                twilio_messages(channel, self.places),
                params=params,
                headers={"Authorization": _credentials("twilio", channel)},
            )
            if response.status_code != 200:
                return None
            found = msgspec.json.decode(response.content, type=_Messages).messages
        except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        earliest = since.timestamp() - _EARLIER_SECONDS
        fitting = [each for each in found if each.body == body and each.direction != "inbound"]
        return [each.sid for each in reversed(fitting) if _created(each) >= earliest]


def _created(message: _Message) -> float:
    try:
        return parsedate_to_datetime(message.date_created).timestamp()
    except ValueError:
        return 0.0


def _credentials(source: str, channel: Channel) -> str:
    if source == "twilio":
        # https://www.twilio.com/docs/usage/requests-to-twilio: the account is in the path, whoever calls.
        return "Basic " + base64.b64encode(f"{channel.key or channel.account}:{channel.token}".encode()).decode()
    return f"Bearer {channel.token}"


def _proof(channel: Channel) -> dict[str, str] | None:
    """Return what Graph wants of apps that are set to "Require App Secret", beside the token.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    if not channel.app_secret:
        return None
    made = hmac.new(channel.app_secret.encode(), channel.token.encode(), "sha256").hexdigest()
    return {"appsecret_proof": made}


def _word(error: Exception) -> str:
    return type(error).__name__
