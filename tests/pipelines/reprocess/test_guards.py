"""Contention ends in words."""

import pytest
from google.api_core.exceptions import BadRequest

from pipelines.reprocess import RefusedError, moves


def test_contention_without_end_is_refused_in_words(monkeypatch: pytest.MonkeyPatch):
    tried = []
    monkeypatch.setattr(moves, "_LONGEST_PAUSE", 0)

    def attempt() -> None:
        tried.append(1)
        raise BadRequest("Transaction is aborted due to concurrent update")

    with pytest.raises(RefusedError, match=r"run 7 is as it was: .* 5 times in a row"):
        moves.until_unmoved("run 7", attempt)
    assert len(tried) == 5


def test_what_is_no_contention_is_told_as_it_is():
    def attempt() -> None:
        raise BadRequest("no such column")

    with pytest.raises(BadRequest, match="no such column"):
        moves.until_unmoved("run 7", attempt)
