"""What waits in the receiver for Pub/Sub, as the receiver's own metrics say."""

import re
import urllib.request
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

import msgspec

from pipelines.bigquery.target import ConfigurationError
from pipelines.run.desk import URL

TOKEN: Final = "PARLEY_METRICS_TOKEN"  # noqa: S105 - the name of a variable
_TIMEOUT_SECONDS: Final = 3.0
_MOST_BYTES: Final = 4 * 1024 * 1024
_EVENTS: Final = "parley_receiver_spool_events"
_OLDEST: Final = "parley_receiver_spool_oldest_seconds"
_REFUSED: Final = "parley_receiver_refused_events"

# https://prometheus.io/docs/instrumenting/exposition_formats/
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{[^\n]*\})? (\S+)", re.MULTILINE | re.ASCII)


class Spool(NamedTuple):
    """How many events wait for Pub/Sub, how old in seconds the oldest is, and how many it refuses for good."""

    events: int
    oldest_seconds: float
    refused: int


class Receiver(msgspec.Struct, frozen=True):
    """A receiver whose metrics may be read."""

    url: str
    token: str

    def __repr__(self) -> str:
        # Without the token, wherever it may be printed.
        return f"Receiver({self.url!r})"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Return the receiver that the environment names, None where it has no token.

        Raises:
            ConfigurationError: it has one, but no URL of a receiver.
        """
        token = environ.get(TOKEN, "").strip()
        url = environ.get(URL, "").split(",")[0].strip().rstrip("/")
        if not token:
            return None
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"{URL} is no URL: {url!r}")
        return cls(url, token)

    def spool(self) -> Spool | None:
        """Return what waits there; None where the receiver does not say."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.url}/metrics", headers=headers)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                if answer.headers.get_content_type() != "text/plain":
                    # Whatever this is, it does not say that nothing waits.
                    return None
                return read(answer.read(_MOST_BYTES).decode())
        except (OSError, ValueError):
            return None


def read(metrics: str) -> Spool:
    """Return what a receiver's metrics say of its spool, of all sources together.

    Raises:
        ValueError: a value is no number.
    """
    values: dict[str, list[float]] = {_EVENTS: [], _OLDEST: [], _REFUSED: []}
    for name, value in _SAMPLE.findall(metrics):
        if name in values:
            values[name].append(float(value))
    return Spool(int(sum(values[_EVENTS])), max(values[_OLDEST], default=0.0), int(sum(values[_REFUSED])))
