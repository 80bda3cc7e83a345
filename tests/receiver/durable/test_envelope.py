"""What is sealed shows nothing, is whole or lost, and is opened by whoever has the operator's secret."""

import pytest
from receiver_support import events

from receiver.durable.envelope import DataKey, KeysError, LostError, LostKeyError, Wrapping
from schemas.raw_event import RawEvent

SECRET, OTHER = "a secret of tests, as long as it must be", "another one, and as long as it has to be"
EVENT = RawEvent(
    b"hello Ann",
    {
        "event_id": "event-1",
        "source": "facebook",
        "received_at": "2026-03-01T10:00:00.000000Z",
        "content_type": "application/json",
        "query": "phone=4915550000101",
        "header.x-name": "Ann",
    },
)


def test_what_was_sealed_comes_back_and_shows_nothing_before():
    key = DataKey.new()
    sealed = key.seal(EVENT)

    shown = {"event_id", "source", "received_at", "data_key"}
    assert sealed.attributes.keys() == shown
    assert sealed.attributes["data_key"] == key.id
    assert not any(hidden in sealed.data for hidden in (b"Ann", b"4915550000101", b"json", b"header"))
    assert key.open(sealed) == EVENT
    # Twice the same is never the same.
    assert key.seal(EVENT).data != sealed.data


@pytest.mark.parametrize("name", ["event_id", "source", "received_at", "data_key", "erased"])
def test_what_is_shown_is_bound_too(name: str):
    key = DataKey.new()
    sealed = key.seal(EVENT)

    with pytest.raises(LostError):
        key.open(RawEvent(sealed.data, {**sealed.attributes, name: "other"}))


def test_every_bit_of_the_sealed_counts():
    key = DataKey.new()
    sealed = key.seal(EVENT)

    for place in range(len(sealed.data)):
        data = bytearray(sealed.data)
        data[place] ^= 1
        with pytest.raises(LostError, match="event event-1 is not what was sealed"):
            key.open(RawEvent(bytes(data), sealed.attributes))
    for size in (0, 5, 20):
        with pytest.raises(LostError):
            key.open(RawEvent(sealed.data[:size], sealed.attributes))


def test_a_tombstone_stays_as_it_is_and_what_only_has_no_body_does_not():
    key = DataKey.new()
    tombstone = RawEvent(b"", {**events(1)[0].attributes, "erased": "run"})
    empty = RawEvent(b"", EVENT.attributes)

    assert key.seal(tombstone) == tombstone
    assert "query" not in key.seal(empty).attributes
    assert key.open(key.seal(empty)) == empty


def test_a_key_is_unwrapped_by_any_secret_that_is_still_among_the_operators():
    key = DataKey.new()
    wrapped = Wrapping([SECRET]).wrap(key)

    assert key.secret not in wrapped
    assert Wrapping([OTHER, SECRET]).unwrap(key.id, wrapped).open(key.seal(EVENT)) == EVENT
    assert Wrapping([OTHER]).unwrap(key.id, Wrapping([OTHER, SECRET]).wrap(key)).secret == key.secret
    # Not the event's fault: nothing is called lost.
    with pytest.raises(KeysError, match="PARLEY_ARCHIVE_KEY"):
        Wrapping([OTHER]).unwrap(key.id, wrapped)


def test_a_key_stands_for_no_other_and_a_damaged_one_is_lost():
    key, other = DataKey.new(), DataKey.new()
    wrapping = Wrapping([SECRET])
    wrapped = wrapping.wrap(key)
    renamed = wrapped.replace(bytes.fromhex(key.id), bytes.fromhex(other.id))

    for damaged in (renamed, wrapped[:-1], wrapped[:40], b"", wrapped[:-1] + bytes([wrapped[-1] ^ 1])):
        with pytest.raises(LostKeyError):
            wrapping.unwrap(other.id if damaged is renamed else key.id, damaged)
