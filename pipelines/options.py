"""The options of the pipeline, beside Beam's own."""

import argparse
import datetime as dt

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.archive import Selection


def moment(text: str) -> dt.datetime:
    """Return an RFC 3339 time or a date (its first moment) as UTC; without a zone, UTC is meant.

    Raises:
        ValueError: the text is neither.
    """
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"neither a date nor an RFC 3339 time: {text!r}") from error
    return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)


class ParleyOptions(PipelineOptions):
    """What a run reads and where its rows go."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--mode",
            choices=["streaming", "batch"],
            default="streaming",
            help="streaming reads Pub/Sub and appends to BigQuery; batch reads the archive into files",
        )
        parser.add_argument(
            "--subscription",
            dest="subscriptions",
            action="append",
            default=[],
            help="streaming: a Pub/Sub subscription, projects/…/subscriptions/…; may be given again",
        )
        parser.add_argument(
            "--live_reader",
            choices=["native", "pull"],
            default="native",
            help="streaming: the runner's own Pub/Sub source, or Pub/Sub's client as an unbounded source",
        )
        parser.add_argument("--archive", help="batch: the archive's root, a folder or gs://bucket/prefix")
        parser.add_argument("--output", help="batch: where Parquet files go, a folder or gs://bucket/prefix")
        parser.add_argument("--from", dest="start", type=moment, help="batch: first time of receipt")
        parser.add_argument("--to", dest="end", type=moment, help="batch: time of receipt to stop before")
        parser.add_argument(
            "--source",
            dest="sources",
            action="append",
            default=[],
            help="batch: an endpoint; may be given again",
        )
        parser.add_argument("--bigquery_project", help="streaming: the project of the datasets")
        parser.add_argument("--dataset_prefix", default="", help="streaming: what the datasets' names begin with")

    def selection(self) -> Selection:
        """Return which raw events a batch run reads."""
        return Selection(self.start, self.end, tuple(self.sources))
