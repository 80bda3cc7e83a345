"""Who may speak: the checks of origin, rate and token that stand before every request of the live chat."""

import ipaddress
import math
from typing import Final

from flask import Response, after_this_request, request

from receiver.chatplugin.channels import ChatSettings
from receiver.chatplugin.errors import refuse
from receiver.chatplugin.limits import RateLimit
from receiver.chatplugin.tokens import ExpiredTokenError, InvalidTokenError, Tokens, Visitor

PREFLIGHT_SECONDS: Final = 7200
ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"


class Door:
    """Lets visitors in from the web sites that show a channel, in numbers that a person may reach."""

    def __init__(self, chat: ChatSettings, tokens: Tokens) -> None:
        self._chat = chat
        self._tokens = tokens
        self._origins = chat.origins
        self._addresses = RateLimit(chat.requests_per_minute)
        self._conversations = RateLimit(chat.messages_per_minute)
        self._events = RateLimit(chat.messages_per_minute)

    def enter(self) -> None:
        """Check what can be checked of any request, and let the origin's scripts read the answer.

        Raises:
            HTTPException: 403 for an origin of no channel, 429 for too many requests of an address.
        """
        after_this_request(self.share)
        if request.headers.get("Origin") not in self._origins and not _is_own():
            refuse(403, "origin_not_allowed", "This web site may not use the chat.")
        _within(self._addresses, self.address())

    def address(self) -> str:
        """Return what counts as one sender."""
        return _address(self._chat.trusted_proxies)

    def share(self, response: Response) -> Response:
        """Let the scripts of an allowed origin, and only those, read an answer."""
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Origin")
        if (origin := request.headers.get("Origin", "")) in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        return response

    def preflight(self) -> Response:
        """Answer a browser's question what may be sent, https://fetch.spec.whatwg.org/#cors-preflight-fetch."""
        response = self.share(Response(status=204))
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    def check_channel(self, channel_id: str) -> None:
        """Make sure that a channel exists and that this origin may use it.

        Raises:
            HTTPException: 404 for an unknown channel, 403 for one of other origins.
        """
        origins = self._chat.channels.get(channel_id)
        if origins is None:
            refuse(404, "unknown_channel", "There is no such channel.")
        if request.headers.get("Origin") not in origins and not _is_own():
            refuse(403, "origin_not_allowed", "This web site may not use this channel.")

    def visitor(self, token: str, purpose: str) -> Visitor:
        """Return who a token speaks for.

        Raises:
            HTTPException: 401 for a token that is missing, forged or expired, and as `check_channel`.
        """
        try:
            visitor = self._tokens.verify(token, purpose)
        except ExpiredTokenError:
            refuse(401, "token_expired", "The token has expired: authenticate again.")
        except InvalidTokenError:
            refuse(401, "invalid_token", "The token is missing or not valid.")
        self.check_channel(visitor.channel_id)
        return visitor

    def bearer(self, purpose: str) -> Visitor:
        """Return who the request's token speaks for, given with or without `Bearer` before it.

        Raises:
            HTTPException: as `visitor`.
        """
        return self.visitor(request.headers.get("Authorization", "").removeprefix("Bearer "), purpose)

    def pace(self, visitor: Visitor) -> None:
        """Count a message of a conversation.

        Raises:
            HTTPException: 429 for too many of them.
        """
        _within(self._conversations, visitor.conversation_id)

    def pace_events(self, visitor: Visitor) -> None:
        """Count what a visitor does besides writing, apart from their messages.

        Raises:
            HTTPException: 429 for too much of it.
        """
        _within(self._events, visitor.conversation_id)


def _is_own() -> bool:
    """Say whether a page asks that is of the receiver's own origin: to read, browsers do not name it then.

    Scripts cannot set this header, https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header.
    """
    headers = request.headers
    return request.method == "GET" and "Origin" not in headers and headers.get("Sec-Fetch-Site") == "same-origin"


def _within(limit: RateLimit, key: str) -> None:
    wait = limit.wait(key)
    if wait:
        refuse(429, "too_many_requests", "Too many requests: try again later.", math.ceil(wait))


def _address(trusted_proxies: int) -> str:
    """Return what counts as one sender: an IPv4 address, or an IPv6 network. It is kept nowhere."""
    hops = (hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(","))
    route = [*filter(None, hops), request.remote_addr or ""]
    # Everything left of what our own proxies added may be invented.
    nearest = route[-1 - min(trusted_proxies, len(route) - 1)]
    try:
        address = ipaddress.ip_address(nearest)
    except ValueError:
        return nearest
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
