"""Twilio: incoming messages and status callbacks, by POST or GET.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlparse

from flask import Blueprint, Response, abort, request
from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    add_port,
    get_signature_algorithm,
    remove_port,
)
from werkzeug.datastructures import MultiDict

from receiver.config import Settings
from receiver.event_loop import in_thread
from receiver.proofs.signatures import matches_any
from receiver.web.intake import UNSIGNED, receive, reject

SOURCE: Final = "twilio"
SIGNATURE: Final = "X-Twilio-Signature"
RETRY_MARK: Final = "I-Twilio-Idempotency-Token"
"""Equal in all tries of one request."""
FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 500
MAX_FORM_BYTES: Final = 256 * 1024
"""Many times what Twilio sends: a form is taken apart before its sender is proven."""
LARGE_FORM_BYTES: Final = 16 * 1024
"""A longer form is taken apart in a thread: each escape costs."""
BODY_HASH: Final = "bodySHA256"
INCOMING_STATES: Final = frozenset({"", "received", "receiving"})
TWIML: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the routes, or None where no auth token is set."""
    tokens = settings.secrets("TWILIO_AUTH_TOKENS")
    unsigned = settings.allows_unsigned(SOURCE)
    if not tokens and not unsigned:
        return None
    # Twilio signs the URL that was typed in its console; behind a proxy, the request has another.
    public_urls = settings.public_urls()
    if tokens and not public_urls:
        settings.problems.append("PARLEY_PUBLIC_URL is not set: Twilio signs the URL that it calls")
    routes = Blueprint(SOURCE, __name__)

    @routes.route("/twilio", methods=["GET", "POST"])
    def webhook() -> Response:
        """Take a message or a status callback, signed with the URL and the form."""
        form = _form()
        if not tokens:
            return receive(SOURCE, verified_by=UNSIGNED, answer=_answer(form))
        if not _is_signed(tokens, public_urls, form):
            reject(SOURCE, f"wrong or missing {SIGNATURE}")
        return receive(SOURCE, verified_by=SIGNATURE.lower(), answer=_answer(form), headers=[RETRY_MARK])

    return routes


def _form() -> "MultiDict[str, str]":
    """Return the body's form, empty for a body that is none.

    Raises:
        HTTPException: 413 for a form, 414 for a query that is too long or has too many fields.
    """
    if request.query_string.count(b"&") >= MAX_FIELDS:
        abort(414)
    if request.mimetype != FORM:
        return MultiDict()
    if (request.content_length or 0) > MAX_FORM_BYTES:
        abort(413)
    body = request.get_data()
    if body.count(b"&") >= MAX_FIELDS:
        abort(413)
    return in_thread(lambda: _parsed(body)) if len(body) > LARGE_FORM_BYTES else _parsed(body)


def _parsed(form: bytes) -> "MultiDict[str, str]":
    return MultiDict(parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))


def _is_signed(tokens: Sequence[str], public_urls: Sequence[str], form: "MultiDict[str, str]") -> bool:
    signature = request.headers.get(SIGNATURE, "")
    body = request.get_data()
    if not signature:
        return False
    # The signature covers the URL, and a form; any other body only by its hash in the URL.
    if not form and (body or BODY_HASH in request.args):
        told = request.args.get(BODY_HASH, "")
        if not matches_any(told, [hashlib.sha256(body).hexdigest()]):
            return False
    algorithm = get_signature_algorithm(request.headers.get(SIGNATURE_SETTINGS_HEADER))
    if algorithm.upper() not in {HMAC_SHA1, HMAC_SHA256}:
        return False
    urls = list(_urls(public_urls))

    def is_signed() -> bool:
        fields = _joined(form)
        expected = [
            RequestValidator(token).compute_signature(url + fields, None, algorithm)
            for token in tokens
            for url in _spelt(urls)
        ]
        return matches_any(signature, expected)

    return in_thread(is_signed) if form and len(body) > LARGE_FORM_BYTES else is_signed()


def _joined(form: "MultiDict[str, str]") -> str:
    """Return what is signed of a form: once for all URLs and tokens, as that of many fields costs most."""
    return "".join(name + value for name in sorted(form) for value in sorted(set(form.getlist(name))))


def _spelt(urls: Sequence[str]) -> Iterable[str]:
    """Return URLs as typed, with their port and without: Twilio is not consistent in this."""
    # The library's way loses an empty query, and a user's name before a port.
    parts = [urlparse(url) for url in urls]
    return dict.fromkeys([*urls, *map(add_port, parts), *map(remove_port, parts)])


def _urls(public_urls: Sequence[str]) -> Iterator[str]:
    """Yield the URLs that Twilio may have called, with the query as it came: Flask decodes parts of it."""
    query = request.query_string.decode("utf-8", "replace")
    for base in public_urls:
        yield f"{base}/twilio?{query}" if query else f"{base}/twilio"
        if not query:
            yield f"{base}/twilio?"


def _answer(form: "MultiDict[str, str]") -> Response:
    """Return an empty TwiML document for a message, so that nothing is answered, and nothing for a callback."""
    fields = form or request.args
    state = fields.get("MessageStatus") or fields.get("SmsStatus", "")
    if state.lower() in INCOMING_STATES:
        return Response(TWIML, content_type="text/xml")
    return Response(status=204)
