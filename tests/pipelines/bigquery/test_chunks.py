import pytest
from row_samples import channel, event, sample

from pipelines.bigquery import chunks
from pipelines.bigquery.faults import RowTooLargeError
from pipelines.core.dead_letter import LARGEST_DATA, dead_letter

NOW = 1


def test_no_rows_need_no_request() -> None:
    assert chunks.cut("channels", [], NOW) == ([], [])


def test_few_rows_travel_together() -> None:
    rows = [channel("a"), channel("b")]

    ((chunk,), refused) = chunks.cut("channels", rows, NOW)

    assert (list(chunk.rows), refused) == (rows, [])


def test_rows_over_the_limit_are_spread_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LARGEST_CHUNK", 20_000)
    rows = [sample("messages", message_id=str(index), content="x" * 1_000) for index in range(100)]

    made, refused = chunks.cut("messages", rows, NOW)

    assert [row for chunk in made for row in chunk.rows] == rows
    assert len(made) > 4
    assert max(len(chunk.data) for chunk in made) <= 20_000
    assert refused == []


def test_a_row_over_the_limit_is_refused_alone() -> None:
    large = sample("messages", message_id="large", content="x" * chunks.LARGEST_ROW)
    small = [sample("messages", message_id=str(index)) for index in range(3)]

    made, ((row, error),) = chunks.cut("messages", [*small[:2], large, small[2]], NOW)

    assert [row for chunk in made for row in chunk.rows] == small
    assert row is large
    assert isinstance(error, RowTooLargeError)
    assert "19,500,000" in str(error)


def test_a_row_that_fits_in_no_request_with_others_has_one_of_its_own() -> None:
    large = sample("messages", message_id="large", content="x" * 2 * chunks.LARGEST_CHUNK)
    small = [sample("messages", message_id=str(index)) for index in range(3)]

    made, refused = chunks.cut("messages", [*small, large], NOW)

    assert refused == []
    assert [row for chunk in made for row in chunk.rows] == [*small, large]
    (alone,) = (chunk for chunk in made if large in chunk.rows)
    assert len(alone.rows) == 1
    assert len(alone.data) < 20_000_000


@pytest.mark.parametrize(
    "bad",
    [
        channel("lone surrogate \ud800"),
        sample("channels", channel_id=None),
        sample("channels", seen_at=2**63),
        sample("channels", display_name=5),
    ],
    ids=["surrogate", "null", "overflow", "type"],
)
def test_a_row_that_arrow_cannot_hold_is_refused_alone(bad: object) -> None:
    good = [channel(str(index)) for index in range(4)]

    made, refused = chunks.cut("channels", [*good[:1], bad, *good[1:]], NOW)  # type: ignore[list-item]

    assert [row for chunk in made for row in chunk.rows] == good
    assert [each.row for each in refused] == [bad]


def test_the_largest_dead_letter_fits_in_a_request() -> None:
    attributes = {f"a{index}": "x" * 1_024 for index in range(100)}
    large = event("e", b"\xff" * LARGEST_DATA)
    told = type(large)(large.data, {**large.attributes, **attributes})
    letter = dead_letter(told, 1, "store", "", ValueError("x" * 10_000), data=large.data)

    made, refused = chunks.cut("dead_letters", [letter], NOW)

    assert letter.data is not None
    assert (len(made), refused) == (1, [])
