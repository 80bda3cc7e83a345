"""What Parley costs a month on Google Cloud, with the arithmetic: prints the tables of deploy/README.md.

US dollars, list prices of us-central1 (buckets and datasets: US), without discounts. How many bytes an event
becomes is measured on a generated world; how many a query reads is computed from the schemas. Change a number and
run it again, with the Python of `make setup`: `.venv/bin/python deploy/costs.py`.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.bigquery import resolving
from pipelines.bigquery.target import Target
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import rendered
from pipelines.dashboard.widest import widest
from pipelines.generate.volume import volume
from pipelines.reprocess.extent import DAYS_BEFORE
from pipelines.reprocess.retold import TOLD, told_within
from pipelines.reprocess.sql import Extent
from pipelines.reprocess.superseding import LOOKS_BACK
from schemas import loader, view_columns
from schemas.scans import Scan, scans

RATES = (1, 100, 10_000)
"""Events a second, around the clock."""
HOURS = 730
SECONDS = HOURS * 3600
GIB = 2**30

PRICES_AS_OF = "2026-11"
PRICES = {
    "machine": (0.067011, "e2-standard-2, an hour", "https://cloud.google.com/compute/vm-instance-pricing"),
    "ssd": (0.17, "SSD persistent disk, GiB-month", "https://cloud.google.com/compute/disks-image-pricing"),
    "boot": (0.10, "balanced persistent disk, GiB-month", "https://cloud.google.com/compute/disks-image-pricing"),
    "rule": (0.025, "forwarding rule, an hour", "https://cloud.google.com/load-balancing/pricing"),
    "balanced": (0.008, "load balancer, GiB in or out", "https://cloud.google.com/load-balancing/pricing"),
    "pubsub": (
        40 / 1024,
        "Pub/Sub, GiB published or delivered, 10 free",
        "https://cloud.google.com/pubsub/pricing",
    ),
    "bucket": (0.026, "Standard storage in a multi-region, GiB-month", "https://cloud.google.com/storage/pricing"),
    "object": (0.01 / 1000, "creating an object in a multi-region", "https://cloud.google.com/storage/pricing"),
    "vcpu": (0.069, "streaming worker, vCPU-hour", "https://cloud.google.com/dataflow/pricing"),
    "memory": (0.003557, "streaming worker, GB-hour", "https://cloud.google.com/dataflow/pricing"),
    "worker_disk": (0.000054, "worker's disk, GB-hour", "https://cloud.google.com/dataflow/pricing"),
    "unit": (0.089, "Streaming Engine Compute Unit, an hour", "https://cloud.google.com/dataflow/pricing"),
    "replica": (0.02, "written to a bucket in a multi-region, GiB", "https://cloud.google.com/storage/pricing"),
    "query": (6.25, "read by queries, TiB, 1 free", "https://cloud.google.com/bigquery/pricing"),
    "write": (0.025, "Storage Write API, GiB, 2 TiB free", "https://cloud.google.com/bigquery/pricing"),
    "tables": (0.02, "active logical storage, GiB-month", "https://cloud.google.com/bigquery/pricing"),
    "samples": (0.06 / 1e6, "Prometheus sample", "https://cloud.google.com/stackdriver/pricing"),
}

REQUEST_BYTES = 2_000
SMALLEST_REQUEST_BYTES = 1_000
RECEIVER_EVENTS = 2_000
WORKER_EVENTS = 2_000
PLAN_EVENTS = 39_200
UNITS = 58
SOURCES = 6
NIGHTS = HOURS / 24
VISITS = 20 * 22
LOOKS = 22
QUERY_RATE = 100
LAST = dt.date(2026, 6, 30)
WEEK = Period(LAST - dt.timedelta(days=6), LAST)
YEAR = frozenset(LAST - dt.timedelta(days=number) for number in range(365))
COOKBOOK = Path(__file__).parents[1] / "docs" / "cookbook.md"
PARTITIONS = ("sent_date", "occurred_date", "received_at", "day")
"""By which columns views are asked for a week."""
ASSUMPTIONS = {
    "a webhook with its headers": f"{REQUEST_BYTES:,} B",
    "the same published, with attributes": f"{volume().published:,.0f} B, and {SMALLEST_REQUEST_BYTES:,} B up to "
    "100 events a second, where a request publishes one event and Pub/Sub bills at least so much",
    "the same in the archive": f"{volume().archived:,.0f} B",
    "its rows in BigQuery": f"{volume().bytes_of(volume().columns):,.0f} B "
    f"({sum(volume().rows.values()):.1f} rows)",
    "dead letters": "one of a hundred events",
    "a receiver of two vCPUs takes": f"{RECEIVER_EVENTS:,} events a second, two thirds of what "
    "`make bench-receiver` measured on two cores; one receiver more than needed, two at least",
    "a streaming worker of two vCPUs takes": f"{WORKER_EVENTS:,} events a second: a guess, not measured on "
    "Dataflow",
    "Streaming Engine, billed by resources": f"{UNITS} units for each GiB a second, as in Google's [benchmark]"
    "(https://cloud.google.com/dataflow/docs/guides/kafka-bigquery-performance) of a pipeline that only maps; "
    "whether there is a smallest amount is not known",
    "the nightly run": f"plans yesterday on a machine like a receiver's, {PLAN_EVENTS:,} events a second "
    "(`make bench-batch`); its queries read the rows of the day and those made again, once each, and, to find what"
    f" is told in two partitions, the ids of messages and facts of {LOOKS_BACK.days + DAYS_BEFORE + 2} days, once "
    "a month of a year, and, to keep who is who, those of contacts of "
    f"{LOOKS_BACK.days + 1} days, on Sundays {resolving.LATE.days}, and the aliases of a year; nothing differs, "
    "so nothing is kept",
    "the dashboard": f"{VISITS} visits, each of them every question once, for a week",
    "analysts": f"each view of the cookbook {LOOKS} times, after a year: a week of it where its dates prune, "
    "else all of it",
    "sources in use": str(SOURCES),
}


class Line(NamedTuple):
    """One thing that is paid for."""

    what: str
    arithmetic: str
    dollars: float


def price(key: str) -> float:
    """Return a price in US dollars for its unit."""
    return PRICES[key][0]


def receivers(rate: int) -> int:
    """Return how many receivers a rate needs."""
    return max(2, -(-rate // RECEIVER_EVENTS) + 1)


def workers(rate: int) -> int:
    """Return how many streaming workers a rate needs."""
    return -(-rate // WORKER_EVENTS)


def lines(rate: int) -> Iterator[Line]:
    """Yield what a month costs at so many events a second."""
    machines, jobs = receivers(rate), workers(rate)
    events = rate * SECONDS
    each = max(volume().published, SMALLEST_REQUEST_BYTES if rate <= 100 else 0)
    requests, published = events * REQUEST_BYTES / GIB, 2 * events * each / GIB
    archived, rows = events * volume().archived / GIB, events * volume().bytes_of(volume().columns) / GIB
    segments = machines * 2 * SOURCES * SECONDS / 300
    worker = 2 * price("vcpu") + 7.5 * price("memory") + 30 * price("worker_disk")
    yield Line("receivers", f"{machines} × {HOURS} h × machine", machines * HOURS * price("machine"))
    yield Line(
        "their disks",
        f"{machines} × (50 GiB × ssd + 20 GiB × boot)",
        machines * (50 * price("ssd") + 20 * price("boot")),
    )
    yield Line(
        "load balancer",
        f"{HOURS} h × rule + {requests:,.0f} GiB × balanced",
        HOURS * price("rule") + requests * price("balanced"),
    )
    yield Line("Pub/Sub", f"{_over(published, 10)} GiB × pubsub", max(0, published - 10) * price("pubsub"))
    yield Line(
        "archive, a month of it kept for a month",
        f"{archived:,.0f} GiB × (bucket + replica) + {segments:,.0f} × object",
        archived * (price("bucket") + price("replica")) + segments * price("object"),
    )
    yield Line(
        "Dataflow workers",
        f"{jobs} × {HOURS} h × (2 vcpu + 7.5 memory + 30 worker_disk)",
        jobs * HOURS * worker,
    )
    units = rate * volume().published / GIB * UNITS
    yield Line("Streaming Engine", f"{units:,.3f} units × {HOURS} h × unit", units * HOURS * price("unit"))
    yield Line("appends to BigQuery", f"{_over(rows, 2048)} GiB × write", max(0, rows - 2048) * price("write"))
    yield Line("tables, a month of them kept for a month", f"{rows:,.0f} GiB × tables", rows * price("tables"))
    night = rate * 86_400 / PLAN_EVENTS / 3600
    yield Line("nightly run", f"{NIGHTS:.0f} × {night:,.2f} h × machine", NIGHTS * night * price("machine"))
    samples = machines * 300 * SECONDS / 30
    yield Line("metrics", f"{machines} × 300 series × {SECONDS / 30:,.0f} × samples", samples * price("samples"))


def queries(rate: int) -> Iterator[Line]:
    """Yield what a month of queries costs at so many events a second, by the bytes that they read."""
    rows = rate * SECONDS * volume().bytes_of(volume().columns) / GIB
    # What is free is so only once: here, since these queries are made every night.
    told = sum(often * _read(query, rate) for query, often in NIGHTLY) / GIB
    tib = {"the nightly run's": max(0, (2 * rows + told) / 1024 - 1)}
    tib["the dashboard's"] = VISITS * sum(_read(question, rate) for question in QUESTIONS) / 2**40
    tib["analysts'"] = LOOKS * sum(_read(view, rate) for view in VIEWS) / 2**40
    for what, quantity in tib.items():
        yield Line(what, f"{quantity:,.2f} TiB × query", quantity * price("query"))


class Query(NamedTuple):
    """A query that somebody makes, and the readings that it asks for."""

    what: str
    of: str
    scans: list[Scan]


def _questions() -> list[Query]:
    """Return what a page of a week asks for."""
    target = Target("some-project", "rows", "views")
    found = []
    for question, parameters in widest(WEEK).items():
        sql, scalars = rendered(question, target, parameters)
        found.append(Query(question, "the dashboard, of a week", scans(sql, scalars, YEAR)))
    return found


# Views over views over views: with each written out where it is asked, the query is too long to be followed here
# in minutes. It reads what the views of its parts read, all days of them.
TOO_DEEP = {"conversation_report"}


def _views() -> list[Query]:
    """Return a query of each view of the cookbook: of a week where a condition on one of its dates prunes."""
    documented = COOKBOOK.read_text("utf-8")
    asked = [name for name in loader.views() if f"`{name}`" in documented and name not in TOO_DEEP]
    return [min(_looks(name), key=lambda query: _read(query, QUERY_RATE)) for name in asked]


def _looks(view: str) -> Iterator[Query]:
    sql = f"SELECT * FROM `views.{view}`"  # noqa: S608
    yield (whole := Query(view, "a view, all of it", scans(sql, {}, YEAR)))
    week = {"since": WEEK.first_day, "until": WEEK.last_day}
    for column in view_columns.columns(view):
        if column.name in PARTITIONS:
            found = scans(f"{sql} WHERE {column.name} BETWEEN @since AND @until", week, YEAR)
            if found != whole.scans:
                yield Query(view, "a view, a week of it by its date", found)


def _read(query: Query, rate: int) -> float:
    return volume().scanned(query.scans, rate * 86_400)


QUESTIONS = _questions()


def _nights() -> list[tuple[Query, float]]:
    """Return what nights ask for beyond the rows of the day, and how often in a month that is."""
    target = Target("some-project", "rows", "views")
    day = dt.datetime.combine(LAST, dt.time(), dt.UTC)
    lately = (day - LOOKS_BACK).date()
    where = Extent(lately, LAST, lately - dt.timedelta(days=DAYS_BEFORE), LAST + dt.timedelta(days=1))
    of_days = "seen_date BETWEEN @first_day AND @last_day"
    nights = []
    for name, first, often in (
        ("who is who", lately, NIGHTS * 6 / 7),
        ("who is who, of long ago", LAST - resolving.LATE, NIGHTS / 7),
    ):
        bounds = {"first_day": first, "last_day": LAST}
        nights.append((Query(name, "nightly", scans(resolving.differences(target, of_days), bounds, YEAR)), often))
    for table, (known_by, date, *_) in TOLD.items():
        within = told_within(target, table, where, day)
        everything = f"SELECT {known_by}, {date} FROM `views.counted_{table}`"  # noqa: S608
        nights.append((Query(table, "nightly", scans(within, {}, YEAR)), NIGHTS - 1))
        nights.append((Query(f"{table}, anywhere", "nightly", scans(everything, {}, YEAR)), 1))
    return nights


NIGHTLY = _nights()
VIEWS = _views()


def _over(quantity: float, free: int) -> str:
    return f"({quantity:,.0f} - {free:,})" if quantity > free else "0"


def tables() -> str:
    """Return the tables in Markdown: the costs, their arithmetic, the assumptions, and the prices."""
    by_rate = {rate: list(lines(rate)) for rate in RATES}
    asked = {rate: list(queries(rate)) for rate in RATES}
    text = ["| US dollars a month at | " + " | ".join(f"{rate:,} events/s" for rate in RATES) + " |"]
    text.append("|---|" + "---:|" * len(RATES))
    for same in zip(*by_rate.values(), strict=True):
        text.append(f"| {same[0].what} | " + " | ".join(f"{line.dollars:,.0f}" for line in same) + " |")
    totals = [sum(line.dollars for line in by_rate[rate]) for rate in RATES]
    text.append("| **together, without queries** | " + " | ".join(f"**{total:,.0f}**" for total in totals) + " |")
    per_million = [total / (rate * SECONDS / 1e6) for rate, total in zip(RATES, totals, strict=True)]
    text.append("| a million events | " + " | ".join(f"{dollars:,.2f}" for dollars in per_million) + " |")
    for same in zip(*asked.values(), strict=True):
        text.append(f"| queries: {same[0].what} | " + " | ".join(f"{line.dollars:,.0f}" for line in same) + " |")
    for rate in RATES:
        by_rate[rate] += asked[rate]
    text += ["", "| arithmetic | " + " | ".join(f"{rate:,} events/s" for rate in RATES) + " |"]
    text.append("|---|" + "---|" * len(RATES))
    for same in zip(*by_rate.values(), strict=True):
        text.append(f"| {same[0].what} | " + " | ".join(line.arithmetic for line in same) + " |")
    text += [
        "",
        f"| one query, after a year of {QUERY_RATE} events/s | | GiB | US dollars |",
        "|---|---|---:|---:|",
    ]
    for query in (*QUESTIONS, *VIEWS):
        gib = _read(query, QUERY_RATE) / GIB
        text.append(f"| `{query.what}` | {query.of} | {gib:,.1f} | {gib / 1024 * price('query'):,.2f} |")
    text += ["", "| assumed | |", "|---|---|", *(f"| {what} | {value} |" for what, value in ASSUMPTIONS.items())]
    text += ["", f"| price, {PRICES_AS_OF} | US dollars | of | source |", "|---|---:|---|---|"]
    text += [f"| {key} | {dollars:.6g} | {unit} | <{url}> |" for key, (dollars, unit, url) in PRICES.items()]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    print(tables(), end="")  # noqa: T201
