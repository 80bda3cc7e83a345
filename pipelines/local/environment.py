"""The environment of a local stack: ports, addresses and secrets, as the variables that production sets too."""

import json
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipelines.run.local_stack import STACK_FILE
from schemas.replies import SOURCES

PROJECT = "parley-local"
CHAT_CHANNEL = "demo"
"""The live chat of the local stack, on the receiver's own demo page."""
REPLY_TOKEN = "PARLEY_REPLY_TOKEN"  # noqa: S105 - the name of a variable
"""With which `parley reply` posts."""
METRICS_TOKEN = "PARLEY_METRICS_TOKEN"  # noqa: S105 - the name of a variable
"""With which the dashboard reads the receiver's metrics."""
GRAPH_SOURCES = ("facebook", "instagram", "whatsapp")
TWILIO_ACCOUNT = "AC" + "1" * 32
"""The sandbox's."""
_SECRETS_FILE = "secrets.json"
# What the sources of the receiver need before they open; each a secret of this folder's own.
_SECRETS = (
    "PARLEY_FACEBOOK_APP_SECRETS",
    "PARLEY_FACEBOOK_VERIFY_TOKENS",
    "PARLEY_WHATSAPP_APP_SECRETS",
    "PARLEY_WHATSAPP_VERIFY_TOKENS",
    "PARLEY_TWILIO_AUTH_TOKENS",
    "PARLEY_GOOGLE_KEYS",
    "PARLEY_GOOGLE_CLIENT_TOKENS",
    "PARLEY_AIRY_SIGNATURE_KEYS",
    "PARLEY_CHATPLUGIN_SECRETS",
    "PARLEY_SANDBOX_TOKEN",
    REPLY_TOKEN,
    METRICS_TOKEN,
)


class Ports(msgspec.Struct, frozen=True):
    """Where the parts of the stack listen, all on 127.0.0.1."""

    receiver: int = 8080
    pubsub: int = 8085
    bigquery: int = 9050
    bigquery_grpc: int = 9060
    dashboard: int = 8090
    sandbox: int = 8070

    def freed(self) -> "Ports":
        """Return the same ports, with any free one in place of one that is taken."""
        taken: set[int] = set()
        ports = {}
        for name, port in msgspec.structs.asdict(self).items():
            ports[name] = _free(port, taken)
            taken.add(ports[name])
        return Ports(**ports)


def variables(folder: Path, ports: Ports, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what production would set, pointing at a local stack; what the user has set stays.

    The data lies under the folder, and so do the secrets that were made up for it.
    """
    folder = folder.resolve()
    secret = _made_up_secrets(folder)
    sandbox = f"http://127.0.0.1:{ports.sandbox}"
    local = {
        "PARLEY_PROJECT": PROJECT,
        "PARLEY_ARCHIVE": str(folder / "archive"),
        "PARLEY_DATA_DIR": str(folder / "receiver"),
        "PARLEY_HOST": "127.0.0.1",
        "PARLEY_PORT": str(ports.receiver),
        "PARLEY_WORKERS": "1",
        "PARLEY_PUBLIC_URL": f"http://127.0.0.1:{ports.receiver}",
        "PARLEY_CHATPLUGIN_CHANNELS": json.dumps({CHAT_CHANNEL: [f"http://127.0.0.1:{ports.receiver}"]}),
        "PARLEY_CHATPLUGIN_DEMO": CHAT_CHANNEL,
        # The local BigQuery has no write buffer, whose rows cannot be replaced.
        "PARLEY_STREAMING_BUFFER_MINUTES": "0",
        "PARLEY_METRICS_TOKENS": secret[METRICS_TOKEN],
        # Asking the local BigQuery costs nothing.
        "PARLEY_DASHBOARD_REFRESH_SECONDS": "15",
        "PARLEY_REPLY_TOKENS": json.dumps(
            {"local": {"tokens": [secret[REPLY_TOKEN]], "channels": [f"{source}/*" for source in SOURCES]}}
        ),
        "PARLEY_GRAPH_URL": f"{sandbox}/v23.0",
        "PARLEY_TWILIO_URL": sandbox,
        "PARLEY_SEND_CHANNELS": json.dumps(_sandbox_channels(secret)),
        **secret,
    }
    addresses = {
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{ports.pubsub}",
        "PUBSUB_PROJECT_ID": PROJECT,
        "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{ports.bigquery}",
        "BIGQUERY_STORAGE_GRPC_ENDPOINT": f"127.0.0.1:{ports.bigquery_grpc}",
        # Without it every client spends seconds in looking for Google's metadata server.
        "NO_GCE_CHECK": "true",
    }
    chosen = {name: environ.get(name) or value for name, value in local.items()}
    # Some port may be in use by another stack, so the port is ours to say.
    return {**chosen, "PARLEY_PROJECT": PROJECT, "PARLEY_PORT": str(ports.receiver), **addresses}


def save(folder: Path, values: Mapping[str, str]) -> None:
    """Let other commands in this folder find the running stack."""
    _write_private(folder / STACK_FILE, dict(values))


def forget(folder: Path) -> None:
    """Say that the stack has stopped."""
    (folder / STACK_FILE).unlink(missing_ok=True)


def _made_up_secrets(folder: Path) -> dict[str, str]:
    path = folder / _SECRETS_FILE
    known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    values = {name: known.get(name) or secrets.token_hex(16) for name in _SECRETS}
    if values != known:
        _write_private(path, values)
    return values


def _sandbox_channels(secret: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the channels of the sandbox, by which the sender sends."""
    graph = {f"{source}/*": {"token": secret["PARLEY_SANDBOX_TOKEN"]} for source in GRAPH_SOURCES}
    return graph | {"twilio/*": {"token": secret["PARLEY_TWILIO_AUTH_TOKENS"], "account": TWILIO_ACCOUNT}}


def _write_private(path: Path, values: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(values, indent=2), "utf-8")


def _free(port: int, taken: set[int]) -> int:
    for candidate in (port, 0):
        if candidate in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            if found not in taken:
                return found
    return _free(0, taken)
