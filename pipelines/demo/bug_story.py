"""The bug story of the demo: messages were counted wrongly, and history is mended while live goes on."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from pipelines.demo.story import expect
from pipelines.demo.warehouse import Warehouse
from pipelines.demo.webhooks import ARRIVING, Arrivals
from pipelines.reprocess import Run
from pipelines.reprocess.backfill_commands import backfill
from pipelines.reprocess.runs import Runs

Counts = dict[str, int]
"""Messages by source."""

_WRONG: Final = (
    "The pipeline that has run so far has a bug (pipelines/demo/miscounting.py): it takes each reaction of "
    "Messenger and Instagram for a message. The line without a text is no message, and the counts are too high."
)
_FIX: Final = (
    "The fix goes live: the wrong pipeline ends and the right one starts, while texts keep arriving. From here on "
    "counts are right, but what was stored before is still wrong. So plan to make all of that again:"
)
_PLANNED: Final = (
    "Exactly the reactions are no longer messages, and the ledger tells of fewer rows of their webhooks. Analysts "
    "still read what they read before. The same with plots, for a browser: {report}"
)
_BACK: Final = "Every row of every table is as it was before."


def tell(console: Console, warehouse: Warehouse, sent: int, mend: Callable[[], None], report: Path) -> int:
    """Tell it, and return how many webhooks arrived meanwhile; `mend` puts the right pipeline in place.

    Raises:
        StoryError: something is not as it should be.
    """
    console.print(_WRONG)
    with Arrivals() as arrivals:
        console.print(_FIX)
        with console.status("replacing the pipeline …"):
            mend()
            fixed = dt.datetime.now(dt.UTC)
            _wait_for_arrivals(warehouse, arrivals.taken)
        _reprocess(console, warehouse, fixed, report)
    _check_arrivals(warehouse, arrivals.taken, sent)
    console.print(
        f"{arrivals.taken} texts arrived while all this went on: none is missing, and each is there once."
    )
    return arrivals.taken


def _reprocess(console: Console, warehouse: Warehouse, fixed: dt.datetime, report: Path) -> None:
    reactions = _reactions(warehouse, fixed)
    wrong, stored = _counts(warehouse, fixed), warehouse.image(fixed)
    right = {source: count - reactions.get(source, 0) for source, count in wrong.items()}

    moment = fixed.isoformat().replace("+00:00", "Z")
    _parley(console, "plan", "--to", moment, "--reason", "reactions are no messages", "--report", str(report))
    run = Runs(warehouse.client, warehouse.where).get("latest")
    _check_plan(run, _affected(warehouse, fixed))
    expect("the counts after the plan", _counts(warehouse, fixed), wrong)
    console.print(_PLANNED.format(report=report))

    _parley(console, "apply", "latest")
    applied = _counts(warehouse, fixed)
    expect("the counts after apply", applied, right)

    _parley(console, "rollback", "latest", "--reason", "to show that it can be taken back")
    back = _counts(warehouse, fixed)
    expect("the counts after rollback", back, wrong)
    expect("the rows after rollback", warehouse.image(fixed), stored)
    console.print(_BACK)

    _parley(console, "apply", "latest")
    again = _counts(warehouse, fixed)
    expect("the counts after the second apply", again, right)
    _show(console, {"with the bug": wrong, "applied": applied, "rolled back": back, "applied again": again})


def _parley(console: Console, *arguments: str) -> None:
    """Run `parley backfill …` before eyes."""
    typed = " ".join(json.dumps(argument) if " " in argument else argument for argument in arguments)
    console.print(f"\n[bold]$ parley backfill {typed}[/bold]", highlight=False, soft_wrap=True)
    backfill.main(list(arguments), prog_name="parley backfill", standalone_mode=False)


def _counts(warehouse: Warehouse, before: dt.datetime) -> Counts:
    return dict(
        warehouse.rows(
            f"SELECT source, COUNT(*) FROM `V.messages` WHERE {_received(before)} GROUP BY source ORDER BY source"  # noqa: S608
        )
    )


def _reactions(warehouse: Warehouse, before: dt.datetime) -> Counts:
    """Return how many reactions the wrong generation takes for messages, by source."""
    return dict(
        warehouse.rows(f"SELECT source, COUNT(DISTINCT metadata_id) {_of_reactions(before)} GROUP BY source")
    )


def _affected(warehouse: Warehouse, before: dt.datetime) -> int:
    """Return how many rows of messages are wrong: a redelivery has its own."""
    return warehouse.scalar(f"SELECT COUNT(DISTINCT CONCAT(event_id, metadata_id)) {_of_reactions(before)}")


def _of_reactions(before: dt.datetime) -> str:
    return (
        "FROM `R.metadata` WHERE key = 'reaction.emoji' AND source IN ('facebook', 'instagram') "
        f"AND {_received(before)}"
    )


def _received(before: dt.datetime) -> str:
    return f"received_at < TIMESTAMP '{before.isoformat()}'"


def _wait_for_arrivals(warehouse: Warehouse, last: int) -> None:
    """Wait for the arrivals up to a number: the last of those that can have come before now is on its way."""
    number = f"CAST(REPLACE(source_message_id, '{ARRIVING}', '') AS INT64)"
    sql = (
        "SELECT COUNT(DISTINCT source_message_id) FROM `R.messages` "  # noqa: S608
        f"WHERE STARTS_WITH(source_message_id, '{ARRIVING}') AND {number} <= {last}"
    )
    warehouse.wait_for("what arrived while no pipeline ran", sql, last + 1)


def _check_plan(run: Run, affected: int) -> None:
    moved = {
        (table, kind): count
        for table, counts in run.differences().items()
        for kind, count in counts.items()
        if count and kind != "unchanged"
    }
    # How many rows its event has the ledger says, and a plan leaves aside where the generation counted otherwise.
    moved.pop(("events", "changed"), None)
    expect("what the plan would change", moved, {("messages", "removed"): affected})


def _check_arrivals(warehouse: Warehouse, taken: int, sent: int) -> None:
    warehouse.wait_for_events(sent + taken)
    found = warehouse.rows(
        "SELECT COUNT(*), COUNT(DISTINCT source_message_id) FROM `V.messages` "  # noqa: S608
        f"WHERE STARTS_WITH(source_message_id, '{ARRIVING}')"
    )
    expect("texts that arrived meanwhile", [tuple(row) for row in found], [(taken, taken)])


def _show(console: Console, moments: dict[str, Counts]) -> None:
    table = Table("source", title="Messages that the analyst counts, as of before the fix", title_justify="left")
    for moment in moments:
        table.add_column(moment, justify="right")
    for source in next(iter(moments.values())):
        table.add_row(source, *(f"{counts[source]:,}" for counts in moments.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in moments.values()))
    console.print(table)
