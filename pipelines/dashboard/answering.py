"""Takes what somebody answers in the reader of a conversation, and posts it to the receiver."""

import uuid
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for

from pipelines.dashboard import reply_box
from pipelines.dashboard.context import period
from pipelines.dashboard.conversations import reply_to, show
from pipelines.dashboard.reply_box import Draft
from pipelines.dashboard.warehouse import UnansweredError

pages = Blueprint("answering", __name__, url_prefix="/conversations")

MOST_BYTES = 256 * 1024
_OLD = "This form was made before the dashboard was started again, or long ago. Look at it once more, and answer."
_CLOSED = "The window is closed: nothing was sent."


@pages.post("/<conversation_id>/reply")
def answer(conversation_id: str) -> Any:
    """Post an answer, and show the conversation; where it was not taken, with the text and in words why."""
    request.max_content_length = MOST_BYTES
    if not reply_box.is_from_here():
        abort(403, "Only a page of this dashboard can answer.")
    # Browsers send line ends as CR and LF.
    text = request.form.get("text", "").replace("\r\n", "\n").strip()
    draft = Draft(text, _key(request.form.get("key", "")))
    try:
        return _answered(conversation_id, draft)
    except UnansweredError as error:
        # What somebody has written must not be lost with the page that was to show it.
        proof = reply_box.prove(conversation_id, draft.key, reply_box.now())
        page = render_template("unsent.html", error=error, draft=draft, proof=proof)
        response = make_response(page, 503 if error.will_pass else 502)
        response.headers["Referrer-Policy"] = "same-origin"
        return response


@pages.get("/<conversation_id>/reply")
def conversation(conversation_id: str) -> Any:
    """Lead whoever follows a link of a page that says why an answer was not taken, or asks for it once more."""
    here = url_for("conversations.conversation", conversation_id=conversation_id)
    query = urlencode(request.args.to_dict())
    return redirect(f"{here}?{query}" if query else here, 303)


def _answered(conversation_id: str, draft: Draft) -> Any:
    text = draft.text
    if not reply_box.is_ours(conversation_id, draft.key, request.form.get("proof", "")):
        return _again(conversation_id, draft, _OLD, 403)
    whom = reply_to(conversation_id)
    if whom is None:
        abort(404, "There is no such conversation in these days, or nobody can answer in it.")
    if problem := reply_box.unsendable(whom.endpoint, text):
        return _again(conversation_id, draft, problem, 400)
    if whom.is_closed:
        return _again(conversation_id, draft, _CLOSED, 409)
    reply_id, problem = reply_box.post(whom.address(), text, draft.key)
    if problem == reply_box.OTHER_TEXT:
        # The key stands for that text for ever: this one needs its own.
        return _again(conversation_id, Draft(text, str(uuid.uuid4())), problem, 409)
    if not reply_id:
        return _again(conversation_id, draft, problem, 502)
    # A reload of what follows posts nothing again. It is of today: there the answer shows.
    today = reply_box.now().date().isoformat()
    here: dict[str, Any] = {**period().query(), "day": today, "answered": reply_id, "_anchor": "answer"}
    return redirect(url_for("conversations.conversation", conversation_id=conversation_id, **here), 303)


def _again(conversation_id: str, draft: Draft, problem: str, status: int) -> Any:
    return show(conversation_id, Draft(draft.text, draft.key, problem), status)


def _key(text: str) -> str:
    """Return a form's key, another where that is none of ours."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return str(uuid.uuid4())
