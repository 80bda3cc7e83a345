import pytest

from pipelines.core import bounds
from pipelines.core.bounds import Allowance, TooMuchError, weight, weights
from pipelines.core.item import Lineage


def lineage(body_bytes: int) -> Lineage:
    return Lineage("0193aaaa-0000-7000-8000-000000000001", 1_795_372_191_000_000, body_bytes)


def tell(told: Lineage, raw: bytes, times: int) -> None:
    with told.item("/0", raw, source="s") as item:
        for number in range(times):
            item.metadata("channel", "c", f"source.{number}", channel_id="c")


def test_a_row_weighs_what_its_texts_do():
    told = lineage(10)
    with told.item("", b"{}", source="s") as item:
        item.contact("channel", "x" * 1_000, alternative_ids=("y" * 500, "z" * 500))
    assert 2_000 + bounds.ROW_OVERHEAD < weight(told.rows[0]) < 2_000 + 2 * bounds.ROW_OVERHEAD


def test_rows_that_repeat_a_large_item_are_too_much_before_they_fill_the_memory():
    # Of the second nobody says how large its body is.
    for told in (lineage(1_000_000), Lineage("event", 1_795_372_191_000_000)):
        with pytest.raises(TooMuchError, match="bytes"):
            tell(told, b"x" * 1_000_000, 10_000)
        assert len(told.rows) <= 40


def test_as_many_rows_of_little_text_as_are_allowed_are_made(monkeypatch):
    monkeypatch.setattr(bounds, "MOST_ROWS", 500)
    told = lineage(100)
    tell(told, b"{}", 500)
    with pytest.raises(TooMuchError, match="500 rows"):
        tell(told, b"{}", 1)


@pytest.mark.parametrize("body_bytes", [100, 10_000, 4_000_000])
def test_what_stays_below_the_bound_is_kept_whatever_the_body(body_bytes):
    told = lineage(body_bytes)
    tell(told, b"x" * 100, 20_000)
    assert len(told.rows) == 20_000


def test_rows_that_failed_items_had_made_do_not_hide_those_made_in_their_place():
    told = lineage(1_000_000)
    raw = b"x" * 1_000_000
    with pytest.raises(TooMuchError):
        for _ in range(40):
            with told.item("/0", raw, source="s") as item:
                item.metadata("channel", "c", "source.x", channel_id="c")
                raise ValueError
            tell(told, raw, 1)
    assert len(told.rows) <= 40


def test_an_allowance_counts_from_what_is_left_of_the_rows():
    allowance = Allowance(100)
    allowed = allowance.rows
    told = lineage(100)
    tell(told, b"x", 10)
    allowance.look(told.rows)
    allowance.dropped(4)
    assert allowed - 10 < allowance.rows - 4 <= allowed


def test_light_events_are_not_weighed_and_heavy_ones_exactly():
    told = lineage(100)
    tell(told, b"x", 2)
    assert weights(told.rows, 100) == 2 * (bounds.ROW_OVERHEAD + 100)
    assert weights(told.rows, 10_000_000) == sum(map(weight, told.rows))


@pytest.mark.parametrize("body_bytes", [0, 10, 1_000, 1_000_000])
def test_what_is_allowed_unseen_is_not_too_much_whatever_it_weighs(body_bytes):
    told = lineage(body_bytes)
    tell(told, b"x" * body_bytes, 2)
    heaviest = weight(told.rows[0]) + 7 * body_bytes
    allowance = Allowance(body_bytes)
    assert allowance.rows * heaviest <= bounds.MOST_TEXT
    allowance.look(told.rows)
    made = sum(map(weight, told.rows))
    assert made + (allowance.rows - 2) * heaviest <= bounds.MOST_TEXT
