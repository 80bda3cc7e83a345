"""The page on notebooks, done as it says: the query, the command and the code give what the views say."""

import csv
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli import main

pytestmark = pytest.mark.thorough

PAGE = (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text("utf-8")


def block(language: str) -> str:
    """Return the first block of code in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    assert found
    return found[1]


def test_the_notebook_reads_what_the_query_wrote(sample_world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = sample_world.target
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_PROJECT", target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", target.views_dataset.removesuffix("parley"))
    Path("first_responses.sql").write_text(block("sql"), "utf-8")

    program, *arguments = shlex.split(block("sh"))
    written = CliRunner().invoke(main, arguments)
    assert (program, written.exit_code) == ("parley", 0), written.output
    subprocess.run([sys.executable, "-c", block("python")], check=True, timeout=60)

    waits = defaultdict(list)
    for row in sample_world.query(
        "SELECT channel.source, COALESCE(channel.display_name, channel.source_channel_id) AS channel, asked_at, "
        "response_seconds FROM parley.response_times INNER JOIN parley.channels AS channel USING (channel_id) "
        "WHERE is_first ORDER BY asked_at, asked_message_id"
    ):
        waits[row["source"], row["channel"], row["asked_at"].hour].append(row["response_seconds"])
    with Path("p90_first_response.csv").open(newline="", encoding="utf-8") as file:
        told = {
            (row["source"], row["channel"], int(row["hour"])): (int(row["questions"]), row["p90_minutes"])
            for row in csv.DictReader(file)
        }
    assert told.keys() == waits.keys()
    for key, seconds in waits.items():
        questions, minutes = told[key]
        p90 = continuous(seconds, 0.9)
        assert questions == len(seconds)
        assert (minutes == "") == (p90 is None)
        assert p90 is None or float(minutes) == pytest.approx(p90 / 60)
    assert any(minutes for _, minutes in told.values())


def continuous(values: list[int | None], share: float) -> float | None:
    """Return a quantile, interpolated; None where nobody was answered."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    place = share * (len(known) - 1)
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)
