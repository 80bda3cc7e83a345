"""What the commands of the pipeline write to the terminal while they work."""

import logging


def to_terminal(level: int = logging.INFO) -> None:
    """Log from a level on, one line each; of Beam, which logs each of its steps, only warnings."""
    # By force: Beam logs something while it is imported, and with that sets logging up as it likes.
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", force=True)
    logging.getLogger("apache_beam").setLevel(logging.WARNING)


def quiet_beam() -> None:
    """Leave out what Beam says at import and nobody needs; processes that are started here call it as well."""
    logging.getLogger().addFilter(_is_worth_saying)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Drop what Beam says at import where its old BigQuery client is missing: Parley does not use it."""
    return not str(record.msg).startswith("apitools not found")
