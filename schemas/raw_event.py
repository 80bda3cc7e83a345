"""The raw event: one webhook request as received, the same in Pub/Sub, archive and pipeline."""

import datetime as dt
import itertools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import fastavro
import msgspec

SOURCE = "source"
EVENT_ID = "event_id"
RECEIVED_AT = "received_at"
CONTENT_TYPE = "content_type"
CONTENT_ENCODING = "content_encoding"
"""How the body of a custom source is compressed; the attribute is not there where it is not."""
VERIFIED_BY = "verified_by"
QUERY = "query"
ERASED = "erased"
"""The runs, with commas, that have erased an event or parts of it (`docs/privacy.md`); mostly not there."""
DATA_KEY = "data_key"
"""With which key an archived event is sealed (`docs/privacy.md`); gone where it is opened."""
HEADER_PREFIX = "header."

AVRO_SCHEMA: dict[str, Any] = fastavro.parse_schema(
    json.loads(resources.files(__package__).joinpath("raw_event.avsc").read_text("utf-8"))
)


class InvalidRawEventError(ValueError):
    """An attribute that every raw event must carry is missing or malformed."""


class RawEvent(msgspec.Struct, frozen=True, gc=False):
    """One webhook request: its body untouched, and what the receiver knows of it."""

    data: bytes
    attributes: Mapping[str, str]

    @property
    def event_id(self) -> str:
        """The receiver's UUIDv7 of this request."""
        return self._attribute(EVENT_ID)

    @property
    def source(self) -> str:
        """The endpoint that took the request (`facebook` carries Instagram too)."""
        return self._attribute(SOURCE)

    @property
    def received_at(self) -> dt.datetime:
        """When the receiver took the request, in UTC to the microsecond.

        Raises:
            InvalidRawEventError: the attribute is missing, malformed or has no zone.
        """
        return parse_received_at(self._attribute(RECEIVED_AT))

    @property
    def content_type(self) -> str:
        """The request's Content-Type as sent; empty when there was none."""
        return self.attributes.get(CONTENT_TYPE, "")

    @property
    def query(self) -> str:
        """The request's raw query string; empty when there was none."""
        if QUERY not in self.attributes:
            return ""
        parts = (self.attributes.get(name, "") for name in query_names())
        return "".join(itertools.takewhile(bool, parts))

    def _attribute(self, name: str) -> str:
        value = self.attributes.get(name)
        if not value:
            raise InvalidRawEventError(f"raw event without the attribute {name!r}")
        return value

    def to_avro(self) -> dict[str, Any]:
        """Return the archive record of this event, to be written with `AVRO_SCHEMA`."""
        return {
            "subscription_name": "",
            "message_id": "",
            "publish_time": self.received_at,
            "attributes": self.attributes,
            "data": self.data,
        }

    @classmethod
    def from_avro(cls, record: Mapping[str, Any]) -> "RawEvent":
        """Return the event of an archive record, of the receiver or of Pub/Sub's own export."""
        return cls(record["data"], record["attributes"])


def query_names() -> Iterator[str]:
    """Yield the attributes that hold a query: a long one goes on in `query.1`, `query.2`, ….

    Pub/Sub takes at most 1,024 bytes in one attribute.
    """
    yield QUERY
    for number in itertools.count(1):
        yield f"{QUERY}.{number}"


def format_received_at(moment: dt.datetime) -> str:
    """Return a UTC time as RFC 3339 with microseconds and Z, as `received_at` is written."""
    # Four times as fast as strftime, and this is done for every request.
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_received_at(text: str) -> dt.datetime:
    """Return the time that `format_received_at` wrote.

    Raises:
        InvalidRawEventError: the text is not an RFC 3339 time with a zone.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRawEventError(f"received_at is not RFC 3339: {text[:64]!r}") from error
    if moment.tzinfo is None:
        raise InvalidRawEventError(f"received_at has no zone: {text[:64]!r}")
    # As the receiver writes it, with Z, it is of this zone already.
    if moment.tzinfo is dt.UTC:
        return moment
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise InvalidRawEventError(f"received_at is of no year: {text[:64]!r}") from error
