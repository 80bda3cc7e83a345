"""The changes that `make mutants` makes are there to be made."""

from pathlib import Path

import pytest

from tests import mutants_without_effect
from tests.mutants_by_hand import LISTS, Change

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("change", [change for each in LISTS.values() for change in each])
def test_what_is_changed_is_found_once(change: Change):
    assert (ROOT / change.path).read_text("utf-8").count(change.before) == 1
    assert change.before != change.after


def test_a_change_without_effect_is_known_by_its_new_line():
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-    while written < len(data):\n+    while {}:\n"
    unequal, less = diff.format("written != len(data)"), diff.format("written <= len(data)")
    assert mutants_without_effect.reason(unequal) == mutants_without_effect.NEVER_BEYOND
    assert mutants_without_effect.reason(less) is None
