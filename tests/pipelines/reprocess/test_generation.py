"""The generation is raised whenever rows change, and the changelog says what changed."""

import re

import golden
import msgspec
import pytest

from pipelines.core.generation import GENERATION


def test_the_rows_of_every_sample_are_those_of_the_recorded_generation():
    recorded, made = golden.read(), golden.made()

    if recorded.generation == GENERATION:
        assert golden.changed(recorded, made) == [], (
            "rows have changed: raise GENERATION in pipelines/core/generation.py, say in docs/generations.md what "
            "has changed, and run `make golden`"
        )
    assert recorded == made, "a sample or the generation is new: run `make golden`"


def test_the_changelog_tells_of_every_generation_and_of_no_other():
    text = (golden.ROOT / "docs" / "generations.md").read_text("utf-8")

    assert [int(number) for number in re.findall(r"^## (\d+)$", text, re.M)] == list(range(GENERATION, 0, -1))


def test_other_rows_are_not_recorded_for_the_same_generation(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(golden, "RECORD", tmp_path / "golden.json")
    golden.record()
    other = golden.read()
    other.samples["facebook/text.json"]["messages"] = "another"
    golden.RECORD.write_bytes(msgspec.json.encode(other))

    with pytest.raises(SystemExit, match=r"facebook/text\.json: messages"):
        golden.record()
    monkeypatch.setattr(golden, "GENERATION", GENERATION + 1)
    golden.record()

    assert golden.read() == golden.made()
