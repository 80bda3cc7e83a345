"""Graph as WhatsApp, Messenger and Instagram answer it: messages and media in, echoes and statuses out.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
https://developers.facebook.com/docs/messenger-platform/reference/send-api
"""

from collections.abc import Callable, Mapping
from functools import partial
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, jsonify, request

from pipelines.sandbox.deliveries import Deliveries, graph
from pipelines.sandbox.faults import LOST, Failure
from pipelines.sandbox.world import HUMAN_AGENT_SECONDS, WINDOW_SECONDS, Account, Sent, World
from receiver.proofs.signatures import matches_hmac_hex
from schemas.replies import SEEN_ON_WHATSAPP

_TYPES: Final = {
    "text": "body",
    "image": None,
    "audio": None,
    "video": None,
    "document": None,
    "sticker": None,
    "location": "latitude",
    "contacts": None,
    "interactive": "type",
    "template": "name",
    "reaction": "message_id",
}
"""WhatsApp's kinds of messages, and a member that each needs."""
_MEDIA: Final = frozenset({"image", "audio", "video", "document", "sticker"})
_TAGS: Final = frozenset({"HUMAN_AGENT"})
_MESSAGING_TYPES: Final = frozenset({"RESPONSE", "UPDATE", "MESSAGE_TAG"})
_LONGEST_TEXT: Final = {"whatsapp": 4096, "messenger": 2000, "instagram": 1000}
_MOST_BYTES: Final = {"instagram": 1000}
"""Of a text's UTF-8: https://developers.facebook.com/docs/messenger-platform/instagram/features/send-message"""
_APP_ID: Final = 1
_METHOD: Final = "GraphMethodException"


class Refusal(NamedTuple):
    """An error of Graph."""

    status: int
    code: int
    title: str
    details: str = ""
    subcode: int = 0
    kind: str = "OAuthException"


TOKEN: Final = Refusal(401, 190, "Invalid OAuth access token - Cannot parse access token")
UNKNOWN: Final = Refusal(
    400, 100, "Unsupported post request. Object with that ID does not exist", subcode=33, kind=_METHOD
)
PROOF: Final = Refusal(400, 100, "Invalid appsecret_proof provided in the API argument", kind=_METHOD)
TOO_FAST: Final = Refusal(429, 130429, "Rate limit hit", "Too many messages from this account in a short time")
TOO_FAST_FOR_ONE: Final = Refusal(400, 131056, "Pair rate limit hit", "Too many messages to this person")
CLOSED: Final = Refusal(400, 131047, "Re-engagement message", "More than 24 hours since the person last wrote")
CLOSED_PAGE: Final = Refusal(400, 10, "This message is sent outside of allowed window.")


def routes(world: World, deliveries: Deliveries, receiver: str) -> Blueprint:
    """Return Graph's routes; its webhooks go to the receiver's `/whatsapp` and `/facebook`."""
    blueprint = Blueprint("graph", __name__)

    @blueprint.post("/<version>/<identity>/messages")
    def send(version: str, identity: str) -> Response:
        """Take a message."""
        account, refusal = _caller(world, identity)
        if account is None:
            return _refuse(refusal)
        content = request.get_json(silent=True)
        if not isinstance(content, dict):
            return _refuse(_invalid("the body is no JSON object"))
        read = _read_whatsapp if account.provider == "whatsapp" else _read_page
        to, problem = read(content, account, world)
        fault = world.faults.meet(account.provider, to)
        if fault is not None and fault.answer != "lost":
            return _fail(fault.answer, fault.retry_after, account)
        if problem is not None:
            return _refuse(problem)
        answer = _done(content, account, to)
        if answer is None:
            message = world.record(_accept(world, account, to, content))
            _tell(world, deliveries, receiver, account, message)
            answer = _answer(account, message)
        return Response(status=LOST) if fault is not None else jsonify(answer)

    @blueprint.post("/<version>/<identity>/media")
    def upload(version: str, identity: str) -> Response:
        """Take media."""
        account, refusal = _caller(world, identity)
        if account is None:
            return _refuse(refusal)
        if "file" not in request.files:
            return _refuse(_invalid("file is required"))
        return jsonify({"id": world.upload()})

    return blueprint


def _caller(world: World, identity: str) -> tuple[Account | None, Refusal]:
    account = world.account(identity)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.args.get(
        "access_token", ""
    )
    if account is None or account.provider == "twilio":
        return None, UNKNOWN
    if not compare_digest(given.encode(), account.token.encode()):
        return None, TOKEN
    proof = request.args.get("appsecret_proof")
    if proof is not None and not matches_hmac_hex(proof, [account.secret], given.encode()):
        return None, PROOF
    if world.is_too_fast(account):
        return None, TOO_FAST
    return account, TOKEN


