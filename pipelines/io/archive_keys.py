"""The keys of a sealed archive, as its readers have them: of the environment, or told by options of a job."""

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from pipelines.bigquery.secret import checked
from pipelines.bigquery.secret import read as read_secret
from pipelines.bigquery.target import ConfigurationError
from pipelines.io.archive_damages import Damage
from receiver.config import ARCHIVE_KEY, ARCHIVE_KEYS, Settings, archive_key_problems
from receiver.durable.envelope import KeysError, LostError, LostKeyError, Wrapping
from receiver.durable.keyring import Keyring
from receiver.replies.store import open_store
from schemas.raw_event import DATA_KEY, RawEvent


class ArchiveKeys(msgspec.Struct, frozen=True):
    """Where the keys of an archive are; it travels to workers, with the secret or with its name alone."""

    place: str = ""
    """A folder or `gs://…`; empty where the archive is not sealed."""
    secrets: tuple[str, ...] = ()
    reference: str = ""
    """The secret's name in Secret Manager: each process reads it when it meets the first sealed event."""
    local: str = ""
    """The folder of keys whose segments a receiver on this machine has not uploaded; empty where there is none."""

    def keyring(self) -> Keyring | None:
        """Return the keys, the same within a process; None where there are none.

        Raises:
            ConfigurationError: the secret cannot be read, or is too short.
        """
        return _keyring(self) if self.place else None

    def required(self) -> Keyring:
        """Return the keys, for an archive that has sealed events.

        Raises:
            ConfigurationError: there are none, or the secret cannot be read, or is too short.
        """
        keys = self.keyring()
        if keys is None:
            raise ConfigurationError(
                f"the archive has sealed events: {ARCHIVE_KEY} and {ARCHIVE_KEYS} must be set to read them"
            )
        return keys


def from_environment(
    place: str | None = None, reference: str | None = None, archive: str | None = None
) -> ArchiveKeys:
    """Return the keys that the environment names, or a job's options in its stead.

    Raises:
        ConfigurationError: one of the two settings is missing or wrong, or the keys lie within the archive.
    """
    settings = Settings(os.environ)
    archive, data_dir = archive or settings.text("ARCHIVE"), settings.text("DATA_DIR")
    place = place or settings.text("ARCHIVE_KEYS")
    local = str(Path(data_dir) / "keys") if data_dir and place.startswith("gs://") else ""
    if reference:
        if not place:
            raise ConfigurationError(f"--archive_keys is not given, nor {ARCHIVE_KEYS} set: where data keys lie")
        return ArchiveKeys(place, reference=checked(reference), local=local)
    secrets = settings.secrets("ARCHIVE_KEY")
    if problems := settings.problems + archive_key_problems(secrets, place, archive):
        raise ConfigurationError("\n".join(problems))
    return ArchiveKeys(place, secrets, local=local)


def opened(
    events: Iterable[RawEvent], path: str, damages: list[Damage], keys: ArchiveKeys | None = None
) -> Iterator[RawEvent]:
    """Yield the events of a segment as they were received, and note those that nobody can read any more.

    Raises:
        ConfigurationError: there are sealed events, and no keys, or not these.
        Exception: the store of keys cannot be read.
    """
    keyring: Keyring | None = None
    lost: dict[str, list[int]] = {}
    for event in events:
        key_id = event.attributes.get(DATA_KEY)
        if key_id is None:
            yield event
            continue
        if key_id in lost:
            lost[key_id].append(len(event.data))
            continue
        keyring = keyring or (from_environment() if keys is None else keys).required()
        try:
            plain = keyring.open(event)
        except LostKeyError:
            lost[key_id] = [len(event.data)]
        except LostError as error:
            damages.append(Damage(path, 0, len(event.data), str(error)))
        except KeysError as error:
            raise ConfigurationError(str(error)) from error
        else:
            yield plain
    for key_id, sizes in lost.items():
        what = f"{len(sizes)} events are sealed with the data key {key_id}, which was destroyed or is damaged"
        damages.append(Damage(path, 0, sum(sizes), what))


@lru_cache(4)
def _keyring(keys: ArchiveKeys) -> Keyring:
    secrets = keys.secrets
    if keys.reference:
        secrets = tuple(each for line in read_secret(keys.reference).split(",") if (each := line.strip()))
        if problems := archive_key_problems(secrets, keys.place, ""):
            raise ConfigurationError("\n".join(problems))
    return Keyring(Wrapping(secrets), open_store(keys.place), keys.place, Path(keys.local) if keys.local else None)
