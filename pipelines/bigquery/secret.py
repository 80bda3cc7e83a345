"""Reads a secret of Secret Manager as the account that runs this, so that a job need not carry it.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

import base64
import re
from typing import Final

import google.auth
import msgspec
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from pipelines.bigquery.target import ConfigurationError

_NAME: Final = re.compile(
    r"projects/[a-z0-9.:-]{1,100}/secrets/[A-Za-z0-9_-]{1,255}(/versions/(latest|[0-9]{1,9}))?"
)
_API: Final = "https://secretmanager.googleapis.com"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT_SECONDS: Final = 10.0
_MOST_BYTES: Final = 65_536
"""What a secret has at most: https://cloud.google.com/secret-manager/quotas."""


class _Payload(msgspec.Struct):
    data: str


class _Answer(msgspec.Struct):
    payload: _Payload


def checked(name: str) -> str:
    """Return the name of a secret's version, the latest where it names none.

    Raises:
        ConfigurationError: it is not such a name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not projects/PROJECT/secrets/NAME, with /versions/N or without")
    return name if "/versions/" in name else f"{name}/versions/latest"


def read(name: str, api: str = _API) -> str:
    """Return a secret's value, without white space around it.

    Args:
        name: `projects/…/secrets/…`, with a version or without.
        api: where Secret Manager is.

    Raises:
        ConfigurationError: it cannot be read, now or ever; the message never holds the value.
    """
    path = checked(name)
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        with AuthorizedSession(credentials) as session:
            answer = session.get(f"{api}/v1/{path}:access", timeout=_TIMEOUT_SECONDS)
    except (GoogleAuthError, requests.RequestException) as error:
        raise ConfigurationError(f"{path} cannot be read: {type(error).__name__}") from error
    if not answer.ok:
        raise ConfigurationError(f"{path} cannot be read: {answer.status_code}")
    try:
        data = msgspec.json.decode(answer.content[: 2 * _MOST_BYTES], type=_Answer).payload.data
        return base64.b64decode(data, validate=True).decode().strip()
    except (msgspec.MsgspecError, ValueError):
        # Without its cause, which may quote the value.
        raise ConfigurationError(f"{path} is not text") from None
