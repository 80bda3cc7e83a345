"""Sample archives to measure with: made once, kept in build/bench."""

import subprocess
import sys
from pathlib import Path

OUT = Path("build/bench")
EVENTS_PER_CONVERSATION = 11.5
DAYS = 7


def archive(events: int) -> Path:
    """Return an archive of about so many events of all sources, received within a week."""
    path = OUT / f"week-{events}"
    if not path.exists():
        made = path.with_suffix(".part")
        conversations = str(round(events / EVENTS_PER_CONVERSATION))
        command = [sys.executable, "-m", "pipelines.cli", "generate", "--conversations", conversations]
        subprocess.run([*command, "--days", str(DAYS), "--archive", str(made)], check=True)
        made.rename(path)
    return path
