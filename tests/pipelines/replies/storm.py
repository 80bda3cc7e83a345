"""Replies while everything fails: sender and receiver killed at every step, answers lost, receipts in disorder.

    python tests/pipelines/replies/storm.py --replies 100000 --senders 2

Prints what became of the replies, and ends with 1 where one was lost or sent twice, a rate exceeded, or an order
broken.
"""

import contextlib
import http.client
import itertools
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import fastavro
import msgspec
from dying import RECEIVER_STEPS, SENDER_STEPS, DiesOnOrder
from outbound import ACCOUNT, ACCOUNTS, CHANNELS, TOKEN, correlation, person
from werkzeug.serving import make_server

from pipelines.local import ready
from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics
from pipelines.replies.send_command import SUBSCRIPTION_PREFIX, TOPICS, serve
from pipelines.sandbox import deliveries
from pipelines.sandbox.app import create_app as create_sandbox
from pipelines.sandbox.clock import MachineClock
from pipelines.sandbox.deliveries import Deliveries, Webhook
from pipelines.sandbox.faults import Fault, Faults, Habits, Provider
from pipelines.sandbox.sandbox_command import Handler, accounts
from pipelines.sandbox.world import Account, World
from receiver.replies.store import open_store
from schemas.raw_event import RawEvent
from schemas.replies import OUTCOME_TYPE, Outcome, decode_outcome

PROJECT = "parley-storm"
REPLY_TOKEN = "storm-" + "0" * 32
PER_SECOND = {"whatsapp": 20, "messenger": 60, "instagram": 60, "twilio": 40}
"""Lower than the providers', so that this machine reaches them."""
SOURCES = {"whatsapp": "whatsapp", "facebook": "messenger", "instagram": "instagram", "twilio": "twilio"}
IN_FLIGHT_SECONDS = 2.0
DELIVERERS = 6
POSTERS = 12
IN_A_CONVERSATION = 8
DEATHS = tuple(("sender", step) for step in SENDER_STEPS) + tuple(("receiver", step) for step in RECEIVER_STEPS)
BACKLOG = 60
"""How many replies are acknowledged and not sent at a time."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pipelines.replies.send_command"])


class Weather(Faults):
    """Of a hundred calls five lose their answer, ten are refused for their rate, one meets a 503."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.habits = Habits(doubled=0.1, swapped=0.1, late=0.05, late_by=3.0)
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)

    def meet(self, provider: Provider, to: str) -> Fault | None:
        drawn = self._random.random()
        fault = None
        if drawn < 0.05:
            fault = Fault("lost")
        elif drawn < 0.15:
            fault = Fault("429", retry_after=1)
        elif drawn < 0.16:
            fault = Fault("503")
        if fault:
            self.met[fault.answer] += 1
        return fault


class Strict(World):
    """Counts the calls that were over a rate."""

    def __init__(self, seed: int) -> None:
        super().__init__(accounts({}, TOKEN), MachineClock(), seed)
        self.faults = Weather(seed)
        self.exceeded: Counter[str] = Counter()

    def is_too_fast(self, account: Account) -> bool:
        too_fast = self._count(f"account {account.id}", 1.0, PER_SECOND[account.provider])
        self.exceeded[account.provider] += too_fast
        return too_fast

    def is_too_fast_for(self, account: Account, person: str) -> bool:
        too_fast = super().is_too_fast_for(account, person)
        self.exceeded[f"{account.provider}, one person"] += too_fast
        return too_fast


class Deliverers:
    """Several who deliver at once, so that webhooks overtake each other."""

    def __init__(self, world: World) -> None:
        self._each = [Deliveries(world.clock) for _ in range(DELIVERERS)]
        self._turns = itertools.cycle(self._each)

    def add(self, seconds: float, webhook: Webhook) -> None:
        next(self._turns).add(seconds, webhook)

    def close(self) -> None:
        for each in self._each:
            each.close()


def _send(environ: dict[str, str], order: str) -> None:
    os.environ.update(environ)
    logging.disable(logging.WARNING)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    serve(environ, ending, threads=12, steps=DiesOnOrder(Path(order)), in_flight=IN_FLIGHT_SECONDS)


