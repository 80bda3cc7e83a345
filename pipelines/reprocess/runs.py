"""Reprocessing runs: what was asked for, the state of each, and where it keeps its rows."""

import datetime as dt
import enum
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import uuid_utils
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core.generation import GENERATION
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_segments import Selection
from pipelines.reprocess.sql import literal, moment

SHORTEST_PART: Final = 8
"""How many characters of a run's id name it at least."""


class State(enum.StrEnum):
    """What became of a run."""

    PLANNING = "planning"
    PLANNED = "planned"
    APPLIED = "applied"
    ROLLED_BACK = "rolled_back"
    DISCARDED = "discarded"


class RefusedError(Exception):
    """A run cannot be applied, rolled back or discarded as things are; the message says why and what to do."""


class UnknownRunError(LookupError):
    """No run, or more than one, goes by that name."""


class Request(msgspec.Struct, frozen=True):
    """What to reprocess, and on whose behalf."""

    archive: str
    """The archive's root, a folder or `gs://…`."""
    selection: Selection
    actor: str
    reason: str | None = None

    def as_json(self) -> str:
        """Return the request as the column `selection` of the table `runs` holds it."""
        chosen = self.selection
        described: dict[str, Any] = {
            "archive": self.archive,
            "from": chosen.start.isoformat() if chosen.start else None,
            "to": chosen.end.isoformat() if chosen.end else None,
            "sources": chosen.sources,
            "events": None if chosen.events is None else len(chosen.events),
        }
        return json.dumps({name: value for name, value in described.items() if value not in (None, ())})

    @classmethod
    def of(cls, run: "Run", named: Callable[[], frozenset[str]]) -> "Request":
        """Return what was asked for when a run began; `named` gives its events where they were named."""
        told: dict[str, Any] = json.loads(run.selection)
        start, end = (dt.datetime.fromisoformat(told[key]) if key in told else None for key in ("from", "to"))
        events = named() if "events" in told else None
        selection = Selection(start, end, tuple(told.get("sources", ())), events)
        return cls(told["archive"], selection, run.history[0].actor, run.history[0].reason)


class Change(msgspec.Struct, frozen=True):
    """A run's coming into a state."""

    state: State
    at: dt.datetime
    actor: str
    reason: str | None


class Run(msgspec.Struct, frozen=True):
    """A run as its latest row tells it, and how it came there."""

    run_id: str
    generation: int
    selection: str
    """A JSON object."""
    history: tuple[Change, ...]
    counts: str | None = None
    """A JSON object: added, removed, changed and unchanged rows by table."""
    events: int | None = None
    damages: tuple[Damage, ...] = ()

    @property
    def state(self) -> State:
        """The state that it is in."""
        return self.history[-1].state

    def reached(self, state: State) -> dt.datetime | None:
        """Return when it last came into a state; None where it never did."""
        return next((change.at for change in reversed(self.history) if change.state is state), None)

    def differences(self) -> dict[str, dict[str, int]]:
        """Return the numbers of added, removed, changed and unchanged rows by table."""
        counts: dict[str, dict[str, int]] = json.loads(self.counts or "{}")
        return counts

    def described(self) -> dict[str, Any]:
        """Return the run for programs: its fields, its state, and its JSON columns read."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        read = {"selection": json.loads(self.selection), "counts": self.differences()}
        return {**plain, "state": self.state.value, **read}

    def made(self, table: str) -> bool:
        """Tell whether it may have made rows of a table."""
        rows = self.differences().get(table)
        return rows is None or rows["added"] + rows["changed"] + rows["unchanged"] > 0


class Staging(msgspec.Struct, frozen=True):
    """The dataset in which a run keeps the rows that it made and those that it replaced."""

    target: Target
    """Its `rows_dataset` is the run's."""

    @classmethod
    def of(cls, live: Target, run_id: str) -> "Staging":
        """Return a run's dataset, which has the name of the views' and the run's id."""
        name = f"{live.views_dataset}_run_{run_id.replace('-', '')}"
        return cls(msgspec.structs.replace(live, rows_dataset=name))

    @property
    def dataset(self) -> str:
        """Its full name."""
        return f"{self.target.project}.{self.target.rows_dataset}"

    def made(self, table: str) -> str:
        """Return the full name of the table of rows that the run made."""
        return self.target.table(table)

    def before(self, table: str) -> str:
        """Return the full name of the table of rows that the run replaced."""
        return self.target.table(f"before_{table}")


