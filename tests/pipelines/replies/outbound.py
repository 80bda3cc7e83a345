"""A sender with everything around it: Pub/Sub, the receiver, and the sandbox as its providers."""

import datetime as dt
import json
import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastavro
from werkzeug.serving import WSGIRequestHandler, make_server

from pipelines.local.topics import create_topics
from pipelines.replies.send_command import SUBSCRIPTION_PREFIX, serve
from pipelines.sandbox.app import create_app as create_sandbox
from pipelines.sandbox.clock import MachineClock
from pipelines.sandbox.deliveries import Deliveries
from pipelines.sandbox.people import write
from pipelines.sandbox.sandbox_command import Handler, accounts
from pipelines.sandbox.world import World
from receiver.app import create_app
from receiver.config import Config
from receiver.durable.committer import Committers
from schemas import raw_event
from schemas.raw_event import RawEvent
from schemas.replies import ATTEMPT_TYPE, OUTCOME_TYPE, REPLY_ID, Outcome, decode_outcome

PROJECT = "parley-test"
TOKEN = "token-of-the-sandbox"
ACCOUNT = "AC" + "1" * 32
CHANNELS = {"facebook": "1001", "instagram": "1002", "whatsapp": "1003", "twilio": "+15550100004"}
ACCOUNTS = {**CHANNELS, "twilio": ACCOUNT}
IN_FLIGHT_SECONDS = 1.0
PATIENCE = 60.0

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pipelines.replies.send_command"])


def person(source: str, number: int = 0) -> str:
    return f"+4917112{number:05d}" if source == "twilio" else f"4917112{number:05d}"


class KillAt:
    """Ends the process with SIGKILL when it reaches a step for the nth time."""

    def __init__(self, step: str, nth: int = 1) -> None:
        self._step = step
        self._left = nth
        self._lock = threading.Lock()

    def reached(self, step: str) -> None:
        with self._lock:
            self._left -= step == self._step
            if self._left == 0 and step == self._step:
                os.kill(os.getpid(), signal.SIGKILL)


def _work(environ: dict[str, str], step: str, nth: int, listens: Any) -> None:
    os.environ.update(environ)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    listens.set()
    serve(environ, ending, threads=8, steps=KillAt(step, nth), in_flight=IN_FLIGHT_SECONDS)


