"""Twilio's Messages resource: SMS and WhatsApp in, status callbacks out.

https://www.twilio.com/docs/messaging/api/message-resource
"""

import datetime as dt
from email.utils import format_datetime
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, jsonify, request

from pipelines.sandbox.deliveries import Deliveries, twilio
from pipelines.sandbox.faults import LOST, Fault
from pipelines.sandbox.world import WINDOW_SECONDS, Account, Sent, World

_VERSION: Final = "2010-04-01"
_LONGEST_BODY: Final = 1600
_WHATSAPP: Final = "whatsapp:"
_FINAL: Final = {"delivered", "read", "undelivered", "failed"}


class Refusal(NamedTuple):
    """An error of Twilio's API."""

    status: int
    code: int
    message: str


CREDENTIALS: Final = Refusal(401, 20003, "Authenticate")
TOO_MANY: Final = Refusal(429, 20429, "Too Many Requests")
NOT_FOUND: Final = Refusal(404, 20404, "The requested resource was not found")


def routes(world: World, deliveries: Deliveries) -> Blueprint:
    """Return the routes of an account's messages; status callbacks go where each message says."""
    blueprint = Blueprint("twilio", __name__, url_prefix=f"/{_VERSION}/Accounts/<sid>")

    @blueprint.post("/Messages.json")
    def send(sid: str) -> Response:
        """Take a message."""
        account, refusal = _caller(world, sid)
        if account is None:
            return _refuse(refusal)
        form = request.form.to_dict()
        fault = world.faults.meet("twilio", form.get("To", ""))
        if fault is not None and fault.answer not in {"lost", "window"}:
            return _fail(fault)
        problem = _problem(form)
        if problem is not None:
            return _refuse(problem)
        message = world.record(_accept(world, account, form, closed=bool(fault and fault.answer == "window")))
        _tell(world, deliveries, account, message)
        if fault is not None and fault.answer == "lost":
            return Response(status=LOST)
        response = jsonify(_resource(message, "queued"))
        response.status_code = 201
        return response

    @blueprint.get("/Messages.json")
    def list_(sid: str) -> Response:
        """List messages, the latest first, by To, From and DateSent."""
        account, refusal = _caller(world, sid)
        if account is None:
            return _refuse(refusal)
        found = [each for each in reversed(world.sent) if each.account == sid and _fits(each)]
        uri = f"/{_VERSION}/Accounts/{sid}/Messages.json"
        return jsonify(
            {
                "messages": [_resource(each, each.fate) for each in found],
                "page": 0,
                "page_size": 50,
                "uri": uri,
                "first_page_uri": uri,
                "next_page_uri": None,
                "previous_page_uri": None,
            }
        )

    @blueprint.get("/Messages/<message>.json")
    def get(sid: str, message: str) -> Response:
        """Return one message."""
        account, refusal = _caller(world, sid)
        if account is None:
            return _refuse(refusal)
        found = world.find(message)
        return jsonify(_resource(found, found.fate)) if found else _refuse(NOT_FOUND)

    return blueprint


def _caller(world: World, sid: str) -> tuple[Account | None, Refusal]:
    account, given = world.account(sid), request.authorization
    token = (given.password or "") if given and given.username == sid else ""
    if account is None or not compare_digest(token.encode(), account.token.encode()):
        return None, CREDENTIALS
    if world.is_too_fast(account):
        return None, TOO_MANY
    return account, CREDENTIALS


def _problem(form: dict[str, str]) -> Refusal | None:
    """Return what is wrong with a message."""
    problem = None
    if not form.get("To"):
        problem = Refusal(400, 21604, "A 'To' phone number is required.")
    elif not (form.get("From") or form.get("MessagingServiceSid")):
        problem = Refusal(400, 21603, "A 'From' phone number is required.")
    elif not (form.get("Body") or form.get("MediaUrl") or form.get("ContentSid")):
        problem = Refusal(400, 21602, "Message body is required.")
    elif len(form.get("Body", "")) > _LONGEST_BODY:
        problem = Refusal(
            400, 21617, f"The concatenated message body exceeds the {_LONGEST_BODY} character limit."
        )
    elif not form["To"].removeprefix(_WHATSAPP).lstrip("+").isdigit():
        problem = Refusal(400, 21211, f"Invalid 'To' Phone Number: {form['To'][:40]}")
    return problem


