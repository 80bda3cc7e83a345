"""What sources that send forms share: fields of a form or a query, whatever bytes they hold."""

from urllib.parse import unquote_to_bytes


def read(form: bytes) -> tuple[dict[str, str], bool]:
    """Return each field's first value, and whether one came twice.

    What is not UTF-8, escaped or not, is replaced here, and NUL removed: only the content keeps it.

    https://url.spec.whatwg.org/#urlencoded-parsing
    """
    fields: dict[str, str] = {}
    repeated = False
    # Twice as fast as the standard library's, which looks for escapes also where there are none.
    for field in form.decode("utf-8", "replace").replace("+", " ").split("&"):
        if not field:
            continue
        name, _, value = field.partition("=")
        name = _unquoted(name) if "%" in name else name
        repeated |= name in fields
        if value:
            value = (_unquoted(value) if "%" in value else value).replace("\0", "").strip()
        fields.setdefault(name, value)
    return fields, repeated


def _unquoted(escaped: str) -> str:
    # Half the time of `unquote`, which takes text apart into what is ASCII and what is not.
    return unquote_to_bytes(escaped).decode("utf-8", "replace")
