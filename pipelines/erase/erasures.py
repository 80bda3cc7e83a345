"""Erasures and their states, as the append-only table `erasures` tells; it names nobody."""

import datetime as dt
import json
from typing import Any, Final

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess.runs import SHORTEST_PART, UnknownRunError
from pipelines.reprocess.sql import literal

PLANNED: Final = "planned"
APPLYING: Final = "applying"
APPLIED: Final = "applied"
VERIFIED: Final = "verified"
FOUND: Final = "found"


class Erasure(msgspec.Struct, frozen=True):
    """An erasure in its latest state."""

    run_id: str
    state: str
    state_at: dt.datetime
    actor: str
    reason: str | None
    key_id: str
    counts: str | None
    until: dt.datetime | None = None
    """What was received up to then is erased; None before it is first applied."""

    def numbers(self) -> dict[str, Any]:
        """Return what was counted in its latest state."""
        told: dict[str, Any] = json.loads(self.counts or "{}")
        return told


class Erasures:
    """All erasures of a target."""

    def __init__(self, client: bigquery.Client, where: Target) -> None:
        self._client = client
        self._table = where.table("erasures")

    def all(self) -> list[Erasure]:
        """Return every erasure, the newest last."""
        found: dict[str, Erasure] = {}
        for row in self._client.query_and_wait(f"SELECT * FROM `{self._table}` ORDER BY run_id, state_at"):  # noqa: S608
            known = found.get(row["run_id"])
            until = known.until if known else None
            if until is None and row["state"] == APPLYING:
                until = dt.datetime.fromisoformat(json.loads(row["counts"])["until"])
            told = {name: row[name] for name in Erasure.__struct_fields__ if name != "until"}
            found[row["run_id"]] = Erasure(**told, until=until)
        return list(found.values())

    def get(self, name: str) -> Erasure:
        """Return the erasure with an id, the `latest`, or the only one whose id begins or ends so.

        Raises:
            UnknownRunError: there is none, or more than one.
        """
        # What was let go by its age is of nobody in particular, and has no key.
        every = [each for each in self.all() if each.key_id]
        if name == "latest" and every:
            return every[-1]
        fits = [each for each in every if each.run_id == name]
        if not fits and len(name) >= SHORTEST_PART:
            fits = [each for each in every if each.run_id.startswith(name) or each.run_id.endswith(name)]
        if len(fits) != 1:
            raise UnknownRunError(f"no erasure of that name: {name!r}; `parley erase list` shows them")
        return fits[0]

    def record(self, run: Erasure, state: str, actor: str, counts: dict[str, Any]) -> None:
        """Note that an erasure has come into a state."""
        self._client.query_and_wait(self.insertion(run, state, actor, counts))

    def insertion(self, run: Erasure, state: str, actor: str, counts: dict[str, Any]) -> str:
        """Return the statement that notes that an erasure has come into a state."""
        values = (run.run_id, state, actor, run.reason, run.key_id, json.dumps(counts))
        return (
            f"INSERT INTO `{self._table}` (run_id, state, actor, reason, key_id, counts, state_at) "  # noqa: S608
            f"VALUES ({', '.join(map(literal, values))}, CURRENT_TIMESTAMP())"
        )