def _accept(world: World, account: Account, form: dict[str, str], closed: bool) -> Sent:
    to, fate, error = form["To"], "delivered", None
    since = world.since_written(account.id, to)
    if to in world.deaf:
        fate, error = "undelivered", 30003
    elif closed or (to.startswith(_WHATSAPP) and (since is None or since >= WINDOW_SECONDS)):
        # Twilio takes the message, and tells later that WhatsApp did not.
        fate, error = "undelivered", 63016
    sid = world.new_id("SM", 16)
    return Sent(sid, "twilio", account.id, to, world.clock.now(), form, fate=fate, error=error)


def _fail(fault: Fault) -> Response:
    if fault.answer == "429":
        response = _refuse(TOO_MANY)
        response.headers["Retry-After"] = str(fault.retry_after)
        return response
    if fault.answer == "token":
        return _refuse(CREDENTIALS)
    if fault.answer == "503":
        return _refuse(Refusal(503, 20503, "Service unavailable"))
    return _refuse(Refusal(int(fault.answer), 20500, "An internal server error has occurred"))


def _refuse(refusal: Refusal) -> Response:
    response = jsonify(
        {
            "code": refusal.code,
            "message": refusal.message,
            "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
            "status": refusal.status,
        }
    )
    response.status_code = refusal.status
    return response


def _fits(message: Sent) -> bool:
    asked = request.args
    day = dt.datetime.fromtimestamp(message.at, dt.UTC).date().isoformat()
    return (
        asked.get("To", message.to) == message.to
        and asked.get("From", message.request.get("From")) == message.request.get("From")
        and asked.get("DateSent", day)[:10] == day
    )


def _resource(message: Sent, status: str) -> dict[str, Any]:
    moment = format_datetime(dt.datetime.fromtimestamp(message.at, dt.UTC))
    return {
        "account_sid": message.account,
        "api_version": _VERSION,
        "body": message.request.get("Body", ""),
        "date_created": moment,
        "date_sent": moment if status in _FINAL else None,
        "date_updated": moment,
        "direction": "outbound-api",
        "error_code": message.error if status in _FINAL else None,
        "error_message": None,
        "from": message.request.get("From"),
        "messaging_service_sid": message.request.get("MessagingServiceSid"),
        "num_media": "1" if message.request.get("MediaUrl") else "0",
        "num_segments": str(1 + max(0, len(message.request.get("Body", "")) - 1) // 153),
        "price": None,
        "price_unit": "USD",
        "sid": message.id,
        "status": status,
        "subresource_uris": {},
        "to": message.to,
        "uri": f"/{_VERSION}/Accounts/{message.account}/Messages/{message.id}.json",
    }


def _tell(world: World, deliveries: Deliveries, account: Account, message: Sent) -> None:
    """Plan the status callbacks of a message, where it names an address for them."""
    url = message.request.get("StatusCallback")
    states = ["queued", "sent", message.fate]
    with world.lock:
        plan = world.faults.plan(len(states), world.dice)
    for seconds, number in plan if url else ():
        form = {
            "MessageSid": message.id,
            "SmsSid": message.id,
            "MessageStatus": states[number],
            "SmsStatus": states[number],
            "AccountSid": message.account,
            "From": message.request.get("From", ""),
            "To": message.to,
            "ApiVersion": _VERSION,
        }
        if message.error and states[number] in _FINAL:
            form["ErrorCode"] = str(message.error)
        deliveries.add(seconds, twilio(str(url), form, account.secret))
