"""The views of reports, asked of a period: their own text over a few days' messages and metadata.

The views themselves read all of history, since a price, a tap or a rating may come on any later day. A page says
how far it looks instead, and has their definitions all the same: what a view reads is replaced by parts of the
question of which the partitions are bounded. Each question has the parts that it needs and no more, since each
column of a day costs.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from string import Template
from typing import Final, NamedTuple

from schemas import loader

VIEWS: Final = (
    *("acquisitions", "actors", "delivery_states", "handovers", "message_costs", "messages_by_receipt", "ratings"),
    *("replies", "sessions", "template_messages"),
)
"""The views that questions of reports include, each as a placeholder of its name."""
_SMALL: Final = {"actor_names", "rates"}
"""What an analyst has filled: read as it is."""
_MENTIONED: Final = re.compile(r"`\$\{views\}\.(\w+)`")
_SAME: Final = "LEFT JOIN same ON same.conversation_id = told.conversation_id"
_WHO: Final = "LEFT JOIN who ON who.contact_id = told.contact_id"

Days = tuple[int, int]
"""How many days before a period and after it are read beside its own."""


class Reach(NamedTuple):
    """What a question reads around its period."""

    messages: Days | None = None
    metadata: Days | None = None
    as_told: int | None = None
    """How many days before the period a message is looked for of which only receipts are in it."""
    people: bool = True
    """Whether it matters which conversations are of one person."""
    contacts: bool = False
    """Whether it matters which ids are of one person."""


REACH: Final[Mapping[str, Reach]] = {
    "report_acquisitions": Reach((0, 3), (0, 3), as_told=7, contacts=True),
    "report_actors": Reach((0, 0), (3, 1)),
    "report_costs": Reach((0, 0), (1, 3), people=False),
    "report_first_answers": Reach((1, 1), (1, 1), as_told=7),
    "report_handovers": Reach(metadata=(0, 0)),
    "report_ratings": Reach((0, 0), (0, 0), people=False),
    "report_sessions": Reach((7, 8), (1, 3), as_told=31),
    "report_templates": Reach((0, 3), (0, 3)),
}
"""How far each question looks: docs/dashboard.md says what that means."""


def parts(question: str, names: Mapping[str, str], text: Callable[[str], str]) -> dict[str, str]:
    """Return what a question of reports includes, by placeholder: `reported` and the views; nothing for another.

    Args:
        question: its name.
        names: what placeholders stand for already, `people` among them.
        text: returns a part's SQL by its name.
    """
    if (reach := REACH.get(question)) is None:
        return {}
    found = {"reported": ",\n".join(_reported(reach, names, text))}
    return found | {view: Template(over_parts(view)).substitute(names) for view in VIEWS}


def _reported(reach: Reach, names: Mapping[str, str], text: Callable[[str], str]) -> Iterator[str]:
    if reach.people:
        yield names["people"]
    conversation = "COALESCE(same.resolved_conversation_id, told.conversation_id)"
    shared = {
        "conversation_id": conversation if reach.people else "told.conversation_id",
        "contact_id": "COALESCE(who.resolved_contact_id, told.contact_id)"
        if reach.contacts
        else "told.contact_id",
        "joins": "\n    ".join([_SAME] * reach.people + [_WHO] * reach.contacts),
    }
    part = Template(text("reported.part"))
    for table, days in (("messages", reach.messages), ("metadata", reach.metadata)):
        if days:
            own = {"table": table, "partition": loader.partition(table), "before": days[0], "after": days[1]}
            yield part.substitute({**names, **shared, **own}).rstrip()
    if reach.as_told is not None and reach.messages:
        around = {"before": reach.as_told, "after": reach.messages[1]}
        yield Template(text("reported_as_told.part")).substitute({**names, **around}).rstrip()


def over_parts(view: str) -> str:
    """Return a view's SQL, with what it reads as parts of a question: of `messages`, `reported_messages`."""
    lines = loader.views()[view].splitlines()
    while lines[0].startswith("--"):
        lines.pop(0)
    return _MENTIONED.sub(
        lambda found: found[0] if found[1] in _SMALL else f"reported_{found[1]}", "\n".join(lines)
    )
