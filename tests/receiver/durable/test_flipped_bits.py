"""Bits flipped at random in segments and spools: at most the block that was hit is missing, and each is reported.

Avro has no checksum. A flip within an event that leaves its block readable cannot be told from what was meant, and
costs nothing but that event's bytes; whatever cannot be read is reported. PARLEY_FLIPS=20000 flips more of them.
"""

import logging
import os
import random

import pytest
from receiver_support import events

from receiver.durable import salvage
from receiver.durable.segments import Segment, recover
from receiver.durable.spool import Spool

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

FLIPS = int(os.environ.get("PARLEY_FLIPS", "1000"))
BLOCKS = 8
OF_A_BLOCK = 3


def written(folder) -> tuple[bytes, str]:
    """Return a closed segment of several blocks, and its name."""
    segment = Segment(folder)
    for number in range(BLOCKS):
        segment.append(events(OF_A_BLOCK, first=number * OF_A_BLOCK, size=120))
    closed = segment.close()
    assert closed is not None
    content = closed.read_bytes()
    closed.unlink()
    return content, closed.name


def flipped(content: bytes, chance: random.Random) -> tuple[bytes, int]:
    position = chance.randrange(len(content))
    damaged = bytearray(content)
    damaged[position] ^= 1 << chance.randrange(8)
    return bytes(damaged), position


def block_of(number: int) -> int:
    return number // OF_A_BLOCK


def lost_blocks(found) -> set[int]:
    """Return the blocks of which an event is missing, or is not what it was."""
    whole = {each.event_id: each for each in found}
    return {
        block_of(number)
        for number, event in enumerate(events(BLOCKS * OF_A_BLOCK, size=120))
        if whole.get(event.event_id) != event
    }


def test_a_flip_in_an_open_segment_costs_at_most_the_block_that_it_hit(tmp_path, caplog):
    folder = tmp_path / "source=facebook"
    content, name = written(folder)
    chance = random.Random(19)
    for turn in range(FLIPS // 2):
        damaged, position = flipped(content, chance)
        (folder / f"{name}.open").write_bytes(damaged)
        caplog.clear()
        recover(tmp_path)

        found = []
        for path in folder.glob("*.avro"):
            found += [event for block in salvage.read(path.read_bytes()).blocks for event in block.events]
        lost = lost_blocks(found)
        assert len(lost) <= 1, (turn, position)
        missing = BLOCKS * OF_A_BLOCK - len(found)
        assert missing in {0, OF_A_BLOCK}, (turn, position)
        reported = any(record.levelno >= logging.ERROR for record in caplog.records)
        assert reported == any(folder.glob("*.corrupt"))
        assert reported or not missing, (turn, position)
        for path in folder.iterdir():
            path.unlink()


def test_a_flip_in_a_spool_costs_at_most_the_block_that_it_hit(tmp_path, caplog):
    folder = tmp_path / "source=facebook"
    content, name = written(folder)
    spool = Spool(tmp_path, "facebook")
    chance = random.Random(20)
    for turn in range(FLIPS // 2):
        damaged, position = flipped(content, chance)
        (folder / name).write_bytes(damaged)
        caplog.clear()
        found = []
        for path in spool.closed():
            with spool.take(path) as taken:
                found += list(taken)
                taken.finish()

        assert len(lost_blocks(found)) <= 1, (turn, position)
        missing = BLOCKS * OF_A_BLOCK - len(found)
        assert missing in {0, OF_A_BLOCK}, (turn, position)
        reported = any(record.levelno >= logging.ERROR for record in caplog.records)
        assert reported == any(folder.glob("*.corrupt"))
        assert reported or not missing, (turn, position)
        assert not list(folder.glob("*.avro"))
        for path in folder.iterdir():
            path.unlink()