class Runs:
    """All runs of a target, as its append-only table `runs` tells."""

    def __init__(self, client: bigquery.Client, where: Target) -> None:
        self._client = client
        self._table = where.table("runs")

    def all(self) -> Sequence[Run]:
        """Return every run, the newest last."""
        rows = self._client.query_and_wait(f"SELECT * FROM `{self._table}` ORDER BY run_id, state_at")  # noqa: S608
        found: dict[str, Run] = {}
        for row in rows:
            change = Change(State(row["state"]), row["state_at"], row["actor"], row["reason"])
            earlier = found[row["run_id"]].history if row["run_id"] in found else ()
            found[row["run_id"]] = Run(
                run_id=row["run_id"],
                generation=row["generation"],
                selection=row["selection"],
                history=(*earlier, change),
                counts=row["counts"],
                events=row["events"],
                damages=msgspec.json.decode(row["damages"] or "[]", type=tuple[Damage, ...]),
            )
        return list(found.values())

    def get(self, name: str) -> Run:
        """Return the run that `find` finds by a name.

        Raises:
            UnknownRunError: there is none, or more than one.
        """
        return find(self.all(), name)

    def begin(self, run_id: str, request: Request) -> None:
        """Record that a run is being planned."""
        run = Run(run_id, GENERATION, request.as_json(), ())
        self._client.query_and_wait(self.insertion(run, State.PLANNING, request.actor, request.reason))

    def insertion(
        self, run: Run, state: State, actor: str, reason: str | None, at: dt.datetime | None = None
    ) -> str:
        """Return the statement that records a run's coming into a state, at some moment or now."""
        damages = msgspec.json.encode(run.damages).decode()
        values = (run.run_id, state.value, actor, reason, run.generation, run.selection, run.counts, run.events)
        return (
            f"INSERT INTO `{self._table}` (run_id, state, actor, reason, generation, selection, counts, events, "  # noqa: S608
            f"damages, state_at) VALUES ({', '.join(map(literal, (*values, damages)))}, "
            f"{moment(at) if at else 'CURRENT_TIMESTAMP()'})"
        )


def find(runs: Sequence[Run], name: str) -> Run:
    """Return the run with an id, the `latest`, or the only one whose id begins or ends so.

    A part of an id has `SHORTEST_PART` characters at least: a variable that is not set names no run.

    Raises:
        UnknownRunError: there is none, or more than one, or the part is too short.
    """
    if name == "latest" and runs:
        return runs[-1]
    found = [run for run in runs if run.run_id == name]
    if not found and name != "latest" and len(name) < SHORTEST_PART:
        raise UnknownRunError(
            f"{name!r} names no run: give `latest`, an id, or at least {SHORTEST_PART} characters of "
            "its beginning or end; `parley backfill list` shows them"
        )
    found = found or [run for run in runs if run.run_id.startswith(name) or run.run_id.endswith(name)]
    if len(found) != 1:
        problem = "no run" if not found else f"{len(found)} runs"
        raise UnknownRunError(f"{problem} of that name: {name!r}; `parley backfill list` shows them")
    return found[0]


def made_at(identity: str) -> dt.datetime | None:
    """Return when an id was made, to the millisecond: a UUIDv7 tells it. None for any other."""
    try:
        identifier = uuid_utils.UUID(identity)
    except ValueError:
        return None
    if identifier.version != 7:
        return None
    return dt.datetime.fromtimestamp(identifier.timestamp / 1_000, dt.UTC)
