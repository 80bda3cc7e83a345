"""Notes of what a process has in hand, so that an event on which it dies is known to the next one.

A process that dies (killed for its memory, or by a fault of some library) says nothing of what it died on, and
Pub/Sub delivers that again: without notes, every process after it would die too, and nothing else would get on.
"""

import contextlib
import fcntl
import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

DEATHS_ALONE: Final = 2
"""How often a process has to die on a message that it has alone, until that is set aside.

One death alone may be an operator's, or that of a machine.
"""
FEW: Final = 32
"""How many suspects are tried together, until a process dies on them again and each is tried alone.

A process that somebody kills has hundreds in hand. Tried alone they take so long that, killed every minute, it
would get no further.
"""
_DEATHS_AMONG_FEW: Final = 1
_MOST_SUSPECTS: Final = 10_000
_SUSPECTS: Final = "suspects.json"
_SUFFIX: Final = ".hand"

_log = logging.getLogger(__name__)


class InHand:
    """What this process works on, in a folder that outlives it. Several processes may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Those who look for the dead know the living by their locks.
        with _locked(folder / ".lock"):
            self._note = (folder / f"{uuid.uuid4().hex}{_SUFFIX}").open("w+b")
            fcntl.flock(self._note, fcntl.LOCK_EX)
            self._collect()
            self._suspects = self._read()
        if self._suspects:
            _log.warning("a process died with %d messages in hand: few are tried at a time", len(self._suspects))

    def is_suspect(self, message_id: str) -> bool:
        """Return whether a process has died with the message in hand, so that few others are tried with it."""
        return message_id in self._suspects

    def is_alone(self, message_id: str) -> bool:
        """Return whether a process has died on the message among few, so that it has to be tried alone."""
        return self._suspects.get(message_id, 0) >= _DEATHS_AMONG_FEW

    def is_fatal(self, message_id: str) -> bool:
        """Return whether processes have died on the message, so that it must not be tried again."""
        return self._suspects.get(message_id, 0) >= _DEATHS_AMONG_FEW + DEATHS_ALONE

    def take(self, message_ids: Iterable[str]) -> None:
        """Note what is in hand now; of an empty list nothing is."""
        self._note.seek(0)
        self._note.truncate()
        self._note.write(json.dumps(list(message_ids)).encode())
        # Written out of this process, though not to the disk: it is the process that may die.
        self._note.flush()

    def acquit(self, message_ids: Iterable[str]) -> None:
        """Note that messages were survived."""
        survived = [each for each in message_ids if self._suspects.pop(each, None) is not None]
        if survived:
            with _locked(self._folder / ".lock"):
                left = self._read()
                for each in survived:
                    left.pop(each, None)
                self._write(left)

    def close(self) -> None:
        """Note that nothing is in hand any more, and that this process has not died."""
        Path(self._note.name).unlink(missing_ok=True)
        self._note.close()

    def _collect(self) -> None:
        """Make suspects of what dead processes had in hand."""
        suspects = self._read()
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                held = _ids(file.read())
            for each in held:
                deaths = suspects.get(each)
                suspects[each] = 0 if deaths is None else deaths + (deaths < _DEATHS_AMONG_FEW or len(held) == 1)
            path.unlink()
        self._write(dict(list(suspects.items())[-_MOST_SUSPECTS:]))

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads((self._folder / _SUSPECTS).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): int(deaths) for name, deaths in found.items()}

    def _write(self, suspects: dict[str, int]) -> None:
        temporary = self._folder / f"{_SUSPECTS}.tmp"
        temporary.write_text(json.dumps(suspects), "utf-8")
        temporary.replace(self._folder / _SUSPECTS)


def _ids(written: bytes) -> list[str]:
    """Return what a note says: nothing, where its process died while it wrote."""
    try:
        return [str(each) for each in json.loads(written)]
    except ValueError:
        return []


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
