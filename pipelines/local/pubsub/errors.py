"""The one error that the local Pub/Sub answers with."""

import grpc


class PubSubError(Exception):
    """A request that is refused.

    Attributes:
        code: the gRPC status that the client sees.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> PubSubError:
    """Return the error for a request that can never succeed."""
    return PubSubError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(name: str) -> PubSubError:
    """Return the error for a resource that does not exist."""
    return PubSubError(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name}).")
