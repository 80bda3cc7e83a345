"""Twilio: incoming messages and status callbacks, by POST or GET.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import parse_qsl

from flask import Blueprint, Response, abort, request
from twilio.request_validator import SIGNATURE_SETTINGS_HEADER, RequestValidator, get_signature_algorithm
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
    hashed = not form and (bool(body) or BODY_HASH in request.args)
    if hashed and BODY_HASH not in request.args:
        return False
    algorithm = get_signature_algorithm(request.headers.get(SIGNATURE_SETTINGS_HEADER))
    found = False
    for token in tokens:
        validator = RequestValidator(token)
        for url in _urls(public_urls):
            try:
                # Its answer for a JSON body needs the text, for a form the fields.
                found |= validator.validate(url, body.decode() if hashed else form, signature, algorithm)
                if not hashed:
                    # As typed: the validator loses an empty query and a user's name before a port.
                    found |= matches_any(signature, [validator.compute_signature(url, form, algorithm)])
            except ValueError:
                # An algorithm that does not exist, or a body that is no text.
                continue
    return found


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
