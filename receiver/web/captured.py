"""A request that somebody has written down, as the receiver would have got it."""

from collections.abc import Mapping
from typing import NamedTuple

from flask import Request
from werkzeug.test import EnvironBuilder


class Captured(NamedTuple):
    """What a sender has sent."""

    body: bytes
    headers: Mapping[str, str]
    query: str
    method: str

    def request(self, path: str) -> Request:
        """Return the request to a path."""
        builder = EnvironBuilder(
            path=path,
            method=self.method,
            data=self.body,
            headers=list(self.headers.items()),
            query_string=self.query,
        )
        return Request(builder.get_environ())
