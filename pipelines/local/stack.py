"""`parley run`: every part of Parley on this machine, each a process, until Ctrl-C."""

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from string import Template

import click
from honcho.printer import Message, Printer

from pipelines.local import environment, keeper, ready
from pipelines.local.environment import Ports
from pipelines.local.ordered_manager import OrderedManager
from pipelines.run import local_stack

PARTS = ("pubsub", "bigquery", "receiver", "dashboard", "sandbox", "sender", "pipeline")
_SERVERS = ("pubsub", "bigquery")
_START_SECONDS = 90.0
# Ctrl-C should be obeyed soon: Pub/Sub keeps what was not stored by then.
_STOP_SECONDS = 2.0
_GOOGLE_EMULATOR = Path("platform/pubsub-emulator/bin/cloud-pubsub-emulator")


def google_emulator() -> Path | None:
    """Return Google's Pub/Sub emulator, where a Cloud SDK with it and a Java to run it are installed."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        return None
    path = Path(gcloud).resolve().parent.parent / _GOOGLE_EMULATOR
    return path if path.exists() else None


def commands(folder: Path, ports: Ports, pubsub: str, stop_seconds: float = 20.0) -> dict[str, str]:
    """Return the command line of each part of the stack; the pipeline has so long to store what it has read."""
    python = shlex.quote(sys.executable)
    data = shlex.quote(str(folder.resolve()))
    emulator = google_emulator() if pubsub != "own" else None
    if pubsub == "google" and emulator is None:
        raise click.UsageError("Google's Pub/Sub emulator needs a Cloud SDK with the component and Java")
    if emulator:
        broker = f"{shlex.quote(str(emulator))} --host=127.0.0.1 --port={ports.pubsub}"
    else:
        broker = f"{python} -m pipelines.local.pubsub --port {ports.pubsub} --data-dir {data}/pubsub"
    return {
        "pubsub": f"exec {broker}",
        "bigquery": f"exec {python} -m pipelines.local.bigquery --rest-port {ports.bigquery} "
        f"--grpc-port {ports.bigquery_grpc} --data-dir {data}/bigquery --gcs-root {data}/gcs",
        "receiver": f"exec {python} -m receiver",
        "dashboard": f"exec {python} -m pipelines.cli dashboard --port {ports.dashboard}",
        "sandbox": f"exec {python} -m pipelines.cli sandbox --port {ports.sandbox}",
        "sender": f"{python} -m pipelines.local.ready --part sender && exec {python} -m pipelines.cli send",
        "pipeline": f"{python} -m pipelines.local.ready && "
        f'exec {python} -m pipelines.cli stream --catch-up "$PARLEY_ARCHIVE" '
        f"--in_hand {data}/pipeline --stop_seconds {stop_seconds:g}",
    }


@click.group(invoke_without_command=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=local_stack.DEFAULT_FOLDER,
    show_default=True,
)
@click.option("--port", type=int, help=f"The receiver's; by default {Ports().receiver}, or another that is free.")
@click.option(
    "--pubsub",
    type=click.Choice(["auto", "google", "own"]),
    default="auto",
    show_default=True,
    help="auto takes Google's emulator where a Cloud SDK has it, else Parley's own.",
)
@click.pass_context
def run(ctx: click.Context, folder: Path, port: int | None, pubsub: str) -> None:
    """Run receiver, Pub/Sub, pipeline and BigQuery here, until Ctrl-C. Data stays in FOLDER.

    A part that dies is started again. To rehearse an outage, stop a part from another terminal.
    """
    ctx.obj = folder
    if ctx.invoked_subcommand is None:
        with _alone_in(folder):
            sys.exit(_run(folder, _ports(port), pubsub))


@run.command()
@click.argument("part", type=click.Choice(PARTS))
@click.pass_obj
def stop(folder: Path, part: str) -> None:
    """Take a part of the running stack away, until `start`."""
    _tell(folder, part, keeper.HOLD)


@run.command()
@click.argument("part", type=click.Choice(PARTS))
@click.pass_obj
def start(folder: Path, part: str) -> None:
    """Start a part again that `stop` has taken away."""
    _tell(folder, part, keeper.GO_ON)


def _tell(folder: Path, part: str, number: signal.Signals) -> None:
    state = _state(folder, part)
    running = number == keeper.GO_ON
    try:
        keeper.tell(state, number)
        ready.wait_for(f"the {part}", lambda: keeper.runs(state) == running, _START_SECONDS)
    except ProcessLookupError:
        raise click.ClickException(f"no stack runs in {folder}: start one with `parley run`") from None
    except ready.NotReadyError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{part} {'runs' if running else 'is stopped'}")


def _state(folder: Path, part: str) -> Path:
    return folder / "parts" / f"{part}.json"


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for one stack.

    Raises:
        click.ClickException: another runs in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / local_stack.LOCK_FILE).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"a stack runs in {folder.resolve()} already; stop it with Ctrl-C, or give another --folder"
            ) from None
        yield


def _ports(receiver: int | None) -> Ports:
    """Return free ports; the receiver's is the one that is asked for.

    Raises:
        click.ClickException: that one is taken.
    """
    wanted = Ports() if receiver is None else Ports(receiver=receiver)
    ports = wanted.freed()
    if receiver is not None and ports.receiver != receiver:
        raise click.ClickException(f"the port {receiver} is taken: give another --port, or none")
    return ports


def _run(folder: Path, ports: Ports, pubsub: str) -> int:
    """Run all parts until Ctrl-C; return the exit code."""
    values = environment.variables(folder, ports)
    os.environ.update(values)
    Path(values["PARLEY_ARCHIVE"]).mkdir(parents=True, exist_ok=True)
    (folder / "parts").mkdir(exist_ok=True)
    printer = _Listener(sys.stdout)
    users = [_state(folder.resolve(), part) for part in PARTS if part not in _SERVERS]
    manager = OrderedManager(printer, users)
    for name, line in commands(folder, ports, pubsub, _STOP_SECONDS).items():
        kept = keeper.command(_state(folder.resolve(), name), line)
        manager.add_process(name, kept, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    announcer = threading.Thread(target=_announce, args=(folder, values, ports, printer), daemon=True)
    announcer.start()
    try:
        manager.loop()
    finally:
        environment.forget(folder)
    return 0 if manager.returncode in {130, 143} else int(manager.returncode or 0)


class _Listener(Printer):
    """Prints what the parts say, and listens for the one that has no address at which it would answer."""

    pipeline_reads = False

    def write(self, message: Message) -> None:
        super().write(message)
        if message.name == "pipeline" and local_stack.PIPELINE_READS in str(message.data):
            self.pipeline_reads = True


def _announce(folder: Path, values: dict[str, str], ports: Ports, heard: _Listener) -> None:
    try:
        ready.wait_for("BigQuery with its tables", ready.tables, _START_SECONDS)
        ready.wait_for("the receiver", ready.receiver, _START_SECONDS)
        ready.wait_for("the pipeline", lambda: heard.pipeline_reads, _START_SECONDS)
    except ready.NotReadyError as error:
        click.echo(f"Parley is not complete: {error}. See the lines above.", err=True)
        return
    environment.save(folder, values)
    click.echo(_guide(folder, values, ports))


_GUIDE = """
Parley runs. Everything it keeps is in $folder. Ctrl-C stops it. A part that dies is started again; to
rehearse an outage, `parley run stop pubsub` in another terminal, and `parley run start pubsub`.

  webhooks  $url, and the other sources' paths
  dashboard http://127.0.0.1:$dashboard/
  live chat $origin/chatplugin/ui/
  sandbox   $sandbox, where Graph and Twilio are: docs/sandbox.md
  Pub/Sub   $pubsub
  BigQuery  $bigquery

