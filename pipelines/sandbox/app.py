"""The sandbox's web app: the providers' routes, and `/sandbox/…` by which a person or a test plays with them."""

from typing import Any, Final, TypeVar

import msgspec
from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.wrappers import Response as AnyResponse

from pipelines.sandbox import graph_api, twilio_api
from pipelines.sandbox.deliveries import Deliveries
from pipelines.sandbox.faults import LOST, Fault, Habits
from pipelines.sandbox.people import write
from pipelines.sandbox.world import World

T = TypeVar("T")
_CONTROLS: Final = "/sandbox"


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """What a person writes, and to whom."""

    account: str
    person: str
    text: str


def create_app(world: World, deliveries: Deliveries, receiver: str) -> Flask:
    """Return the app; webhooks go to the receiver at this address."""
    app = Flask("pipelines.sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 32 * 1024 * 1024
    app.register_blueprint(twilio_api.routes(world, deliveries))
    app.register_blueprint(_controls(world, deliveries, receiver), url_prefix=_CONTROLS)
    app.register_blueprint(graph_api.routes(world, deliveries, receiver))
    app.before_request(lambda: None if request.path.startswith(f"{_CONTROLS}/") else world.count_request())
    app.after_request(_lose)
    return app


def _lose(response: AnyResponse) -> AnyResponse:
    """Let the connection end without an answer, where that is asked for."""
    if response.status_code == LOST:
        # The server that runs this app closes the connection; under a test client the status is seen.
        close = request.environ.get("sandbox.close")
        if close is not None:
            close()
    return response


def _controls(world: World, deliveries: Deliveries, receiver: str) -> Blueprint:
    controls = Blueprint("sandbox", __name__)

    @controls.get("/accounts")
    def accounts() -> Response:
        """Return the accounts, to send from."""
        return jsonify([msgspec.to_builtins(each) for each in world.accounts()])

    @controls.post("/people")
    def people() -> Any:
        """Let a person write."""
        said, problem = _read(Said)
        account = world.account(said.account) if said else None
        if said is None or account is None:
            return {"error": problem or "no such account"}, 400
        return {"id": write(world, deliveries, receiver, account, said.person, said.text)}

    @controls.post("/faults")
    def add_fault() -> Any:
        """Let further calls fail."""
        fault, problem = _read(Fault)
        if fault is None:
            return {"error": problem}, 400
        world.faults.add(fault)
        return {}

    @controls.put("/habits")
    def set_habits() -> Any:
        """Say how webhooks are delivered."""
        habits, problem = _read(Habits)
        if habits is None:
            return {"error": problem}, 400
        world.faults.habits = habits
        return {}

    @controls.delete("/faults")
    def clear_faults() -> Any:
        """Let nothing fail any more."""
        world.faults.clear()
        return {}

    @controls.put("/deaf")
    def set_deaf() -> Any:
        """Say who cannot be reached."""
        names, problem = _read(list[str])
        if names is None:
            return {"error": problem}, 400
        world.deaf = frozenset(names)
        return {}

    @controls.get("/messages")
    def messages() -> Response:
        """Return everything that was accepted."""
        with world.lock:
            return jsonify([msgspec.to_builtins(each) for each in world.sent])

    @controls.get("/requests")
    def requests() -> Response:
        """Return how many calls the providers have got, whatever became of them."""
        return jsonify({"requests": world.requests})

    @controls.get("/webhooks")
    def webhooks() -> Response:
        """Return every webhook that was delivered, in order, and how it was answered."""
        return jsonify(
            [
                {"url": made.url, "content": made.content.decode("utf-8", "replace"), "status": made.status}
                for made in list(deliveries.made)
            ]
        )

    return controls


def _read(kind: type[T]) -> tuple[T | None, str]:
    try:
        return msgspec.json.decode(request.get_data(), type=kind), ""
    except msgspec.DecodeError as error:
        return None, str(error)
