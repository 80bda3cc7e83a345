"""An app that tells what it was asked, served both by granian's own WSGI and by the receiver's gateway."""

import json

from receiver.config import Limits
from receiver.web.connections import Connections
from receiver.web.gateway import Gateway


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("content-type", "application/json"), ("x-answer", "1"), ("x-answer", "2")])
    return [json.dumps(told | {"body": body.decode("latin-1")}).encode()]


class _AnyPath(dict[str, int]):
    def get(self, path, default=None):
        return 1000


gateway = Gateway(echo, Limits(), _AnyPath(), Connections(100, 10))
