"""What a run leaves behind: events outside of it that tell the same messages, and stay as they were read."""

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess.runs import Run, Staging
from pipelines.reprocess.sql import counted, literal
from pipelines.reprocess.staging import CHANGES


def events(client: bigquery.Client, live: Target, run: Run) -> list[str]:
    """Return the ids of events that are not in a run and tell messages which it adds, removes or changes.

    It looks for the messages in all partitions, but only at ids.
    """
    place = Staging.of(live, run.run_id)
    changed = f"SELECT row_id FROM `{place.made(CHANGES)}` WHERE table_name = {literal('messages')}"  # noqa: S608
    told = counted(live, "messages", f"stored.message_id IN ({changed})")
    sql = (
        f"SELECT DISTINCT event_id FROM ({told}) "  # noqa: S608
        f"WHERE event_id NOT IN (SELECT event_id FROM `{place.made('events')}`) ORDER BY event_id"
    )
    return [row[0] for row in client.query_and_wait(sql)]
