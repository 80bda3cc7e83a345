"""What commands know of the local stack that runs in a folder, and it of them."""

import json
import os
from pathlib import Path

DEFAULT_FOLDER = Path(".parley")
STACK_FILE = "stack.json"
"""In that folder, while the stack runs: the environment of its parts."""
PIPELINE_READS = "the pipeline reads"
"""What the pipeline says when it does."""


def adopt(folder: Path = DEFAULT_FOLDER) -> None:
    """Take over what the user has not set from the stack that runs in a folder, unless that is the project."""
    path = folder / STACK_FILE
    if not os.environ.get("PARLEY_PROJECT") and path.exists():
        os.environ.update(json.loads(path.read_text("utf-8")) | os.environ)
