"""The changes that `make mutants` makes are there to be made."""

from pathlib import Path

import pytest

from tests.mutants_by_hand import LISTS, Change

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("change", [change for each in LISTS.values() for change in each])
def test_what_is_changed_is_found_once(change: Change):
    assert (ROOT / change.path).read_text("utf-8").count(change.before) == 1
    assert change.before != change.after