In another terminal, in this folder, send a webhook:

  body='{"object":"page","entry":[{"id":"1","time":'$(date +%s)'000,"messaging":[{"sender":{"id":"2"},\
"recipient":{"id":"1"},"timestamp":'$(date +%s)'000,"message":{"mid":"m_'$RANDOM'","text":"Hello"}}]}]}'
  curl -H 'Content-Type: application/json' -d "$body" $url \\
    -H "X-Hub-Signature-256: sha256=$(printf %s "$body" | openssl dgst -sha256 -hmac $secret | sed 's/.* //')"

and ask for it:

  .venv/bin/parley query 'SELECT sent_at, source, direction, content FROM messages'

A week of a sample shop, to try the questions of docs/cookbook.md on:

  .venv/bin/parley generate --conversations 300 --days 7 --here
"""


def _guide(folder: Path, values: dict[str, str], ports: Ports) -> str:
    return Template(_GUIDE).safe_substitute(
        folder=folder.resolve(),
        origin=f"http://127.0.0.1:{values['PARLEY_PORT']}",
        url=f"http://127.0.0.1:{values['PARLEY_PORT']}/facebook",
        dashboard=str(ports.dashboard),
        sandbox=f"http://127.0.0.1:{ports.sandbox}",
        pubsub=values["PUBSUB_EMULATOR_HOST"],
        bigquery=values["BIGQUERY_EMULATOR_HOST"],
        secret=values["PARLEY_FACEBOOK_APP_SECRETS"].split(",")[0],
    )


if __name__ == "__main__":
    run()
