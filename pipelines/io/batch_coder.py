"""How Beam encodes batches between steps; to be imported where a pipeline is built, which registers it."""

import pickle

from apache_beam import coders

from pipelines.core.batches import EventBatch, NormalizedBatch


class BatchCoder(coders.Coder):
    """Pickles batches, though few ever are: runners keep steps together that need no shuffle.

    But Beam asks for the size of many elements, and by default encodes them only to know it.
    """

    def encode(self, value: EventBatch | NormalizedBatch) -> bytes:
        """Return the batch as bytes."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> EventBatch | NormalizedBatch:
        """Return the batch that `encode` was given."""
        batch: EventBatch | NormalizedBatch = pickle.loads(encoded)  # noqa: S301 - the runner's own data
        return batch

    def estimate_size(self, value: EventBatch | NormalizedBatch) -> int:
        """Return the bytes of the bodies, which is the most of a batch."""
        return sum(len(event.data) for event in value.events)

    def is_deterministic(self) -> bool:
        """Return that equal batches may have different bytes: nothing groups by them."""
        return False


for _batch in (EventBatch, NormalizedBatch):
    coders.registry.register_coder(_batch, BatchCoder)
