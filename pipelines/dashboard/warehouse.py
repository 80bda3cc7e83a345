"""The questions that the pages ask: each a file in `sql/`, with parameters, a limit and bounds in time."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template
from typing import Any, TypeVar

import requests
from google.api_core.exceptions import ClientError, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from pipelines.bigquery.target import Target

_SECONDS = 60.0
_BYTES = 50 * 1024**3
"""What one query may read at most; a page that asks for more says so instead of costing it."""

Row = dict[str, Any]
_T = TypeVar("_T")


class UnansweredError(Exception):
    """BigQuery gave no answer; the message says why, as far as it is known."""

    def __init__(self, message: str, *, will_pass: bool) -> None:
        super().__init__(message)
        self.will_pass = will_pass
        """Whether asking again later may help, as where BigQuery or its tables are not there yet."""


class Warehouse:
    """Asks BigQuery; connects when it is asked for the first time."""

    def __init__(self, target: Target, connect: Callable[[], bigquery.Client]) -> None:
        self.target = target
        self._connect = cache(connect)

    @property
    def client(self) -> bigquery.Client:
        """The client, for whoever has questions of their own."""
        return self._connect()

    def ask(self, question: str, **parameters: Any) -> list[Row]:
        """Return the rows that `sql/<question>.sql` gives.

        A list is one parameter for each of its values: the engines look below a view for these, but not for
        those of an array.

        Raises:
            UnansweredError: BigQuery does not answer, or has no such tables.
        """
        lists = {name: value for name, value in parameters.items() if isinstance(value, list)}
        scalars = {name: value for name, value in parameters.items() if name not in lists}
        scalars |= {f"{name}_{n}": each for name, values in lists.items() for n, each in enumerate(values)}
        sql = statement(question, self.target, {name: len(values) for name, values in lists.items()})
        settings = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in scalars.items()],
            maximum_bytes_billed=_BYTES,
            labels={"parley": "dashboard"},
        )
        return self.guarded(
            lambda: [dict(row) for row in self.client.query(sql, job_config=settings).result(timeout=_SECONDS)]
        )

    def first(self, question: str, **parameters: Any) -> Row | None:
        """Return the first row that `sql/<question>.sql` gives, None where there is none."""
        return next(iter(self.ask(question, **parameters)), None)

    def guarded(self, question: Callable[[], _T]) -> _T:
        """Return what a question gives.

        Raises:
            UnansweredError: BigQuery does not answer, or has no such tables.
        """
        try:
            return question()
        except NotFound as error:
            raise UnansweredError("BigQuery has no tables of Parley's yet.", will_pass=True) from error
        except ClientError as error:
            raise UnansweredError(f"BigQuery refuses: {error.message}", will_pass=False) from error
        except (GoogleAPIError, GoogleAuthError, requests.RequestException, TimeoutError) as error:
            raise UnansweredError("BigQuery does not answer.", will_pass=True) from error


def statement(question: str, target: Target, lists: Mapping[str, int]) -> str:
    """Return the SQL of a question to a target, with lists of so many values."""
    names = {
        "rows": f"{target.project}.{target.rows_dataset}",
        "views": f"{target.project}.{target.views_dataset}",
    }
    names["exchanged"] = Template(_sql("exchanged.part")).substitute(names).rstrip()
    for name, count in lists.items():
        names[name] = ", ".join(f"@{name}_{number}" for number in range(count)) or "NULL"
    return Template(_sql(question)).substitute(names)


def questions() -> Sequence[str]:
    """Return the name of every question."""
    names = (entry.name for entry in resources.files(__package__).joinpath("sql").iterdir())
    return sorted(name.removesuffix(".sql") for name in names if not name.endswith(".part.sql"))


@cache
def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"sql/{name}.sql").read_text("utf-8")


def _parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter:
    # Of a bool before an int, of a datetime before a date: each is the other, too.
    for kind, type_name in (
        (bool, "BOOL"),
        (int, "INT64"),
        (dt.datetime, "TIMESTAMP"),
        (dt.date, "DATE"),
        (str, "STRING"),
    ):
        if isinstance(value, kind):
            return bigquery.ScalarQueryParameter(name, type_name, value)
    raise TypeError(f"no parameter of BigQuery's: {name}={value!r}")
