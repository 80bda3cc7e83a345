"""What commands know of the local stack that runs in a folder, and it of them."""

import fcntl
import json
import os
from pathlib import Path

DEFAULT_FOLDER = Path(".parley")
STACK_FILE = "stack.json"
"""In that folder, while the stack runs: the environment of its parts."""
LOCK_FILE = "lock"
"""In that folder, and held as long as a stack runs in it."""
PIPELINE_READS = "the pipeline reads"
"""What the pipeline says when it does."""


def adopt(folder: Path = DEFAULT_FOLDER) -> None:
    """Take over what the user has not set from the stack that runs in a folder, unless that is the project."""
    path = folder / STACK_FILE
    if not os.environ.get("PARLEY_PROJECT") and path.exists():
        os.environ.update(json.loads(path.read_text("utf-8")) | os.environ)


def is_held(folder: Path = DEFAULT_FOLDER) -> bool:
    """Return whether a stack runs in a folder, ready or not."""
    try:
        with (folder / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
