"""The options of the pipeline, beside Beam's own."""

import argparse
import datetime as dt
import os
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)

from pipelines.bigquery.appender import CONNECTIONS
from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.io.archive_keys import ArchiveKeys, from_environment
from pipelines.io.archive_segments import Selection

STREAMING = "streaming"
BATCH = "batch"
BOTH = "both modes"
HERE = "this machine"
"""The groups of the options, and of these the first two are the modes."""

_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_RUNNERS_HERE = frozenset({"FnApiRunner", "DirectRunner", "BundleBasedDirectRunner"})


def moment(text: str) -> dt.datetime:
    """Return an RFC 3339 time or a date (its first moment) as UTC; without a zone, UTC is meant.

    Raises:
        ValueError: the text is neither, or so far away that nothing can be counted from there.
    """
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"neither a date nor an RFC 3339 time: {text!r}") from error
    if not _FIRST_YEAR <= parsed.year <= _LAST_YEAR:
        raise ValueError(f"not of the years {_FIRST_YEAR} to {_LAST_YEAR}: {text!r}")
    return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)


def _moment_text(text: str) -> str:
    """Check a time, but keep its text: runners hand options to their workers as JSON."""
    try:
        moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


# Of the others, a job server may know options that Beam in Python does not.
_RUNNERS_WHOLLY_KNOWN = _RUNNERS_HERE | {"DataflowRunner"}


def unknown(arguments: Sequence[str], also: Collection[str] = ()) -> list[str]:
    """Return the arguments that neither Beam nor the pipeline knows: Beam would drop them with a warning.

    Where a job server may know them, only those which look like a misspelt option of the pipeline, or of the
    command's `also`.
    """
    parser = _BeamArgumentParser(allow_abbrev=False)
    # As `PipelineOptions.get_all_options` does, which only warns.
    for options in {str(options): options for options in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)
    known, left = parser.parse_known_args(list(arguments))
    if not left or (known.runner or "").rpartition(".")[2] in _RUNNERS_WHOLLY_KNOWN:
        # Of `--fromm 2026-03-01` the option is wrong, and not what it was given.
        return [argument for argument in left if argument.startswith("-")] or left
    own = argparse.ArgumentParser(add_help=False)
    ParleyOptions._add_argparse_args(own)
    names = [*own._option_string_actions, *also]
    return [argument for argument in left if get_close_matches(argument.partition("=")[0], names, cutoff=0.85)]


