"""How long rows that live has just stored are left alone by what deletes: BigQuery has them in a write buffer.

https://cloud.google.com/bigquery/docs/write-api#use_data_manipulation_language_dml_with_recently_streamed_data
"""

import datetime as dt
import os
from typing import Final

from pipelines.bigquery.target import REST_EMULATOR, ConfigurationError

MINUTES: Final = "PARLEY_STREAMING_BUFFER_MINUTES"
"""The setting: for how many minutes a row that was stored by live is not deleted."""
GOOGLES_MINUTES: Final = 30


def buffered_for() -> dt.timedelta:
    """Return for how long a row that live has stored is not deleted.

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
