"""Structured logs: one JSON object a line, without bodies, secrets, signatures or addresses.

The names are those that Google Cloud Logging understands.
https://cloud.google.com/logging/docs/structured-logging
"""

import datetime as dt
import json
import logging
from typing import Any, Final

EXTRA: Final = ("event_id", "source", "status", "reply_id")
TRACE: Final = {
    "trace": "logging.googleapis.com/trace",
    "span_id": "logging.googleapis.com/spanId",
    "trace_sampled": "logging.googleapis.com/trace_sampled",
}
"""What a record of a traced request knows, and how Google Cloud Logging calls it.

https://cloud.google.com/logging/docs/agent/logging/configuration#special-fields
"""


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON, with the fields of `EXTRA` that it has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "severity": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        line.update((name, getattr(record, name)) for name in EXTRA if hasattr(record, name))
        line.update((field, getattr(record, name)) for name, field in TRACE.items() if hasattr(record, name))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def dict_config(level: str) -> dict[str, Any]:
    """Return the configuration of all logs, the server's own included, for `logging.config`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.JsonFormatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            name: {"level": level, "handlers": [], "propagate": True} for name in ("_granian", "granian.access")
        },
    }