class FlinkCheckpointOptions(PipelineOptions):
    """What Flink's runner knows of checkpoints and Beam in Python does not."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        # None is not handed over, so that other runners do not hear of it.
        parser.add_argument(
            "--finish_bundle_before_checkpointing",
            action="store_true",
            default=None,
            help="Flink ends bundles before a checkpoint and not with it",
        )


class ParleyOptions(PipelineOptions):
    """What a run reads and where its rows go."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        titles = (BOTH, STREAMING, BATCH, HERE)
        both, streaming, batch, here = (parser.add_argument_group(title) for title in titles)
        both.add_argument(
            "--mode",
            choices=[STREAMING, BATCH],
            default=STREAMING,
            help="streaming reads Pub/Sub and appends to BigQuery; batch plans a reprocessing of the archive",
        )
        streaming.add_argument(
            "--subscription",
            dest="subscriptions",
            action="extend",
            type=_listed,
            default=[],
            help="Pub/Sub subscriptions, projects/…/subscriptions/…, with commas; "
            "by default parley-<source> of every source",
        )
        streaming.add_argument(
            "--live_reader",
            choices=["native", "pull"],
            default="native",
            help="the runner's own Pub/Sub source, or Pub/Sub's client as an unbounded source",
        )
        streaming.add_argument(
            "--live_readers",
            type=int,
            choices=range(1, 1_001),
            metavar="N",
            default=1,
            help="the pulling reader on a cluster: how many share the messages; some for each worker",
        )
        streaming.add_argument(
            "--append_connections",
            type=int,
            choices=range(1, 101),
            metavar="N",
            default=CONNECTIONS,
            help="how many connections a process opens to a table at most; one where the load is small",
        )
        batch.add_argument("--archive", help="the archive's root, a folder or gs://bucket/prefix")
        batch.add_argument(
            "--archive_keys",
            metavar="FOLDER",
            help="where the data keys of a sealed archive lie, a folder or gs://bucket/prefix; "
            "by default $PARLEY_ARCHIVE_KEYS",
        )
        batch.add_argument(
            "--archive_key_secret",
            metavar="NAME",
            help="the secret that wraps these keys, projects/…/secrets/…, read by the workers themselves; "
            "by default $PARLEY_ARCHIVE_KEY goes along with the job",
        )
        batch.add_argument(
            "--output",
            help="where Parquet files go, a folder or gs://bucket/prefix; by default rows in --temp_location",
        )
        batch.add_argument(
            "--from", dest="start", type=_moment_text, help="only events received from this time on, RFC 3339, UTC"
        )
        batch.add_argument("--to", dest="end", type=_moment_text, help="only events received before this time")
        batch.add_argument(
            "--source",
            dest="sources",
            action="extend",
            type=_listed,
            default=[],
            help="endpoints, with commas; by default all",
        )
        batch.add_argument("--reason", help="why; kept with the run")
        here.add_argument(
            "--processes",
            type=int,
            help="batch: how many processes share a large archive at most; by default one a core, "
            "and one where the runner is elsewhere",
        )
        here.add_argument(
            "--stop_seconds",
            type=float,
            default=20.0,
            help="streaming with the pulling reader: how long a stop waits for BigQuery to take what was read",
        )
        here.add_argument(
            "--in_hand",
            help="streaming with the pulling reader: a local folder that outlives the process, where it notes "
            "what it works on; an event on which it dies is tried among few then, alone, and at last set aside",
        )
        both.add_argument("--bigquery_project", help="the project of the datasets; by default --project")
        both.add_argument("--dataset_prefix", default="", help="what the datasets' names begin with")
        both.add_argument("--bigquery_location", default="US", help="where the datasets are")
        both.add_argument(
            "--erasure_key_secret",
            metavar="NAME",
            help="the secret with which people are erased, projects/…/secrets/…, read by the workers themselves; "
            "by default $PARLEY_ERASURE_KEY goes along with the job",
        )

    def selection(self) -> Selection:
        """Return which raw events a batch run reads."""
        start, end = (moment(text) if text else None for text in (self.start, self.end))
        return Selection(start, end, tuple(self.sources))

    def keys(self) -> ArchiveKeys:
        """Return the keys with which a batch run opens sealed events.

        Raises:
            ConfigurationError: a setting is missing or wrong.
        """
        return from_environment(self.archive_keys, self.archive_key_secret)

    def most_processes(self) -> int:
        """Return among how many processes of this machine a batch run may be divided."""
        if self.processes:
            return int(self.processes)
        return os.cpu_count() or 1 if self.runs_in_this_process() else 1

    def runs_here(self) -> bool:
        """Return whether the runner runs pipelines in the process that asks it to."""
        return (self.view_as(StandardOptions).runner or "").rpartition(".")[2] in _RUNNERS_HERE

    def runs_in_this_process(self) -> bool:
        """Return whether the runner's workers are this process: those of Beam's own processes are not."""
        return self.runs_here() and self.view_as(DirectOptions).direct_running_mode != "multi_processing"

    def runs_elsewhere(self) -> bool:
        """Return whether a runner is named that runs pipelines somewhere else."""
        return bool(self.view_as(StandardOptions).runner) and not self.runs_here()

    def target(self) -> Target:
        """Return where rows go.

        Raises:
            ConfigurationError: no project is given, or a name is malformed.
        """
        project = self.bigquery_project or self.view_as(GoogleCloudOptions).project
        if not project:
            raise ConfigurationError("--bigquery_project is not given: the Google Cloud project with the datasets")
        return Target.prefixed(project, self.dataset_prefix, self.bigquery_location)

    def files(self) -> str:
        """Return where a batch run puts Parquet files.

        Raises:
            ConfigurationError: neither --output nor --temp_location is given.
        """
        temporary = self.view_as(GoogleCloudOptions).temp_location
        if self.output:
            return str(self.output)
        if temporary:
            return f"{temporary.rstrip('/')}/rows"
        raise ConfigurationError("--output is not given: where Parquet files go, which are then loaded")
