"""What of the archive cannot be read: found by whoever reads a segment, kept in a folder for whoever asked."""

import hashlib
from collections.abc import Sequence

import msgspec
from apache_beam.io.filesystems import FileSystems


class Damage(msgspec.Struct, frozen=True):
    """A place in a file that cannot be read."""

    path: str
    offset: int
    """Bytes from the file's start."""
    size: int
    error: str


def damages_folder(output: str) -> str:
    """Return where `run` writes what it could not read, for `read_damages`."""
    return f"{output.rstrip('/')}/damages"


def shortened(damages: Sequence[Damage], most_bytes: int) -> list[Damage]:
    """Return damages as far as they are so many bytes of JSON; the last one tells how many are left out."""
    found: list[Damage] = []
    size = 0
    for number, damage in enumerate(damages):
        size += len(msgspec.json.encode(damage)) + 1
        if size > most_bytes:
            left = f"and {len(damages) - number:,} places more, from here on, cannot be read"
            found.append(msgspec.structs.replace(damage, error=left))
            break
        found.append(damage)
    return found


def describe(damages: Sequence[Damage]) -> str:
    """Return damages as text, one a line, as a person or a log reads them."""
    return "\n".join(f"{d.path}: {d.size} bytes at offset {d.offset} cannot be read: {d.error}" for d in damages)


def write_damages(folder: str, path: str, damages: Sequence[Damage]) -> None:
    """Write the damages of a file into a folder, where `read_damages` finds them, whoever runs this."""
    with FileSystems.create(f"{folder.rstrip('/')}/{damages_name(path)}") as file:
        file.write(msgspec.json.encode(damages))


def damages_name(path: str) -> str:
    """Return the name of the file in which the damages of a file are written."""
    return f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"


def read_damages(folder: str) -> list[Damage]:
    """Return every damage that was written into a folder, file by file; none where there is no folder."""
    found: list[Damage] = []
    for entry in FileSystems.match([f"{folder.rstrip('/')}/*.json"])[0].metadata_list:
        with FileSystems.open(entry.path) as file:
            found += msgspec.json.decode(file.read(), type=list[Damage])
    return sorted(found, key=lambda damage: (damage.path, damage.offset))
