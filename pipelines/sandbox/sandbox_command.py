"""`parley sandbox`: runs the providers on this machine, until Ctrl-C."""

import os
import secrets
import socket
from typing import Any, Final

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from pipelines.run import local_stack
from pipelines.sandbox.app import create_app
from pipelines.sandbox.clock import MachineClock
from pipelines.sandbox.deliveries import Deliveries
from pipelines.sandbox.world import Account, World

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8070
_PAGE, _INSTAGRAM, _PHONE, _TWILIO = "1001", "1002", "1003", "AC" + "1" * 32


class Handler(WSGIRequestHandler):
    """Ends the connection where an answer is to be lost; says nothing of each request."""

    def make_environ(self) -> Any:
        """Let the app end the connection."""
        return super().make_environ() | {"sandbox.close": self._close}

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def _close(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def accounts(environ: dict[str, str], token: str) -> list[Account]:
    """Return an account of each provider, whose webhooks are signed with the environment's secrets."""

    def first(name: str) -> str:
        return environ.get(f"PARLEY_{name}", "").split(",")[0] or token

    page, phone, twilio = first("FACEBOOK_APP_SECRETS"), first("WHATSAPP_APP_SECRETS"), first("TWILIO_AUTH_TOKENS")
    return [
        Account("messenger", _PAGE, token, page),
        Account("instagram", _INSTAGRAM, token, page),
        Account("whatsapp", _PHONE, token, phone, "+15550100003"),
        Account("twilio", _TWILIO, twilio, twilio, "+15550100004"),
    ]


@click.command()
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Where to listen; 0 takes any free port.")
@click.option("--receiver", help="Where webhooks go; by default the receiver that runs in this folder.")
@click.option(
    "--seed", default=1, show_default=True, help="The same seed gives the same ids and the same mishaps."
)
@click.option("--token", envvar="PARLEY_SANDBOX_TOKEN", help="Graph's access token; made up by default.")
def sandbox(port: int, receiver: str | None, seed: int, token: str | None) -> None:
    """Be Graph (WhatsApp, Messenger, Instagram) and Twilio for whoever sends, until Ctrl-C.

    What is sent is answered as the providers do, and told back to the receiver in signed webhooks.
    docs/sandbox.md says how to let people write, and things go wrong.
    """
    local_stack.adopt()
    receiver = receiver or f"http://{HOST}:{os.environ.get('PARLEY_PORT', '8080')}"
    token = token or secrets.token_hex(16)
    clock = MachineClock()
    world = World(accounts(dict(os.environ), token), clock, seed)
    deliveries = Deliveries(clock)
    app = create_app(world, deliveries, receiver.rstrip("/"))
    try:
        server = make_server(HOST, port, app, threaded=True, request_handler=Handler)
    except SystemExit:
        # Werkzeug prints why, and leaves.
        raise click.ClickException(f"cannot listen on {HOST}:{port}") from None
    click.echo(f"Graph:  http://{HOST}:{server.port}/v23.0/…  Authorization: Bearer {token}")
    click.echo(f"Twilio: http://{HOST}:{server.port}/2010-04-01/Accounts/{_TWILIO}/Messages.json")
    click.echo(f"Accounts: http://{HOST}:{server.port}/sandbox/accounts; webhooks go to {receiver}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        deliveries.close()
