"""What a command says where BigQuery, or the way to it, fails: one line, in the words of who asked."""

import os
import re
import sys
from typing import Final

import click

# Google's client speaks through it, and lets its errors through; it is no package that Parley asks for.
_HTTP: Final = "requests.exceptions"
_EMULATOR: Final = "BIGQUERY_EMULATOR_HOST"
_NOT_THERE: Final = re.compile(r"Unrecognized name|not found inside|Not found: (Table|Dataset)|was not found")
_OF_USERS: Final = frozenset({"query"})
"""Commands whose statements are not ours."""


def in_words(error: BaseException) -> str | None:
    """Return what is wrong; None where it is neither BigQuery nor a setting: its traceback should be seen."""
    # Whoever has not imported Google's packages has not been failed by them, and may not have them.
    if "pipelines.bigquery.target" not in sys.modules:
        return None
    from google.api_core.exceptions import GoogleAPICallError, RetryError  # noqa: PLC0415 - see above
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415

    from pipelines.bigquery.target import ConfigurationError  # noqa: PLC0415
    from schemas.custom_sources import SourcesFileError  # noqa: PLC0415

    if isinstance(error, RetryError) and isinstance(error.cause, GoogleAPICallError):
        error = error.cause
    said = None
    match error:
        case RetryError():
            said = _unreachable(error)
        case OSError() if type(error).__module__ == _HTTP:
            said = _unreachable(error)
        case GoogleAPICallError():
            said = _said(error.errors, error.message or str(error)) + _hint(error.message or "")
        case DefaultCredentialsError():
            said = "there are no credentials for Google Cloud: gcloud auth application-default login"
        case ConfigurationError() | SourcesFileError():
            said = str(error)
    return said


def _said(errors: object, message: str) -> str:
    """Return what BigQuery says, without the address that was asked."""
    listed = errors if isinstance(errors, list) else []
    said = [str(each["message"]) for each in listed if isinstance(each, dict) and each.get("message")]
    return said[0] if said else message


def _hint(message: str) -> str:
    """Return what to do where a statement of ours names what is not there."""
    context = click.get_current_context(silent=True)
    if not _NOT_THERE.search(message) or context is None or context.find_root().invoked_subcommand in _OF_USERS:
        return ""
    return " - are the tables those of this version? See `parley tables deploy --dry-run`"


def _unreachable(error: BaseException) -> str:
    local = os.environ.get(_EMULATOR)
    if local:
        return (
            f"the local BigQuery at {local} does not answer: start the stack with `parley run`, or, where it was "
            "stopped for a rehearsal, `parley run start bigquery`"
        )
    return f"BigQuery does not answer: {getattr(error, 'cause', None) or error}"
