"""A siege: a whole stack under traffic, attacks and accidents, and afterwards the account of every event.

Two receivers share a data folder, or there is one. Nothing here waits for a certain time of anything but the siege
itself.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from pipelines.bigquery.target import Target, client
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_segments import Selection, find_segments, read_segment
from pipelines.local import ready
from pipelines.local.pubsub import RemoteFaults
from tests.bigquery_fixtures import free_ports
from tests.e2e.conftest import Stack
from tests.siege.attackers import Attackers
from tests.siege.senders import Senders, Told

PATIENCE = 180.0
ALIVE_SECONDS = 30.0
"""How long Pub/Sub may take for a sign of life: the local one has been seen to accept connections and no calls."""
_CATCH_UP = '--catch-up "$PARLEY_ARCHIVE" '
EVERY = 1.25
"""Seconds between accidents, on average."""
_MID = re.compile(rb'"mid": ?"(siege-\d+-\d+)"')
_PARTS = ("pubsub", "bigquery", "receiver", "pipeline")
_SECOND = "second receiver"
_SHORT = 2_000
"""Bytes of a body that are looked at: those of senders have fewer."""
_FAULTS = (
    {"code": grpc.StatusCode.UNAVAILABLE},
    {"hang": True},
    {"code": grpc.StatusCode.RESOURCE_EXHAUSTED},
    {"delay": 1.0},
    {"code": grpc.StatusCode.UNAVAILABLE, "after": True},
)


class Account(NamedTuple):
    """What became of the events."""

    seconds: float
    answers: Counter[str]
    attacks: Counter[str]
    accidents: Counter[str]
    slowest_percent: float
    acknowledged: int
    archived: int
    damages: int
    lost_in_archive: int
    doubled_in_archive: int
    in_ledger: int
    """Events of the ledger, each once."""
    lost_in_ledger: int
    lost_in_views: int
    doubled_in_views: int
    set_aside: int
    """Events that became a dead letter because processes were killed while they had them alone."""

    @property
    def all_is_well(self) -> bool:
        """Whether nothing acknowledged is lost or doubled, and the siege was one."""
        lost = self.lost_in_archive + self.lost_in_ledger + max(0, self.lost_in_views - self.set_aside)
        doubled = self.doubled_in_archive + self.doubled_in_views
        return self.acknowledged > 0 and not (lost or doubled or self.damages)

    def report(self) -> str:
        """Return the account as text."""
        lines = [f"siege of {self.seconds:.0f} s"]
        for name in self._fields[1:]:
            value = getattr(self, name)
            if isinstance(value, Counter):
                value = ", ".join(f"{each} {count}" for each, count in value.most_common())
            lines.append(f"  {name.replace('_', ' '):<20} {value}")
        return "\n".join(lines) + "\n"


class Besieged(Stack):
    """A stack, with a second receiver on the same data folder if there are to be two."""

    def __init__(self, folder: Path, receivers: int) -> None:
        super().__init__(folder)
        self.parts = (*_PARTS, _SECOND) if receivers == 2 else _PARTS
        (self.second_port,) = free_ports(1)
        self.archive = Path(self.variables["PARLEY_ARCHIVE"])
        # As in production, what Pub/Sub or the pipeline loses is lost: nothing makes up for it from the archive.
        self._commands["pipeline"] = self._commands["pipeline"].replace(_CATCH_UP, "")
        self._lock = threading.Lock()

    def start(self, *names: str) -> None:
        """Start parts, the second receiver among them."""
        for name in names:
            if name != _SECOND:
                super().start(name)
                continue
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "receiver"],
                env={**os.environ, **self.variables, "PARLEY_PORT": str(self.second_port)},
                stdout=self.log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def pause(self, name: str, seconds: float) -> None:
        """Stop a part's processes, as a machine without memory or a debugger does, and let them go on."""
        group = self._processes[name].pid
        os.killpg(group, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(group, signal.SIGCONT)

    def restart_the_dead(self) -> None:
        """Start again what has ended, as a supervisor does."""
        for name in self.parts:
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                self.start(name)

    def keep_up(self, happened: Counter[str]) -> None:
        """Start again what has ended, and Pub/Sub where it answers no call, as a supervisor that asks does."""
        self.restart_the_dead()
        try:
            ready.wait_for("Pub/Sub", self._is_pubsub_alive, ALIVE_SECONDS)
        except ready.NotReadyError:
            happened["pubsub did not answer"] += 1
            self.kill("pubsub")
            self.start("pubsub")

    def _is_pubsub_alive(self) -> bool:
        try:
            RemoteFaults(self.variables["PUBSUB_EMULATOR_HOST"]).clear()
        except grpc.RpcError:
            return False
        return True


def besiege(
    folder: Path,
    patch: pytest.MonkeyPatch,
    seconds: float,
    senders: int,
    attackers: int,
    seed: int,
    receivers: int = 2,
    every: float = EVERY,
) -> Account:
    """Besiege a stack of its own in a folder, with an accident `every` so many seconds; return the account."""
    stack = Besieged(folder, receivers)
    for name, value in stack.variables.items():
        patch.setenv(name, value)
    dice = random.Random(seed)
    try:
        stack.start(*stack.parts)
        _until_it_works(stack)
        over = threading.Event()
        ports = [stack.ports.receiver, stack.second_port][:receivers]
        secret = stack.variables["PARLEY_FACEBOOK_APP_SECRETS"]
        sending = Senders(ports, secret, senders)
        attacking = Attackers(ports, secret, attackers, seed, over.is_set)
        accidents = _accidents(stack, dice, time.monotonic() + seconds, every)
        over.set()
        told = sending.stop()
        attacking.join()
        stack.restart_the_dead()
        ready.wait_for("Pub/Sub", ready.pubsub, PATIENCE)
        RemoteFaults(stack.variables["PUBSUB_EMULATOR_HOST"]).clear()
        _until_it_works(stack)
        return _account(stack, told, attacking.done, accidents, seconds)
    finally:
        stack.close()


def _until_it_works(stack: Besieged) -> None:
    ready.wait_for("the receiver", ready.receiver, PATIENCE)
    if _SECOND in stack.parts:
        address = f"http://127.0.0.1:{stack.second_port}/__lbheartbeat__"
        ready.wait_for("the second receiver", lambda: ready.answers(address), PATIENCE)
    ready.wait_for("BigQuery", ready.tables, PATIENCE)


def _accidents(stack: Besieged, dice: random.Random, end: float, every: float) -> Counter[str]:
    """Let something go wrong again and again, until the end."""
    happened: Counter[str] = Counter()
    faults = RemoteFaults(stack.variables["PUBSUB_EMULATOR_HOST"])
    while time.monotonic() < end:
        time.sleep(min(dice.uniform(0.4 * every, 1.6 * every), max(0.0, end - time.monotonic())))
        part = dice.choice(stack.parts)
        kind = dice.choice(("kill", "pause", "fault"))
        # Each accident ends the one before: what is away for ever is no accident.
        with contextlib.suppress(grpc.RpcError):
            faults.clear()
        if kind == "fault":
            try:
                faults.set(dice.choice(("Publish", "StreamingPull", "Acknowledge")), **dice.choice(_FAULTS))
            except grpc.RpcError:
                continue
            happened["Pub/Sub fails"] += 1
        elif kind == "kill":
            stack.kill(part)
            time.sleep(dice.uniform(0.0, 0.5))
            happened[f"{part} killed"] += 1
        else:
            stack.pause(part, dice.uniform(0.1, 1.0))
            happened[f"{part} paused"] += 1
        stack.restart_the_dead()
    return happened


def _account(
    stack: Besieged, told: Told, attacks: Counter[str], accidents: Counter[str], seconds: float
) -> Account:
    where = Target.prefixed(stack.variables["PARLEY_PROJECT"])
    warehouse = client(where)
    damages: list[Damage] = []
    archived: Counter[str] = Counter()
    kept: set[str] = set()
    for path in find_segments(str(stack.archive), Selection()):
        for event in read_segment(path, damages):
            archived[event.event_id] += 1
            kept.update(mid.decode() for mid in _MID.findall(event.data[:_SHORT]))

    def ledger() -> int:
        # Everything that is durable has to be accounted for, acknowledged or not.
        (row,) = warehouse.query(f"SELECT COUNT(DISTINCT event_id) FROM `{where.view('events')}`").result()
        return int(row[0])

    _while_it_gets_on(ledger, len(archived), lambda: stack.keep_up(accidents), accidents)
    rows = warehouse.query(f"SELECT event_id FROM `{where.view('events')}`").result()
    known = {row[0] for row in rows}
    messages, letters = where.view("messages"), where.view("dead_letters")
    rows = warehouse.query(f"SELECT source_message_id FROM `{messages}` WHERE source_message_id LIKE 'siege-%'")
    seen = Counter(row[0] for row in rows.result())
    sql = f"SELECT COUNT(DISTINCT event_id) FROM `{letters}` WHERE error_class = 'WorkerDiedError'"
    (aside,) = warehouse.query(sql).result()
    times = sorted(told.slowest)
    return Account(
        seconds=seconds,
        answers=told.answers,
        attacks=attacks,
        accidents=accidents,
        slowest_percent=round(times[int(0.99 * len(times))], 3) if times else 0.0,
        acknowledged=len(told.acknowledged),
        archived=len(archived),
        damages=len(damages),
        lost_in_archive=len(told.acknowledged - kept),
        doubled_in_archive=sum(count > 1 for count in archived.values()),
        in_ledger=len(known),
        lost_in_ledger=len(archived.keys() - known),
        lost_in_views=len(told.acknowledged - seen.keys()),
        doubled_in_views=sum(count > 1 for count in seen.values()),
        set_aside=int(aside[0]),
    )


def _while_it_gets_on(
    ask: Callable[[], int], wanted: int, keep_up: Callable[[], None], happened: Counter[str]
) -> None:
    """Wait for a number as long as it grows: how fast it does is the machine's business.

    Where the wait is given up, the account says so, and how often the number was not to be had.
    """
    reached, since = -1, time.monotonic()
    while reached < wanted and time.monotonic() - since < PATIENCE:
        keep_up()
        asked = time.monotonic()
        now = _quietly(ask)
        if now < 0:
            happened["ledger not counted"] += 1
        if now > reached:
            reached, since = now, time.monotonic()
        # Counting takes from the pipeline what it needs to get on: a tenth of the time, and no more.
        time.sleep(min(0.2 + 10 * (time.monotonic() - asked), 30.0))
    if reached < wanted:
        happened["ledger did not grow"] += 1


def _quietly(ask: Callable[[], int]) -> int:
    try:
        return ask()
    except Exception:
        time.sleep(0.2)
        return -1
