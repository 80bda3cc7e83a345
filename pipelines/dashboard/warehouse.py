"""The questions that the pages ask: each a file in `sql/`, with parameters, a limit and bounds in time."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib import resources
from string import Template
from threading import Lock
from typing import Any, TypeVar

import requests
from google.api_core.exceptions import ClientError, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.dashboard import reported
from schemas import loader

MAX_BYTES = "PARLEY_DASHBOARD_MAX_BYTES"
DEFAULT_MAX_BYTES = 50 * 1024**3
"""What one query may read at most; a page that asks for more says so instead of costing it."""

_SECONDS = 60.0
_AROUND = 3
"""How many days around a period tell who is who in it, as `exchanged.part.sql` looks for answers."""
_FAR_AROUND = 45
"""How many days around a page of a conversation do, as `spoken.sql` looks for other days."""
_NEAR = 7
"""How many days around a page of a person tell who is who across sources: more would be more than the limit."""
_GIB = 1024**3
_AT_ONCE = 8
"""How many questions are asked at once on behalf of pages, beside those that each page asks itself."""
_STEP = 8
"""Lists are as long as its powers: a statement is planned anew for each length."""
# BigQuery's words, and how many bytes it would be.
_TOO_MANY = re.compile(r"limit for bytes billed: \d+\. (?P<needed>\d+) or higher required")

Row = dict[str, Any]
_Asked = tuple[str, tuple[tuple[str, Any], ...]]
_T = TypeVar("_T")


class UnansweredError(Exception):
    """BigQuery gave no answer; the message says why, as far as it is known."""

    def __init__(self, message: str, *, will_pass: bool) -> None:
        super().__init__(message)
        self.will_pass = will_pass
        """Whether asking again later may help, as where BigQuery or its tables are not there yet."""


class Warehouse:
    """Asks BigQuery; connects when it is asked for the first time."""

    def __init__(
        self, target: Target, connect: Callable[[], bigquery.Client], max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        self.target = target
        self._max_bytes = max_bytes
        self._connect = cache(connect)
        self._others = ThreadPoolExecutor(_AT_ONCE, "question")
        self._under_way: dict[_Asked, Future[list[Row]]] = {}
        self._together = Lock()

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
        sql, scalars = rendered(question, self.target, parameters)
        settings = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in scalars.items()],
            maximum_bytes_billed=self._max_bytes,
            labels={"parley": "dashboard"},
        )
        return self.guarded(
            lambda: [dict(row) for row in self.client.query(sql, job_config=settings).result(timeout=_SECONDS)]
        )

    def begin(self, question: str, **parameters: Any) -> Future[list[Row]]:
        """Ask as `ask` does, beside what else is asked; the result has the rows, or raises what `ask` does."""
        return self._others.submit(self.ask, question, **parameters)

    def together(self, question: str, **parameters: Any) -> list[Row]:
        """Ask as `ask` does, once for all who ask the same before it is answered."""
        asked = (question, tuple(sorted(parameters.items())))
        with self._together:
            answer = self._under_way.get(asked)
            if answer is None:
                answer = self._under_way[asked] = self.begin(question, **parameters)
                answer.add_done_callback(lambda _: self._under_way.pop(asked, None))
        return answer.result()

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
            raise self._refused(error) from error
        except (GoogleAPIError, GoogleAuthError, requests.RequestException, TimeoutError) as error:
            # The client takes a refusal whose reason it does not know for a fault of the server.
            if _TOO_MANY.search(str(error)):
                raise self._refused(error) from error
            raise UnansweredError("BigQuery does not answer.", will_pass=True) from error

    def _refused(self, error: Exception) -> UnansweredError:
        if too_many := _TOO_MANY.search(str(error)):
            message = (
                f"This would read {int(too_many['needed']) / _GIB:,.0f} GiB, and a question may read "
                f"{self._max_bytes / _GIB:,.0f} GiB. Choose a shorter period, or raise {MAX_BYTES}."
            )
        else:
            message = f"BigQuery refuses: {getattr(error, 'message', error)}"
        return UnansweredError(message, will_pass=False)


def max_bytes(environ: Mapping[str, str]) -> int:
    """Return what one query may read at most, as the environment says.

    Raises:
        ConfigurationError: it says something that is no number of bytes.
    """
    text = environ.get(MAX_BYTES, "").strip() or str(DEFAULT_MAX_BYTES)
    if not text.isdecimal() or not int(text):
        raise ConfigurationError(f"{MAX_BYTES} is a number of bytes, not {text!r}")
    return int(text)


def rendered(question: str, target: Target, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the SQL of a question as it is sent, and the parameters that it is sent with."""
    lists = {name: _padded(value) for name, value in parameters.items() if isinstance(value, list)}
    scalars = {name: value for name, value in parameters.items() if name not in lists}
    scalars |= {f"{name}_{n}": each for name, values in lists.items() for n, each in enumerate(values)}
    return statement(question, target, {name: len(values) for name, values in lists.items()}), scalars


def _padded(values: list[Any]) -> list[Any]:
    """Return values, the last one repeated, so that statements differ by few lengths of their lists."""
    length = 1
    while length < len(values):
        length *= _STEP
    return values + values[-1:] * (length - len(values))


def statement(question: str, target: Target, lists: Mapping[str, int]) -> str:
    """Return the SQL of a question to a target, with lists of so many values."""
    names = {
        "rows": f"{target.project}.{target.rows_dataset}",
        "views": f"{target.project}.{target.views_dataset}",
    }
    # With the ids as the tables have them: to know who is who, the views read all aliases there are.
    texts = loader.views()["message_texts"].replace("${views}.messages`", "${views}.messages_as_told`")
    names["texts"] = Template(texts).substitute(names)
    people = Template(_sql("people.part"))
    rounds = Template(loader.rounds()).substitute().rstrip()
    names["people"] = people.substitute(names, rounds=rounds, around=_AROUND).rstrip()
    names["people_around"] = people.substitute(names, rounds=rounds, around=_FAR_AROUND).rstrip()
    people_near = people.substitute(names, rounds=rounds, around=_NEAR).rstrip()
    across = Template(_sql("across.part"))
    linked = rounds.replace("round_", "linked_round_").replace("FROM ends", "FROM linked_ends")
    names["across"] = across.substitute(names, linked_rounds=linked, around=_AROUND).rstrip()
    near = names | {"people": people_near}
    names["across_near"] = across.substitute(near, linked_rounds=linked, around=_NEAR).rstrip()
    names["exchanged"] = Template(_sql("exchanged.part")).substitute(names).rstrip()
    for part in ("outbound", "turns"):
        names[part] = Template(_sql(f"{part}.part")).substitute(names).rstrip()
    names |= reported.parts(question, names, _sql)
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
