"""What sources that send forms share: fields of a form or a query, whatever bytes they hold."""

from urllib.parse import parse_qsl


def read(form: bytes) -> tuple[dict[str, str], bool]:
    """Return each field's first value, and whether one came twice.

    What is not UTF-8, escaped or not, is replaced here, and NUL removed: only the content keeps it.
    """
    fields: dict[str, str] = {}
    repeated = False
    for name, value in parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"):
        repeated |= name in fields
        fields.setdefault(name, value.replace("\0", "").strip())
    return fields, repeated
