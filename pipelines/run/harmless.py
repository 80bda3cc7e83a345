"""What strangers wrote, on a terminal: what it would obey is written out, so that it is read and not done."""

import re
from typing import Final

# Ends of line and tabs stay. https://cwe.mitre.org/data/definitions/150.html
_OBEYED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def harmless(text: str) -> str:
    r"""Return a text with its control characters written as `\x1b`."""
    return _OBEYED.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