class Outbound:
    """Replies go in by `post`; what came of them is in the sandbox's record and in the archive."""

    def __init__(self, folder: Path, pubsub: str, **environ: str) -> None:
        self.folder = folder
        environ = {"PARLEY_PUBLIC_URL": "", "PARLEY_DOUBT_SECONDS": "4"} | environ
        self._receiver_server: Any = None
        self.world = World(accounts({}, TOKEN), MachineClock(), seed=7)
        self.deliveries = Deliveries(self.world.clock)
        self.environ = {
            "PARLEY_PROJECT": PROJECT,
            "PARLEY_ARCHIVE": str(folder / "archive"),
            "PARLEY_DATA_DIR": str(folder / "data"),
            "PARLEY_FACEBOOK_APP_SECRETS": TOKEN,
            "PARLEY_FACEBOOK_VERIFY_TOKENS": TOKEN,
            "PARLEY_WHATSAPP_APP_SECRETS": TOKEN,
            "PARLEY_WHATSAPP_VERIFY_TOKENS": TOKEN,
            "PARLEY_TWILIO_AUTH_TOKENS": TOKEN,
            "PUBSUB_EMULATOR_HOST": pubsub,
            "NO_GCE_CHECK": "true",
            **environ,
        }
        names = ("replies", "facebook", "whatsapp", "twilio", "chatplugin")
        create_topics(PROJECT, {f"raw-{name}": SUBSCRIPTION_PREFIX + name for name in names})
        self._servers: list[tuple[Any, threading.Thread]] = []
        self._receiver = None
        self._start_servers()
        self.committers = Committers(Config.from_environ(self.environ))

    def _start_servers(self) -> None:
        placeholder = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
        port = placeholder.port
        placeholder.server_close()
        self.environ["PARLEY_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
        self._app = create_app(self.environ)
        self._serve(make_server("127.0.0.1", port, self._app, threaded=True, request_handler=Quiet))
        app = create_sandbox(self.world, self.deliveries, self.environ["PARLEY_PUBLIC_URL"])
        sandbox = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
        self._serve(sandbox)
        url = f"http://127.0.0.1:{sandbox.port}"
        self.environ |= {"PARLEY_GRAPH_URL": f"{url}/v23.0", "PARLEY_TWILIO_URL": url}
        channels = {f"{source}/*": {"token": TOKEN} for source in ("facebook", "instagram", "whatsapp")}
        channels["twilio/*"] = {"token": TOKEN, "account": ACCOUNT}
        self.channels = self.folder / "channels.json"
        self.channels.write_text(json.dumps(channels))
        self.environ["PARLEY_SEND_CHANNELS_FILE"] = str(self.channels)

    def _serve(self, server: Any) -> None:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self._servers.append((server, thread))

    def close(self) -> None:
        for server, thread in self._servers:
            server.shutdown()
            thread.join()
            server.server_close()
        self.deliveries.close()
        self.committers.close()
        self._app.extensions["committers"].close()

    def hear(self, source: str, *people: str) -> None:
        """Let people write, which opens their windows; the receiver need not know."""
        for each in people:
            self.world.wrote(ACCOUNTS[source], each)

    def write(self, source: str, who: str, text: str) -> None:
        """Let a person write, and the receiver know."""
        account = self.world.account(ACCOUNTS[source])
        assert account
        write(self.world, self.deliveries, self.environ["PARLEY_PUBLIC_URL"], account, who, text)

    def post(self, source: str, to: str, content: object, reply_id: str = "", **fields: object) -> str:
        """Accept a reply, as the endpoint does; return its id."""
        reply_id = reply_id or str(uuid.uuid4())
        body = {"source": source, "channel": CHANNELS[source], "to": to, "content": content, **fields}
        attributes = {
            raw_event.EVENT_ID: str(uuid.uuid4()),
            raw_event.SOURCE: "replies",
            raw_event.RECEIVED_AT: raw_event.format_received_at(dt.datetime.now(dt.UTC)),
            raw_event.CONTENT_TYPE: "application/json",
            raw_event.VERIFIED_BY: "tests",
            REPLY_ID: reply_id,
        }
        self.committers.commit(RawEvent(json.dumps(body).encode(), attributes))
        return reply_id

    @contextmanager
    def sender(self, step: str = "", nth: int = 1) -> Iterator[Any]:
        """A sender in a process of its own, which may die at a step."""
        listens = _processes.Event()
        process = _processes.Process(target=_work, args=(self.environ, step, nth, listens))
        process.start()
        try:
            yield process
        finally:
            # Others may have done all there was before this one has begun.
            listens.wait(PATIENCE)
            process.terminate()
            process.join(PATIENCE)
            assert process.exitcode in {0, -signal.SIGKILL}, process.exitcode

    def events(self, content_type: str) -> list[RawEvent]:
        """Return the archive's events of the replies of a type."""
        while True:
            try:
                return [each for each in self._archived() if each.content_type == content_type]
            except FileNotFoundError:
                # A segment was closed, and has another name, since its folder was listed.
                continue

    def _archived(self) -> list[RawEvent]:
        found = []
        for path in sorted(self.folder.glob("archive/source=replies/**/*.avro*")):
            with path.open("rb") as file:
                try:
                    found += [RawEvent.from_avro(each) for each in fastavro.reader(file)]
                except (EOFError, ValueError):
                    continue
        return found

    def outcomes(self, reply_id: str | None = None) -> list[Outcome]:
        """Return the outcomes that were told of one reply, or of all."""
        found = {}
        for event in self.events(OUTCOME_TYPE):
            outcome = decode_outcome(event.data)
            # Told at least once: what is told twice is the same.
            found.setdefault((outcome.reply_id, outcome.number, outcome.result), outcome)
        return [each for each in found.values() if reply_id in {None, each.reply_id}]

    def attempts(self) -> list[RawEvent]:
        return self.events(ATTEMPT_TYPE)

    def results(self, *reply_ids: str) -> list[str]:
        """Return the final result of each reply, or an empty text."""
        final = {
            each.reply_id: each.result for each in self.outcomes() if each.result not in {"not_sent", "in_doubt"}
        }
        return [final.get(each, "") for each in reply_ids]

    def settle(self, *reply_ids: str) -> list[str]:
        """Wait until all replies have a final result, and return them."""
        wait_until(lambda: all(self.results(*reply_ids)))
        return self.results(*reply_ids)

    def sent(self) -> Counter[str]:
        """Return how often the providers have taken each reply."""
        return Counter(correlation(each.provider, each.request) for each in list(self.world.sent))


def correlation(provider: str, request: dict[str, Any]) -> str:
    """Return the reply's id that a call carried."""
    if provider == "twilio":
        return str(request.get("StatusCallback", "")).partition("?reply=")[2]
    if provider == "whatsapp":
        return str(request.get("biz_opaque_callback_data"))
    return str(request.get("message", {}).get("metadata"))


def wait_until(is_so: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


class Quiet(WSGIRequestHandler):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass
