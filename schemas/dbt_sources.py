"""The views as sources of the dbt package: `python -m schemas.dictionary` writes `deploy/dbt/models/sources.yml`.

Descriptions are those of the data dictionary. https://docs.getdbt.com/reference/source-properties
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from schemas import loader, view_columns

FILE: Final = Path(__file__).parents[1] / "deploy" / "dbt" / "models" / "sources.yml"
COMMAND: Final = "python -m schemas.dictionary"
FRESHNESS: Final = {
    "loaded_at_field": "received_at",
    "freshness": {
        "warn_after": {"count": 6, "period": "hour"},
        "error_after": {"count": 1, "period": "day"},
        # A month's partitions are read, not all.
        "filter": "received_date >= DATE_SUB(CURRENT_DATE(), INTERVAL 30 DAY)",
    },
}
"""Of the ledger: every request leaves a row there, whatever became of it."""
# A redelivery of a message without a time of its own shows in a second partition until the next `parley settle`.
_SETTLED: Final = {"where": "sent_date < DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)"}
_INTERNAL: Final = frozenset({"resolved_contacts", "retold", "superseded"})
_KEYS: Final[Mapping[str, str]] = {
    "messages": "message_id",
    "conversations": "conversation_id",
    "contacts": "contact_id",
    "channels": "channel_id",
    "events": "event_id",
    "sessions": "session_id",
    "people": "person_id",
}
"""The views of which a row is known by one column."""
_NOT_NULL: Final[Mapping[str, tuple[str, ...]]] = {
    "messages": ("conversation_id", "channel_id", "source", "sent_at", "sent_date", "direction"),
    "conversations": ("channel_id", "source"),
    "contacts": ("source",),
    "channels": ("source",),
    "events": ("received_at", "outcome"),
    "metadata": ("metadata_id", "key", "occurred_date"),
    "daily_activity": ("sent_date", "messages"),
    "response_times": ("conversation_id", "asked_at"),
}
_RELATIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "messages": {"conversation_id": "conversations", "channel_id": "channels", "contact_id": "contacts"},
    "conversations": {"channel_id": "channels"},
    "sessions": {"conversation_id": "conversations"},
    "response_times": {"conversation_id": "conversations"},
}
"""Which column of a view names a row of which other view."""
_SOURCE: Final = "parley"


def published() -> list[str]:
    """Return the names of the views that analysts build on."""
    return [
        name
        for name in loader.views()
        if not name.startswith((loader.COUNTED, loader.SEEN))
        and not name.endswith("_as_told")
        and name not in _INTERNAL
    ]


def text() -> str:
    """Return the file: YAML, its values written as JSON, which is YAML too."""
    lines = [f"# Written by `{COMMAND}`: change schemas/ instead.", "version: 2", "sources:"]
    lines += [
        f"  - name: {_SOURCE}",
        f"    description: {_quoted('What Parley made of webhooks: contacts, conversations, messages.')}",
        '''    database: "{{ var('parley_project', target.database) }}"''',
        '''    schema: "{{ var('parley_dataset', 'parley') }}"''',
        "    tables:",
    ]
    for name in published():
        lines += _table(name)
    return "\n".join(lines) + "\n"


def write() -> None:
    """Write the file."""
    FILE.write_text(text(), "utf-8")


def _table(name: str) -> Iterator[str]:
    yield f"      - name: {name}"
    yield f"        description: {_quoted(loader.view_description(loader.views()[name]))}"
    if name == "events":
        yield f"        config: {_quoted(FRESHNESS)}"
    yield "        columns:"
    for column in view_columns.columns(name):
        yield f"          - name: {column.name}"
        yield f"            data_type: {_quoted(column.type)}"
        yield f"            description: {_quoted(column.description)}"
        if tests := _tests(name, column.name):
            yield "            data_tests:"
            yield from (f"              - {_quoted(test)}" for test in tests)


def _tests(view: str, column: str) -> list[Any]:
    found: list[Any] = []
    if _KEYS.get(view) == column:
        found = [{"unique": {"config": _SETTLED}} if view == "messages" else "unique", "not_null"]
    elif column in _NOT_NULL.get(view, ()):
        found = ["not_null"]
    if other := _RELATIONS.get(view, {}).get(column):
        found.append({"relationships": {"arguments": {"to": f"source('{_SOURCE}', '{other}')", "field": column}}})
    return found


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