def _invalid(details: str) -> Refusal:
    return Refusal(400, 100, "Invalid parameter", details)


def _done(content: Mapping[str, Any], account: Account, to: str) -> dict[str, Any] | None:
    """Return what typing and seen are answered with: they are no messages, and nothing is told of them."""
    if account.provider == "whatsapp":
        return {"success": True} if content.get("status") == SEEN_ON_WHATSAPP else None
    return {"recipient_id": to} if isinstance(content.get("sender_action"), str) else None


def _read_whatsapp(content: Mapping[str, Any], account: Account, world: World) -> tuple[str, Refusal | None]:
    """Return whom a message is for, and what is wrong with it."""
    to = str(content.get("to") or content.get("recipient") or "").lstrip("+")
    kind = content.get("type", "text")
    problem = None
    if content.get("messaging_product") != "whatsapp":
        problem = _invalid("messaging_product must be whatsapp")
    elif content.get("status") == SEEN_ON_WHATSAPP:
        return to, None if content.get("message_id") else _invalid("message_id is required")
    elif not to:
        problem = _invalid("to is required")
    elif kind not in _TYPES or not isinstance(content.get(kind), dict | list):
        problem = _invalid(f"type {kind!r} needs an object {kind!r}")
    else:
        problem = _of_kind(kind, content[kind], world)
    if problem is None and kind != "template" and not _is_open(world, account, to, WINDOW_SECONDS):
        problem = CLOSED
    if problem is None and world.is_too_fast_for(account, to):
        problem = TOO_FAST_FOR_ONE
    return to, problem


def _of_kind(kind: str, part: Any, world: World) -> Refusal | None:
    needed = _TYPES[kind]
    if needed and not (isinstance(part, dict) and part.get(needed)):
        return _invalid(f"{kind}.{needed} is required")
    if kind == "text" and len(part["body"]) > _LONGEST_TEXT["whatsapp"]:
        return _invalid(f"text.body is longer than {_LONGEST_TEXT['whatsapp']} characters")
    if kind in _MEDIA:
        if bool(part.get("id")) == bool(part.get("link")):
            return _invalid(f"{kind} needs either id or link")
        if part.get("id") and not world.has_media(str(part["id"])):
            return _invalid(f"{kind}.id is no media of this account, or older than 30 days")
    return None


def _read_page(content: Mapping[str, Any], account: Account, world: World) -> tuple[str, Refusal | None]:
    recipient = content.get("recipient")
    to = str(recipient.get("id") or "") if isinstance(recipient, dict) else ""
    message = content.get("message")
    kind = content.get("messaging_type", "RESPONSE")
    seconds, problem = WINDOW_SECONDS, None
    if not to:
        problem = _invalid("recipient.id is required")
    elif isinstance(content.get("sender_action"), str):
        return to, None
    elif not isinstance(message, dict) or not (message.get("text") or message.get("attachment")):
        problem = _invalid("message needs text or attachment")
    elif len(str(message.get("text", ""))) > _LONGEST_TEXT[account.provider]:
        problem = _invalid(f"message.text is longer than {_LONGEST_TEXT[account.provider]} characters")
    elif account.provider in _MOST_BYTES and _bytes(message.get("text", "")) > _MOST_BYTES[account.provider]:
        problem = _invalid(f"message.text has more than {_MOST_BYTES[account.provider]} bytes")
    elif kind not in _MESSAGING_TYPES:
        problem = _invalid(f"messaging_type must be one of {', '.join(sorted(_MESSAGING_TYPES))}")
    elif kind == "MESSAGE_TAG":
        seconds = HUMAN_AGENT_SECONDS
        if content.get("tag") not in _TAGS:
            problem = _invalid("tag must be HUMAN_AGENT")
    if problem is None and not _is_open(world, account, to, seconds):
        problem = CLOSED_PAGE
    return to, problem


def _bytes(text: Any) -> int:
    # JSON can escape half a character.
    return len(str(text).encode("utf-8", "surrogatepass"))


def _is_open(world: World, account: Account, to: str, seconds: float) -> bool:
    since = world.since_written(account.id, to)
    return since is not None and since < seconds


def _accept(world: World, account: Account, to: str, content: dict[str, Any]) -> Sent:
    prefix = "wamid." if account.provider == "whatsapp" else "m_"
    fate = "failed" if to in world.deaf else "read"
    error = 131026 if fate == "failed" and account.provider == "whatsapp" else None
    return Sent(
        world.new_id(prefix), account.provider, account.id, to, world.clock.now(), content, fate=fate, error=error
    )


