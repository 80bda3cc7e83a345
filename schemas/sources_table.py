"""What every table of the sources file is."""

import msgspec

Path = tuple[str | int, ...]
"""Where a value lies in the file: keys, and numbers in arrays."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: a misspelt key is an error."""


def places(table: object, *names: str) -> list[str]:
    """Return which of several keys a table has."""
    return [name for name in names if getattr(table, name) is not None]
