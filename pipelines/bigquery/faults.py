"""What an error of the Storage Write API means for the rows that were sent."""

import enum

import grpc
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import types


class Fault(enum.Enum):
    """Whose fault an error is, and with it what to do."""

    TRANSIENT = "BigQuery's or the network's: the same request succeeds later"
    SETUP = "the deployment's: the request succeeds once someone has mended tables or permissions"
    REQUEST = "of some of its rows, or of a table that is not what the rows are made for: the answer does not say"
    SIZE = "the request's own: it is larger than BigQuery takes"
    FATAL = "unknown to us: must not be repeated blindly"


class RowRefusedError(Exception):
    """BigQuery will never take this row; the message says why."""


class RowTooLargeError(RowRefusedError):
    """The row alone is larger than a request may be."""


class RequestRefusedError(Exception):
    """BigQuery refuses a request without saying which rows are to blame, if any are."""


class RequestTooLargeError(RequestRefusedError):
    """BigQuery takes no request of this size."""


_BY_STATUS = {
    grpc.StatusCode.ABORTED: Fault.TRANSIENT,
    grpc.StatusCode.CANCELLED: Fault.TRANSIENT,
    grpc.StatusCode.DEADLINE_EXCEEDED: Fault.TRANSIENT,
    grpc.StatusCode.INTERNAL: Fault.TRANSIENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Fault.TRANSIENT,
    grpc.StatusCode.UNAVAILABLE: Fault.TRANSIENT,
    grpc.StatusCode.UNKNOWN: Fault.TRANSIENT,
    grpc.StatusCode.NOT_FOUND: Fault.SETUP,
    grpc.StatusCode.PERMISSION_DENIED: Fault.SETUP,
    grpc.StatusCode.UNAUTHENTICATED: Fault.SETUP,
    grpc.StatusCode.INVALID_ARGUMENT: Fault.REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: Fault.REQUEST,
}
_TOO_LARGE = "request too large"
"""What BigQuery says of a request's size, before the size and its limit; it has no code of its own."""


def classify(error: exceptions.GoogleAPICallError) -> Fault:
    """Return what an error of an append means.

    https://cloud.google.com/bigquery/docs/write-api-best-practices#error-handling
    """
    if isinstance(error, exceptions.Aborted):
        # Also what was told of another request, which ended the connection that this one was on.
        return Fault.TRANSIENT
    if _storage_code(error) == types.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS:
        # It comes as INVALID_ARGUMENT, but it is the table that lacks a column, not the rows that are bad.
        return Fault.SETUP
    if _TOO_LARGE in error.message.casefold():
        return Fault.SIZE
    return _BY_STATUS.get(error.grpc_status_code, Fault.FATAL)


def _storage_code(error: exceptions.GoogleAPICallError) -> int | None:
    for detail in error.details:
        storage_error = types.StorageError.pb()()
        if hasattr(detail, "Unpack") and detail.Is(storage_error.DESCRIPTOR):
            detail.Unpack(storage_error)
            return int(storage_error.code)
    return None