def _answer(account: Account, message: Sent) -> dict[str, Any]:
    if account.provider == "whatsapp":
        return {
            "messaging_product": "whatsapp",
            "contacts": [{"input": message.to, "wa_id": message.to}],
            "messages": [{"id": message.id}],
        }
    return {"recipient_id": message.to, "message_id": message.id}


def _fail(answer: Failure, retry_after: int, account: Account) -> Response:
    if answer == "429":
        response = _refuse(TOO_FAST)
        response.headers["Retry-After"] = str(retry_after)
        return response
    if answer == "token":
        return _refuse(TOKEN)
    if answer == "window":
        return _refuse(CLOSED if account.provider == "whatsapp" else CLOSED_PAGE)
    return _refuse(Refusal(int(answer), 2, "Service temporarily unavailable"))


def _refuse(refusal: Refusal) -> Response:
    error: dict[str, Any] = {
        "message": f"(#{refusal.code}) {refusal.title}",
        "type": refusal.kind,
        "code": refusal.code,
        "fbtrace_id": "sandbox",
    }
    if refusal.subcode:
        error["error_subcode"] = refusal.subcode
    if refusal.details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": refusal.details}
    response = jsonify({"error": error})
    response.status_code = refusal.status
    return response


def _tell(world: World, deliveries: Deliveries, receiver: str, account: Account, message: Sent) -> None:
    """Plan the webhooks that tell what becomes of a message."""
    payloads: list[Callable[[float], dict[str, Any]]]
    if account.provider == "whatsapp":
        states = ["sent", "failed"] if message.fate == "failed" else ["sent", "delivered", "read"]
        payloads = [partial(_tell_state, account, message, state) for state in states]
        url = f"{receiver}/whatsapp"
    else:
        kinds = (_echo, _delivered, _seen) if account.provider == "messenger" else (_echo, _seen)
        payloads = [partial(kind, account, message) for kind in kinds]
        url = f"{receiver}/facebook"
    with world.lock:
        plan = world.faults.plan(len(payloads), world.dice)
    for seconds, number in plan:
        deliveries.add(seconds, graph(url, payloads[number](message.at + seconds), account.secret))


def whatsapp(account: Account, **value: Any) -> dict[str, Any]:
    """Return a webhook of WhatsApp's field `messages`."""
    metadata = {"display_phone_number": account.number.lstrip("+"), "phone_number_id": account.id}
    change = {"value": {"messaging_product": "whatsapp", "metadata": metadata, **value}, "field": "messages"}
    return {"object": "whatsapp_business_account", "entry": [{"id": f"waba-{account.id}", "changes": [change]}]}


def page(account: Account, at: float, **item: Any) -> dict[str, Any]:
    """Return a webhook of Messenger or Instagram with one item."""
    kind = "page" if account.provider == "messenger" else "instagram"
    moment = int(at * 1000)
    return {
        "object": kind,
        "entry": [{"id": account.id, "time": moment, "messaging": [{"timestamp": moment, **item}]}],
    }


def _tell_state(account: Account, message: Sent, state: str, at: float) -> dict[str, Any]:
    return whatsapp(account, statuses=[_status(message, state, at)])


def _status(message: Sent, state: str, at: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": message.id,
        "status": state,
        "timestamp": str(int(at)),
        "recipient_id": message.to,
    }
    if callback := message.request.get("biz_opaque_callback_data"):
        told["biz_opaque_callback_data"] = callback
    if state == "failed":
        told["errors"] = [{"code": message.error, "title": "Message undeliverable"}]
    return told


def _echo(account: Account, message: Sent, at: float) -> dict[str, Any]:
    content = message.request.get("message", {})
    told = {"mid": message.id, "is_echo": True, "app_id": _APP_ID}
    told |= {name: content[name] for name in ("text", "metadata", "quick_replies") if name in content}
    if "attachment" in content:
        told["attachments"] = [content["attachment"]]
    return page(account, at, sender={"id": account.id}, recipient={"id": message.to}, message=told)


def _delivered(account: Account, message: Sent, at: float) -> dict[str, Any]:
    told = {"mids": [message.id], "watermark": int(at * 1000)}
    return page(account, at, sender={"id": message.to}, recipient={"id": account.id}, delivery=told)


def _seen(account: Account, message: Sent, at: float) -> dict[str, Any]:
    told: dict[str, Any] = {"watermark": int(at * 1000)}
    if account.provider == "instagram":
        told = {"mid": message.id}
    return page(account, at, sender={"id": message.to}, recipient={"id": account.id}, read=told)
