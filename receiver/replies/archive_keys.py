"""Makes the keyring of an archive: the keys of `receiver.durable.keyring`, in a store as that of replies is."""

from receiver.config import Config
from receiver.durable.envelope import Wrapping
from receiver.durable.keyring import Keyring
from receiver.replies.store import open_store


def keyring_of(config: Config) -> Keyring | None:
    """Return the keyring of a receiver; None where its archive is not sealed, or there is none."""
    if not config.archive_key or config.archive_root is None:
        return None
    # The uploader tries again by itself, and must end soon when the receiver does.
    store = open_store(config.archive_keys, retries=False)
    return Keyring(Wrapping(config.archive_key), store, config.archive_keys, config.local_keys)
