"""Starts the pipeline as one job of any Beam runner: `python -m pipelines.normalize --mode … --runner …`."""

import getpass
import logging
import sys
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines.bigquery.target import ConfigurationError
from pipelines.io.options import BATCH, ParleyOptions
from pipelines.reprocess import job
from pipelines.reprocess.runs import Request
from pipelines.run import stream

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Start what the arguments ask for, and wait for its end unless `--no_wait_until_finish` is given."""
    # Beam has logged something while it was imported, and with that configured logging as it likes.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    options = PipelineOptions(list(sys.argv[1:] if arguments is None else arguments))
    try:
        result = start(options)
    except (ConfigurationError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    if not options.view_as(StandardOptions).no_wait_until_finish:
        result.wait_until_finish()


def start(options: PipelineOptions) -> Any:
    """Start the pipeline in the mode of its options; return the runner's result.

    Raises:
        ConfigurationError: an option is missing or malformed.
        FileNotFoundError: there is no archive.
    """
    parley = options.view_as(ParleyOptions)
    where = parley.target()
    if parley.mode != BATCH:
        return stream.run(options, where)
    if not parley.archive:
        raise ConfigurationError("--archive is not given: the root of the raw events")
    request = Request(parley.archive, parley.selection(), getpass.getuser(), parley.reason)
    started = job.start(where, request, options, parley.files())
    _log.info("this job plans the run %s; then: parley backfill show %s", started.run_id, started.run_id)
    return started.result


if __name__ == "__main__":
    main()
