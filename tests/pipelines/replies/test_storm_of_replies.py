"""Replies while everything fails, as `make storm-replies` at length: some dozens, and a death of the receiver.

Those of the sender are in `test_sending`: what was claimed then would stay in doubt for as long as receipts have.
"""

import pytest
import storm

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
DEATHS = (("receiver", "archived"),)


def test_nothing_is_lost_nor_sent_twice_nor_out_of_order_while_the_receiver_dies(tmp_path, capsys):
    with capsys.disabled():
        figures = storm.storm(
            tmp_path, 64, senders=2, rounds=1, pause=0.0, seconds=150, doubt=120.0, deaths=DEATHS
        )

    assert storm.failures(figures) == []
    assert figures["acknowledged"] == 64
    assert figures["accepted"] == 64


@pytest.mark.parametrize("wrong", ["SENT TWICE", "ORDER BROKEN", "OVER A RATE", "LOST: without an end"])
def test_what_must_not_be_fails_the_storm(wrong):
    figures = storm.judge(storm.Found({}, set(), storm.Counter(), {}), {}, storm.Counter())
    assert storm.failures(figures) == []
    assert storm.failures(figures | {wrong: 1}) == [f"{wrong}: 1"]
    assert storm.failures(figures | {"in doubt, and sent": 100, "of these resolved": 98})