class Stack:
    """Pub/Sub, the sandbox, a receiver and senders; what dies is started again."""

    def __init__(self, folder: Path, senders: int, seed: int, doubt: float) -> None:
        self.folder = folder
        self._doubt = doubt
        self.world = Strict(seed)
        self.killed: Counter[str] = Counter()
        self.deliverers = Deliverers(self.world)
        self._pubsub = PubSubServer().__enter__()
        os.environ["PUBSUB_EMULATOR_HOST"] = self._pubsub.address
        os.environ["NO_GCE_CHECK"] = "true"
        create_topics(PROJECT, {f"raw-{name}": SUBSCRIPTION_PREFIX + name for name in TOPICS})
        placeholder = make_server("127.0.0.1", 0, lambda *_: [])
        self.port = placeholder.port
        placeholder.server_close()
        public = f"http://127.0.0.1:{self.port}"
        app = create_sandbox(self.world, self.deliverers, public)
        self._sandbox = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
        self._thread = threading.Thread(target=self._sandbox.serve_forever)
        self._thread.start()
        self.environ = self._environ(public, f"http://127.0.0.1:{self._sandbox.port}", senders)
        self._receiver: subprocess.Popen[bytes] | None = None
        self._senders: list[Any] = [None] * senders
        self._log = (folder / "log").open("ab")

    def _environ(self, public: str, sandbox: str, senders: int) -> dict[str, str]:
        channels = {
            f"{source}/*": {"token": TOKEN, "rate": {"most": PER_SECOND[provider], "seconds": 1}}
            for source, provider in SOURCES.items()
        }
        channels["twilio/*"]["account"] = ACCOUNT
        names = (
            "FACEBOOK_APP_SECRETS",
            "FACEBOOK_VERIFY_TOKENS",
            "WHATSAPP_APP_SECRETS",
            "WHATSAPP_VERIFY_TOKENS",
        )
        return {
            "PARLEY_PROJECT": PROJECT,
            "PARLEY_ARCHIVE": str(self.folder / "archive"),
            "PARLEY_DATA_DIR": str(self.folder / "data"),
            "PARLEY_PORT": str(self.port),
            "PARLEY_WORKERS": "1",
            "PARLEY_PUBLIC_URL": public,
            **{f"PARLEY_{name}": TOKEN for name in (*names, "TWILIO_AUTH_TOKENS")},
            "PARLEY_REPLY_TOKENS": json.dumps(
                {"storm": {"tokens": [REPLY_TOKEN], "channels": [f"{source}/*" for source in SOURCES]}}
            ),
            "PARLEY_GRAPH_URL": f"{sandbox}/v23.0",
            "PARLEY_TWILIO_URL": sandbox,
            "PARLEY_SEND_CHANNELS": json.dumps(channels),
            "PARLEY_SENDERS": str(senders),
            "PARLEY_DOUBT_SECONDS": str(self._doubt),
            "PUBSUB_EMULATOR_HOST": self._pubsub.address,
            "NO_GCE_CHECK": "true",
            "PARLEY_LOG_LEVEL": "WARNING",
        }

    def supervise(self) -> None:
        """Start what has ended."""
        if self._receiver is None or self._receiver.poll() is not None:
            script = Path(__file__).with_name("doomed_receiver.py")
            self._receiver = subprocess.Popen(
                [sys.executable, str(script)],
                env={**os.environ, **self.environ, "STORM_ORDER": str(self._order("receiver"))},
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        for number, process in enumerate(self._senders):
            if process is None or not process.is_alive():
                again = _processes.Process(target=_send, args=(self.environ, str(self._order("sender"))))
                again.start()
                self._senders[number] = again

    def kill_at(self, part: str, step: str, seconds: float) -> bool:
        """Let a part die when it reaches a step; False where it does not in time."""
        order = self._order(part)
        # At once: half a word is no step.
        order.with_suffix(".new").write_text(step, "utf-8")
        order.with_suffix(".new").rename(order)
        deadline = time.monotonic() + seconds
        while order.exists():
            if time.monotonic() > deadline:
                with contextlib.suppress(FileNotFoundError):
                    order.unlink()
                    return False
                break
            self.supervise()
            time.sleep(0.02)
        self.killed[f"{part}: {step}"] += 1
        return True

    def sender_pid(self) -> int:
        """Return the first sender's process."""
        return int(self._senders[0].pid)

    def listens(self) -> bool:
        """Return whether the receiver takes requests: nothing is proved while it is away."""
        return ready.answers(f"http://127.0.0.1:{self.port}/__lbheartbeat__")

    def _order(self, part: str) -> Path:
        return self.folder / f"{part}.order"

    def close(self) -> None:
        for process in self._senders:
            if process is not None:
                process.terminate()
        for process in self._senders:
            if process is not None:
                process.join(60)
        if self._receiver is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._receiver.pid, signal.SIGTERM)
            self._receiver.wait(60)
        self._sandbox.shutdown()
        self._thread.join()
        self._sandbox.server_close()
        self.deliverers.close()
        self._pubsub.__exit__(None, None, None)
        self._log.close()


class Post(msgspec.Struct, frozen=True):
    """A reply that was acknowledged."""

    conversation: tuple[str, str]
    turn: int
    on_doubt: str


