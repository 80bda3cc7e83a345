"""What Parley costs a month on Google Cloud, with the arithmetic: prints the tables of deploy/README.md.

US dollars, list prices of us-central1 (buckets and datasets: US), without discounts. Change a number and run
it again.
"""

from collections.abc import Iterator
from typing import NamedTuple

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
    "engine": (0.018, "Streaming Engine, GB processed", "https://cloud.google.com/dataflow/pricing"),
    "write": (0.025, "Storage Write API, GiB, 2 TiB free", "https://cloud.google.com/bigquery/pricing"),
    "tables": (0.02, "active logical storage, GiB-month", "https://cloud.google.com/bigquery/pricing"),
    "samples": (0.06 / 1e6, "Prometheus sample", "https://cloud.google.com/stackdriver/pricing"),
}

REQUEST_BYTES = 2_000
PUBLISHED_BYTES = 700
SMALLEST_REQUEST_BYTES = 1_000
ARCHIVED_BYTES = 760
ROWS_BYTES = 1_500
RECEIVER_EVENTS = 2_000
WORKER_EVENTS = 2_000
SOURCES = 6
ASSUMPTIONS = {
    "a webhook with its headers": f"{REQUEST_BYTES:,} B",
    "the same published, with attributes": f"{PUBLISHED_BYTES} B, and {SMALLEST_REQUEST_BYTES:,} B up to 100 "
    "events a second, where a request publishes one event and Pub/Sub bills at least so much",
    "the same in the archive": f"{ARCHIVED_BYTES} B",
    "its rows in BigQuery": f"{ROWS_BYTES:,} B (5.3 rows)",
    "a receiver of two vCPUs takes": f"{RECEIVER_EVENTS:,} events a second, two thirds of what "
    "`make bench-receiver` measured on two cores; one receiver more than needed, two at least",
    "a streaming worker of two vCPUs takes": f"{WORKER_EVENTS:,} events a second: a guess, not measured on "
    "Dataflow",
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
    each = max(PUBLISHED_BYTES, SMALLEST_REQUEST_BYTES if rate <= 100 else 0)
    requests, published = events * REQUEST_BYTES / GIB, 2 * events * each / GIB
    archived, rows = events * ARCHIVED_BYTES / GIB, events * ROWS_BYTES / GIB
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
        f"{archived:,.0f} GiB × bucket + {segments:,.0f} × object",
        archived * price("bucket") + segments * price("object"),
    )
    yield Line(
        "Dataflow workers",
        f"{jobs} × {HOURS} h × (2 vcpu + 7.5 memory + 30 worker_disk)",
        jobs * HOURS * worker,
    )
    engine = published / 2 * GIB / 1e9
    yield Line("Streaming Engine", f"{engine:,.0f} GB × engine", engine * price("engine"))
    yield Line("appends to BigQuery", f"{_over(rows, 2048)} GiB × write", max(0, rows - 2048) * price("write"))
    yield Line("tables, a month of them kept for a month", f"{rows:,.0f} GiB × tables", rows * price("tables"))
    samples = machines * 300 * SECONDS / 30
    yield Line("metrics", f"{machines} × 300 series × {SECONDS / 30:,.0f} × samples", samples * price("samples"))


def _over(quantity: float, free: int) -> str:
    return f"({quantity:,.0f} - {free:,})" if quantity > free else "0"


def tables() -> str:
    """Return the tables in Markdown: the costs, their arithmetic, the assumptions, and the prices."""
    by_rate = {rate: list(lines(rate)) for rate in RATES}
    text = ["| US dollars a month at | " + " | ".join(f"{rate:,} events/s" for rate in RATES) + " |"]
    text.append("|---|" + "---:|" * len(RATES))
    for same in zip(*by_rate.values(), strict=True):
        text.append(f"| {same[0].what} | " + " | ".join(f"{line.dollars:,.0f}" for line in same) + " |")
    totals = [sum(line.dollars for line in by_rate[rate]) for rate in RATES]
    text.append("| **together** | " + " | ".join(f"**{total:,.0f}**" for total in totals) + " |")
    per_million = [total / (rate * SECONDS / 1e6) for rate, total in zip(RATES, totals, strict=True)]
    text.append("| a million events | " + " | ".join(f"{dollars:,.2f}" for dollars in per_million) + " |")
    text += ["", "| arithmetic | " + " | ".join(f"{rate:,} events/s" for rate in RATES) + " |"]
    text.append("|---|" + "---|" * len(RATES))
    for same in zip(*by_rate.values(), strict=True):
        text.append(f"| {same[0].what} | " + " | ".join(line.arithmetic for line in same) + " |")
    text += ["", "| assumed | |", "|---|---|", *(f"| {what} | {value} |" for what, value in ASSUMPTIONS.items())]
    text += ["", f"| price, {PRICES_AS_OF} | US dollars | of | source |", "|---|---:|---|---|"]
    text += [f"| {key} | {dollars:.6g} | {unit} | <{url}> |" for key, (dollars, unit, url) in PRICES.items()]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    print(tables(), end="")  # noqa: T201
