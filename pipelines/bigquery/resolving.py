"""Keeps, by day, who contacts are that were seen by several ids: the view `identities`, for bounded questions.

To know who is who takes the aliases of all times; a question of a week cannot read them. So the answer is kept
where a partition filter finds it: in `resolved_contacts`. The view stays the truth; to keep it again mends what
differs, and writes nothing where nothing does.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipelines.bigquery.target import Target

TABLE: Final = "resolved_contacts"
LATE: Final = dt.timedelta(days=100)
"""How long ago a contact may have been seen of whom it is told only now who it is."""


def keep(
    client: bigquery.Client,
    live: Target,
    days: tuple[dt.date, dt.date] | None = None,
    contacts: Sequence[str] | None = None,
) -> int:
    """Let `resolved_contacts` say what `identities` says; return how many entries that took.

    Args:
        client: BigQuery.
        live: where the tables are.
        days: of contacts seen from the first of two days to the last; all days where it is None.
        contacts: of these contacts; of all where it is None.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses.
    """
    if not is_there(client, live):
        return 0
    parameters: list[bigquery.ScalarQueryParameter] = []
    chosen = "TRUE"
    if days is not None:
        chosen = "seen_date BETWEEN @first_day AND @last_day"
        parameters += [
            bigquery.ScalarQueryParameter(name, "DATE", day)
            for name, day in zip(("first_day", "last_day"), days, strict=True)
        ]
    if contacts is not None:
        named = [bigquery.ScalarQueryParameter(f"who_{n}", "STRING", each) for n, each in enumerate(contacts)]
        if not named:
            return 0
        chosen += f" AND contact_id IN ({', '.join(f'@{each.name}' for each in named)})"
        parameters += named
    job = client.query(statement(live, chosen), job_config=bigquery.QueryJobConfig(query_parameters=parameters))
    job.result()
    return int(job.num_dml_affected_rows or 0)


def statement(live: Target, chosen: str) -> str:
    """Return what inserts an entry wherever the view says another, of sightings for which `chosen` holds."""
    return f"""
INSERT INTO `{live.table(TABLE)}`
  (seen_date, source, channel_id, contact_id, source_contact_id, resolved_contact_id, resolved_source_contact_id,
  decided_at)
{differences(live, chosen)}"""


def differences(live: Target, chosen: str) -> str:
    """Return the query of the entries that are missing.

    Of all sightings, whether they count or not: that is half as much to read, and who is who holds all the same.
    """
    return f"""
WITH
  seen AS (
    SELECT DISTINCT seen_date, channel_id, contact_id
    FROM `{live.view("seen_contacts")}`
    WHERE {chosen}
  ),
  found AS (
    SELECT
      seen.seen_date,
      seen.channel_id,
      seen.contact_id,
      identities.source,
      identities.source_contact_id,
      identities.resolved_contact_id,
      identities.resolved_source_contact_id
    FROM seen
    INNER JOIN `{live.view("identities")}` AS identities ON identities.contact_id = seen.contact_id
    WHERE identities.resolved_contact_id != seen.contact_id
  ),
  known AS (
    SELECT seen_date, channel_id, contact_id, source, source_contact_id, resolved_contact_id
    FROM `{live.view(TABLE)}`
    WHERE {chosen}
  )
SELECT
  seen_date,
  COALESCE(found.source, known.source) AS source,
  channel_id,
  contact_id,
  COALESCE(found.source_contact_id, known.source_contact_id) AS source_contact_id,
  COALESCE(found.resolved_contact_id, contact_id) AS resolved_contact_id,
  COALESCE(found.resolved_source_contact_id, known.source_contact_id) AS resolved_source_contact_id,
  CURRENT_TIMESTAMP() AS decided_at
FROM found
FULL OUTER JOIN known USING (seen_date, channel_id, contact_id)
WHERE COALESCE(found.resolved_contact_id, contact_id) != COALESCE(known.resolved_contact_id, contact_id)"""  # noqa: S608


def members(client: bigquery.Client, live: Target, contacts: Sequence[str]) -> set[str]:
    """Return contacts and whoever else is the same person in their source, as the tables have them."""
    named = [bigquery.ScalarQueryParameter(f"who_{n}", "STRING", each) for n, each in enumerate(contacts)]
    sql = (
        f"SELECT other.contact_id FROM `{live.view('identities')}` AS me "  # noqa: S608
        f"INNER JOIN `{live.view('identities')}` AS other ON other.resolved_contact_id = me.resolved_contact_id "
        f"WHERE me.contact_id IN ({', '.join(f'@{each.name}' for each in named)}) ORDER BY contact_id"
    )
    job = client.query(sql, job_config=bigquery.QueryJobConfig(query_parameters=named))
    return {*contacts, *(str(row["contact_id"]) for row in job.result())}


def is_there(client: bigquery.Client, live: Target) -> bool:
    """Return whether the table is there: an earlier version's installation has it from its next deployment on."""
    try:
        client.get_table(live.view(TABLE))
    except NotFound:
        return False
    return True
