"""Reprocessing runs: what each would change or has changed."""

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, abort, render_template, request

from pipelines.dashboard.context import warehouse
from pipelines.dashboard.warehouse import Row, UnansweredError

if TYPE_CHECKING:
    from pipelines.reprocess.diff import Difference

pages = Blueprint("runs", __name__, url_prefix="/runs")

PAGE_SIZE: Final = 20
KINDS: Final = ("added", "removed", "changed", "unchanged")


@pages.get("/")
def runs() -> str:
    """List runs, the latest first."""
    before_id = request.args.get("before", "")
    found = warehouse().ask("runs", before_id=before_id, page_size=PAGE_SIZE + 1)
    shown, more = found[:PAGE_SIZE], found[PAGE_SIZE:]
    return render_template(
        "runs.html",
        runs=[(run, changes(run), _object(run["selection"])) for run in shown],
        kinds=KINDS,
        is_first=not before_id,
        next_id=shown[-1]["run_id"] if more else None,
    )


@pages.get("/<run_id>")
def run(run_id: str) -> str:
    """Show a run: its states, and its diff by table, and by source and day as long as its rows are kept."""
    states = warehouse().ask("run_states", run_id=run_id)
    if not states:
        abort(404, "There is no such run.")
    latest = states[-1]
    difference = _difference(run_id)
    by_day: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(KINDS, 0))
    for total in difference.totals if difference else ():
        for kind in KINDS:
            by_day[(total.day.isoformat(), total.source)][kind] += getattr(total, kind)
    return render_template(
        "run.html",
        run=latest,
        states=states,
        selection=_object(latest["selection"]),
        kinds=KINDS,
        counts=changes(latest),
        difference=difference,
        by_day=dict(sorted(by_day.items())),
    )


def changes(run: Row) -> dict[str, dict[str, int]]:
    """Return the numbers of rows by table and kind of change that a run counted; empty before it has."""
    counted = _object(run["counts"])
    return {
        table: {kind: int(kinds.get(kind, 0)) for kind in KINDS}
        for table, kinds in counted.items()
        if isinstance(kinds, dict)
    }


def _difference(run_id: str) -> "Difference | None":
    """Return a run's diff in full, None where its rows are no longer kept."""
    # The reprocessing brings Beam along, which takes seconds to import.
    from pipelines.reprocess import diff  # noqa: PLC0415
    from pipelines.reprocess.runs import Staging  # noqa: PLC0415

    asked = warehouse()
    try:
        return asked.guarded(lambda: diff.read(asked.client, Staging.of(asked.target, run_id)))
    except UnansweredError:
        # Planned by an earlier version, discarded, or not yet compared: its counts remain.
        return None


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
