"""What is true in a generated world, from who said what when: nothing of it is read from webhooks."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.generate import delivery, people
from pipelines.generate.story import WEIGHTS, Conversation, World, conversation
from pipelines.generate.talk import Happening
from pipelines.generate.voices import webhook_of

# Microseconds of which a source tells whole ones.
PRECISION = {
    "whatsapp": 1_000_000,
    "facebook": 1_000,
    "instagram": 1_000,
    "airy": 1_000,
    "chatplugin": 1_000,
    "shop": 1_000,
}
BY_NUMBER = frozenset({"whatsapp", "twilio.sms", "twilio.whatsapp"})

Key = tuple[str, ...]


class Exchange(NamedTuple):
    """How a conversation stands."""

    source: str
    messages: int
    is_waiting: bool
    first_response_seconds: float | None


class Truth:
    """Who talked with us, how often, and who waits."""

    def __init__(self, world: World) -> None:
        self.contacts: dict[Key, int] = defaultdict(int)
        """How many messages there are with each, by source and contact."""
        self.told: dict[Key, dict[tuple[int, int], list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
        """What happened to each message, when and what, by conversation, then number and message."""
        for day in range(world.days):
            for number in world.of_day(day):
                self._add(conversation(world, number, day))

    def _add(self, talk: Conversation) -> None:
        received: dict[bytes, int] = {}
        for each in delivery.of_conversation(talk):
            received[each.webhook.body] = min(each.received, received.get(each.webhook.body, each.received))
        exchange = self.told[conversation_of(talk)]
        for said in talk.happenings:
            webhook = webhook_of(talk, said)
            if webhook is None:
                continue
            for contact in _seen(talk, said):
                self.contacts[contact] += 0
            is_timeless = talk.source.startswith("twilio")
            precision = PRECISION.get(talk.source, 1)
            at = received[webhook.body] if is_timeless else said.at // precision * precision
            if said.kind == "said":
                self.contacts[_contact(talk, said)] += 1
                exchange[talk.number, said.message].append((at, "inbound" if said.inbound else "outbound"))
            elif said.kind == "state":
                exchange[talk.number, said.message].append((at, said.text))

    def exchanges(self) -> Iterator[Exchange]:
        """Yield each conversation."""
        for (source, *_), told in self.told.items():
            asked, answered, messages = [], [], 0
            for facts in told.values():
                what = dict(reversed([(what, at) for at, what in facts]))
                messages += "inbound" in what or "outbound" in what
                if "inbound" in what:
                    asked.append(what["inbound"])
                elif "failed" not in what and what:
                    # One that is known by receipts alone was sent when that was told, else by the first of them.
                    answered.append(what.get("outbound", what.get("sent", min(what.values()))))
            first = min((at for at in answered if asked and at >= min(asked)), default=None)
            response = None if first is None else (first - min(asked)) // 1_000 / 1_000
            yield Exchange(source, messages, bool(asked) and max(asked) > max(answered, default=0), response)

    def people(self) -> Counter[tuple[tuple[str, ...], int]]:
        """Count people by the sources on which they are, and how many messages there are with them."""
        found: dict[Key, list[tuple[str, int]]] = defaultdict(list)
        for contact, messages in self.contacts.items():
            found[_person(contact)].append((contact[0], messages))
        return Counter(
            (tuple(sorted({source for source, _ in each})), sum(messages for _, messages in each))
            for each in found.values()
        )


def conversation_of(talk: Conversation) -> Key:
    """Return what the conversation is to its source: the contact and the channel, a group, a ticket."""
    if talk.is_group:
        return (talk.source, "group", str(talk.number))
    if talk.source not in WEIGHTS:
        return (talk.source, "ticket", str(talk.number))
    contact = _contact(talk, talk.happenings[0])
    return (*contact, str(talk.channel))


def _contact(talk: Conversation, said: Happening) -> Key:
    """Return the contact of a message."""
    if talk.is_group and not said.inbound:
        return (talk.source, "group", str(talk.number))
    if talk.source in BY_NUMBER:
        return (talk.source, str(talk.speaker(said)))
    if talk.source in {"chatplugin", "airy"}:
        return (talk.source, "conversation", str(talk.number))
    return (talk.source, str(talk.person), str(talk.channel))


def _seen(talk: Conversation, said: Happening) -> Iterator[Key]:
    """Yield whom a webhook tells of."""
    if talk.is_group:
        yield (talk.source, "group", str(talk.number))
        if said.kind == "joined":
            yield from ((talk.source, str(member)) for member in talk.members)
    else:
        yield _contact(talk, said)


def _person(contact: Key) -> Key:
    """Return the person whom a contact is, across sources: who is known by a number is known by it everywhere."""
    source, known, *_ = contact
    if source not in BY_NUMBER or known == "group":
        return contact
    hidden = source == "whatsapp" and people.kind_of(int(known)) == "hidden"
    return contact if hidden else ("number", known)