class Posters:
    """Threads that post each reply until it is acknowledged, those of a conversation one after the other."""

    def __init__(self, port: int, replies: int, backlog: Callable[[int], bool], first: int = 0) -> None:
        self._waits = backlog
        self.acknowledged: dict[str, Post] = {}
        self.answers: Counter[str] = Counter()
        self._port = port
        self._work = iter(self._conversations(replies, first))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._post_all) for _ in range(POSTERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def run(self) -> None:
        """Post all."""
        self.start()
        self.join()

    def are_through(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    @staticmethod
    def _conversations(replies: int, first: int) -> Iterator[tuple[str, str, int]]:
        """Yield who is written to, and how often: twelve conversations are under way at a time."""
        for number, source in zip(itertools.count(first), itertools.cycle(SOURCES)):
            left = replies - (number - first) * IN_A_CONVERSATION
            if left <= 0:
                return
            yield source, person(source, number), min(left, IN_A_CONVERSATION)

    def _post_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while True:
            with self._lock:
                work = next(self._work, None)
            if work is None:
                connection.close()
                return
            source, to, count = work
            for turn in range(count):
                # Otherwise all would be posted before the first thing dies.
                while self._waits(len(self.acknowledged)):
                    time.sleep(0.02)
                self._post(connection, source, to, turn)

    def _post(self, connection: http.client.HTTPConnection, source: str, to: str, turn: int) -> None:
        on_doubt = "send" if turn % 2 else "drop"
        reply = {
            "source": source,
            "channel": CHANNELS[source],
            "to": to,
            "content": {"text": f"turn {turn}"},
            "on_doubt": on_doubt,
        }
        headers = {
            "Authorization": f"Bearer {REPLY_TOKEN}",
            "Idempotency-Key": f"{source}-{to}-{turn}",
            "Content-Type": "application/json",
        }
        while True:
            try:
                connection.request("POST", "/replies", json.dumps(reply), headers)
                response = connection.getresponse()
                answer = response.read()
                self.answers[str(response.status)] += 1
                if response.status == 202:
                    self.acknowledged[json.loads(answer)["reply_id"]] = Post((source, to), turn, on_doubt)
                    return
                assert response.status == 503, answer
            except (OSError, http.client.HTTPException):
                self.answers["connection lost"] += 1
                connection.close()
            time.sleep(0.05)


class Found(msgspec.Struct):
    """What the archive and the providers' own record say in the end."""

    final: dict[str, str]
    """The result of each reply."""
    doubted: set[str]
    """Replies that were told to be in doubt, or of which an attempt had no outcome when its process died."""
    sent: Counter[str]
    order: dict[tuple[str, str], list[int]]
    """The turns of each conversation, as the provider took them."""


def _outcomes(stack: Stack) -> Iterator[Outcome]:
    for path in sorted(stack.folder.glob("archive/source=replies/**/*.avro*")):
        with path.open("rb") as file, contextlib.suppress(EOFError, ValueError):
            for record in fastavro.reader(file):
                event = RawEvent.from_avro(record)
                if event.content_type == OUTCOME_TYPE:
                    yield decode_outcome(event.data)


def look(stack: Stack, posts: dict[str, Post]) -> Found:
    """Read what is there."""
    final: dict[str, str] = {}
    doubted: set[str] = set()
    for outcome in _outcomes(stack):
        if outcome.result == "in_doubt":
            doubted.add(outcome.reply_id)
        elif outcome.result != "not_sent":
            final[outcome.reply_id] = outcome.result
    sent: Counter[str] = Counter()
    order: dict[tuple[str, str], list[int]] = defaultdict(list)
    for message in list(stack.world.sent):
        reply_id = correlation(message.provider, message.request)
        sent[reply_id] += 1
        if sent[reply_id] == 1 and reply_id in posts:
            order[posts[reply_id].conversation].append(posts[reply_id].turn)
    return Found(final, doubted, sent, order)


def explain(stack: Stack, found: Found) -> None:
    """Print all that is known of replies that were sent twice."""
    for reply_id in (each for each, count in found.sent.items() if count > 1):
        told = [each for each in _outcomes(stack) if each.reply_id == reply_id]
        moments = [each.at for each in stack.world.sent if correlation(each.provider, each.request) == reply_id]
        print(f"{reply_id}: sent at {moments}")
        for each in told:
            print(f"  {each.at.timestamp():.3f} attempt {each.number}: {each.result} {each.error_code or ''}")


def judge(found: Found, posts: dict[str, Post], exceeded: Counter[str]) -> dict[str, int]:
    """Return what must be 0, and what is good to know, in figures."""
    accepted = {each for each, result in found.final.items() if result == "accepted"}
    in_doubt_and_sent = [each for each in found.doubted if found.sent[each]]
    return {
        "acknowledged": len(posts),
        "accepted": len(accepted),
        "dropped, as their process died before the call": sum(
            result == "dropped" and not found.sent[each] for each, result in found.final.items()
        ),
        "in doubt": len(found.doubted),
        "in doubt, and sent": len(in_doubt_and_sent),
        "of these resolved": sum(found.final.get(each) == "accepted" for each in in_doubt_and_sent),
        "LOST: without an end": sum(each not in found.final for each in posts),
        "LOST: refused or expired": sum(result in {"refused", "expired"} for result in found.final.values()),
        "LOST: told accepted, never sent": sum(not found.sent[each] for each in accepted),
        "SENT TWICE": sum(count > 1 for count in found.sent.values()),
        "sent, and told dropped: among those not resolved": sum(
            result == "dropped" and found.sent[each] > 0 for each, result in found.final.items()
        ),
        "NOT OURS": sum(each not in posts for each in found.sent),
        "ORDER BROKEN": sum(turns != sorted(turns) for turns in found.order.values()),
        "OVER A RATE": exceeded.total(),
    }


def failures(figures: dict[str, int]) -> list[str]:
    """Return in words what must not be."""
    wrong = [
        f"{name}: {count}" for name, count in figures.items() if name.isupper() or name[:4].isupper() if count
    ]
    if figures["of these resolved"] < 0.99 * figures["in doubt, and sent"]:
        wrong.append("fewer than 99 % of the doubts resolved")
    return wrong


def _let_run(stack: Stack, seconds: float) -> None:
    """Let everything run for a while, or it would never get to work."""
    while not stack.listens():
        stack.supervise()
        time.sleep(0.05)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stack.supervise()
        time.sleep(0.05)


def storm(
    folder: Path,
    replies: int,
    senders: int,
    seed: int = 20,
    rounds: int = 1_000,
    pause: float = 3.0,
    seconds: float = 600,
    doubt: float = 120.0,
    deaths: Sequence[tuple[str, str]] = DEATHS,
) -> dict[str, int]:
    """Post so many replies while parts die at each step, so many rounds; return the figures."""
    deadline = time.monotonic() + seconds
    stack = Stack(folder, senders, seed, doubt)
    try:
        # Providers try for hours; the sandbox, for as long as a storm lasts.
        deliveries._RETRIES = (0.5,) + (1.0,) * 60  # type: ignore[misc]
        for source in SOURCES:
            for number in range(replies // IN_A_CONVERSATION + 1):
                stack.world.wrote(ACCOUNTS[source], person(source, number))
        stack.supervise()
        posters = Posters(stack.port, replies, lambda posted: posted - len(stack.world.sent) > BACKLOG)
        posters.start()
        orders = list(deaths)
        random.Random(seed).shuffle(orders)
        for number, (part, step) in enumerate(itertools.cycle(orders)):
            if number >= len(orders) and (posters.are_through() or number >= rounds * len(orders)):
                break
            stack.kill_at(part, step, 20)
            _let_run(stack, pause)
        while not posters.are_through():
            stack.supervise()
            time.sleep(0.1)
            assert time.monotonic() < deadline, f"not in {seconds:g} s: {dict(posters.answers)}"
        posters.join()
        register = open_store(f"{folder}/archive/replies")
        while (
            len(look(stack, posters.acknowledged).final.keys() & posters.acknowledged.keys()) < replies
            or register.names("waiting/")
        ) and time.monotonic() < deadline:
            stack.supervise()
            time.sleep(1.0)
        found = look(stack, posters.acknowledged)
        figures = judge(found, posters.acknowledged, stack.world.exceeded)
        assert isinstance(stack.world.faults, Weather)
        explain(stack, found)
        print(f"killed: {dict(stack.killed)}")
        print(f"answers of the receiver: {dict(posters.answers)}")
        print(f"calls to the providers: {stack.world.requests}, of these {dict(stack.world.faults.met)}")
        print(f"over a rate: {dict(stack.world.exceeded)}")
        return figures
    finally:
        stack.close()


@click.command()
@click.option("--replies", default=5_000, show_default=True)
@click.option("--senders", default=1, show_default=True)
@click.option("--seed", default=20, show_default=True)
@click.option("--rounds", default=1_000, help="How often to kill at each step at most.")
@click.option("--seconds", default=0.0, help="How long at most; by default as long as so many should take.")
@click.option("--pause", default=3.0, show_default=True, help="Seconds between two deaths.")
def main(replies: int, senders: int, seed: int, rounds: int, seconds: float, pause: float) -> None:
    """Post replies while everything fails, and count what becomes of them."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="parley-storm-") as folder:
        begun = time.monotonic()
        figures = storm(Path(folder), replies, senders, seed, rounds, pause, seconds or 300 + replies / 10)
        print(f"{replies} replies, {senders} senders, {time.monotonic() - begun:.0f} s")
    for name, count in figures.items():
        print(f"{count:>8}  {name}")
    wrong = failures(figures)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
