"""How long rows that live has just stored cannot be replaced: BigQuery refuses that in a transaction.

https://cloud.google.com/bigquery/docs/write-api#use_data_manipulation_language_dml_with_recently_streamed_data
"""

import datetime as dt
import os
from collections.abc import Sequence
from typing import Final

from google.cloud import bigquery

from pipelines.bigquery.arrow import PROCESSED_AT
from pipelines.bigquery.target import REST_EMULATOR, ConfigurationError, Target
from pipelines.reprocess import staging
from pipelines.reprocess.runs import Run, Staging, State
from pipelines.reprocess.sql import partitions
from pipelines.reprocess.staging import Range

MINUTES: Final = "PARLEY_STREAMING_BUFFER_MINUTES"
"""The setting: for how many minutes a row that was stored by live cannot be replaced."""
GOOGLES_MINUTES: Final = 30


def buffered_for() -> dt.timedelta:
    """Return for how long a row that live has stored cannot be replaced.

    Less than Google's half hour is only believed of an emulator, which keeps no write buffer.

    Raises:
        ConfigurationError: the setting is no number of minutes, or is too few for the real BigQuery.
    """
    text = os.environ.get(MINUTES) or str(GOOGLES_MINUTES)
    if not (text.isascii() and text.isdigit() and len(text) <= len("10080")):
        raise ConfigurationError(f"{MINUTES} is a whole number of minutes, not {text!r}")
    minutes = int(text)
    if minutes < GOOGLES_MINUTES and not os.environ.get(REST_EMULATOR):
        raise ConfigurationError(
            f"{MINUTES} is {minutes}: less than {GOOGLES_MINUTES} is for the local BigQuery only, since Google's "
            "would refuse"
        )
    return dt.timedelta(minutes=minutes)


def replaceable_from(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], reprocessed: Range
) -> dt.datetime | None:
    """Return when every current row of a run's events can be replaced; None where that is now.

    The ledger tells: live stores an event's row there last, after all others. Rows that another run has put
    in place were inserted and not streamed, however young they are.

    Raises:
        ConfigurationError: as `buffered_for`.
    """
    wait = buffered_for()
    if not wait:
        return None
    since = dt.datetime.now(dt.UTC) - wait
    inserted = "".join(
        f"AND NOT EXISTS (SELECT 1 FROM `{place.made('events')}` AS made "  # noqa: S608
        f"WHERE made.event_id = present.event_id AND made.{PROCESSED_AT} = present.{PROCESSED_AT}) "
        for place in _young(client, live, run, runs, since)
    )
    sql = (
        f"SELECT MAX(present.{PROCESSED_AT}) FROM `{live.table('events')}` AS present "  # noqa: S608
        f"WHERE {partitions('events', reprocessed.first, reprocessed.last, 'present.')} "
        f"AND present.{PROCESSED_AT} > TIMESTAMP '{since.isoformat()}' AND present.event_id IN "
        f"(SELECT event_id FROM `{Staging.of(live, run.run_id).made('events')}`) {inserted}"
    )
    latest: dt.datetime | None = next(iter(client.query_and_wait(sql)))[0]
    return None if latest is None else latest + wait


def _young(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], since: dt.datetime
) -> Sequence[Staging]:
    """Return where the runs keep their rows that are in place and may have made them since then."""
    planned = ((other, other.reached(State.PLANNED)) for other in runs if other.state is State.APPLIED)
    places = (
        Staging.of(live, other.run_id)
        for other, at in planned
        if at is not None and at > since and other.run_id != run.run_id
    )
    return [place for place in places if staging.exists(client, place)]
