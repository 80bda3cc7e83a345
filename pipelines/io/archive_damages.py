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
