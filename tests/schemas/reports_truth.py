"""What is true in a generated world of costs, actors, ratings, referrals and templates, from who did what when."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from told_truth import PRECISION, Truth, conversation_of

from pipelines.generate import meta_voices, occasions, pricing, reported, templates, whatsapp_voice
from pipelines.generate.story import Conversation, World, conversation
from pipelines.generate.talk import DAY, Happening
from pipelines.generate.voices import segments, webhook_of

PRICES = {
    ("whatsapp", None, "marketing", "message"): 110_000,
    ("whatsapp", None, "authentication", "message"): 50_000,
    ("whatsapp", None, "service", "conversation"): 40_000,
    ("whatsapp", None, "marketing", "conversation"): 130_000,
    ("whatsapp", None, "authentication", "conversation"): 60_000,
    ("twilio.sms", "inbound", None, "segment"): 7_000,
    ("twilio.sms", "outbound", None, "message"): 9_000,
}
"""The analyst's rates in millionths, by source, direction, category and unit. Of utilities there is none."""
NAMES = {str(meta_voices.BOT): "bot", "agent-1": "human"}
"""The analyst's names of actors."""
STATES = ("sent", "failed", "delivered", "read")
TWILIO = ("twilio.sms", "twilio.whatsapp")


class Reports:
    """What the views of reports must say of a world."""

    def __init__(self, world: World) -> None:
        self.truth = Truth(world)
        self.talks = [conversation(world, n, day) for day in range(world.days) for n in world.of_day(day)]

    def costs(self) -> Counter:
        """Count messages by all that is told of a price, and by whether they are charged."""
        return Counter(each[:-1] for each in self._costed())

    def money(self) -> dict:
        """Sum up what is charged, by source and direction."""
        found = defaultdict(int)
        charged = set()
        for source, direction, _, category, _, model, parts, is_charged, conversation_id in self._costed():
            if is_charged and conversation_id not in charged:
                unit = "conversation" if model == "CBP" else "segment" if parts else "message"
                told = direction if source in TWILIO else None
                found[source, direction] += PRICES.get((source, told, category, unit), 0) * (parts or 1)
                if conversation_id:
                    charged.add(conversation_id)
        return {key: money for key, money in found.items() if money}

    def actors(self) -> Counter:
        """Count messages to contacts by source, kind of actor and how that is known."""
        held = defaultdict(list)
        for talk, each in self._happenings("handover"):
            to = "human" if each.text == "human" else "bot"
            held[conversation_of(talk)].append((each.at // 1_000 * 1_000, to))
        return Counter(
            (talk.source, *self._actor(talk, said, sorted(held[conversation_of(talk)])))
            for talk, said in self._happenings("said")
            if not said.inbound and webhook_of(talk, said)
        )

    def handovers(self) -> Counter:
        """Count handovers by source and to whom."""
        return Counter((talk.source, each.text) for talk, each in self._happenings("handover"))

    def ratings(self) -> Counter:
        """Count ratings by source, scale and points."""
        asked = ((talk, occasions.rating(talk.source, talk.number)) for talk, _ in self._happenings("rated"))
        found = Counter((talk.source, rating.scale, float(rating.points)) for talk, rating in asked if rating)
        filled = (whatsapp_voice.rated(talk, said) for talk, said in self._happenings("said"))
        return found + Counter(("whatsapp", "rating", float(points)) for points in filled if points is not None)

    def acquisitions(self) -> Counter:
        """Count referrals by all that is told of them and what followed."""
        came = defaultdict(list)
        for talk in self.talks:
            if talk.came_by:
                at = min(at for at, _ in self.truth.told[conversation_of(talk)][talk.number, 0])
                came[conversation_of(talk)].append((at, talk))
        bought = defaultdict(list)
        for talk, each in self._happenings("bought"):
            bought[each.message].append(round(occasions.value(talk.number) * 1_000_000))
        found = Counter()
        for key, referrals in came.items():
            referrals.sort(key=lambda each: each[0])
            exchanged = sorted(self._exchanged(key))
            ends = [at for at, _ in referrals[1:]] + [float("inf")]
            for (at, talk), until in zip(referrals, ends, strict=True):
                within = [(when, what) for when, what in exchanged if at <= when < until]
                answers = [when for when, what in within if what == "outbound"]
                first = (answers[0] - at) // 1_000 / 1_000 if answers else None
                counts = len(within) - len(answers), len(answers), first
                values = bought.get(talk.number, [])
                found[*_referral(talk), *counts, len(values), sum(values) if values else None] += 1
        return found

    def templates(self) -> dict:
        """Count what became of each template's messages."""
        found = {each.name: Counter() for each in occasions.TEMPLATES}
        clicked = set()
        for talk, said in self._happenings("said"):
            if (template := whatsapp_voice.tapped(talk, said)) is not None:
                clicked.add((talk.number, template.message))
        for talk, said in self._happenings("said"):
            template = occasions.template(talk.number, said.message)
            if said.inbound or not talk.is_by_api or template is None:
                continue
            state = max(self._states(talk, said.message), key=STATES.index)
            sent_at = said.at // PRECISION["whatsapp"] * PRECISION["whatsapp"]
            wrote = [at for at, what in self._exchanged(conversation_of(talk)) if what == "inbound"]
            found[template.name] += Counter(
                messages=1,
                failed=state == "failed",
                sent=state in {"sent", "delivered", "read"},
                delivered=state in {"delivered", "read"},
                read=state == "read",
                clicked=(talk.number, said.message) in clicked,
                answered_within_day=any(sent_at <= at <= sent_at + DAY for at in wrote),
            )
        return found

    def standing(self) -> dict:
        """Return the status and the quality of each template."""
        bad = {templates.DISLIKED.name: ("PAUSED", "YELLOW")}
        return {each.name: bad.get(each.name, ("APPROVED", None)) for each in occasions.TEMPLATES}

    def _happenings(self, kind: str) -> Iterator[tuple[Conversation, Happening]]:
        return ((talk, each) for talk in self.talks for each in talk.happenings if each.kind == kind)

    def _states(self, talk: Conversation, message: int) -> set[str]:
        """Return which states are told of a message by itself."""
        found = {
            each.text
            for each in talk.happenings
            # Messenger's reads tell a moment, and no message.
            if each.kind == "state" and each.message == message and webhook_of(talk, each)
            if (talk.source, each.text) != ("facebook", "read")
        }
        # Airy and histories tell with the message how far it has come.
        return found | {"airy": {"delivered"}}.get(talk.source, {"read"} if talk.is_history else set())

    def _costed(self) -> Iterator[tuple]:
        for talk, said in self._happenings("said"):
            if said.inbound:
                if talk.source in TWILIO:
                    parts = segments(said.text) if talk.source == "twilio.sms" else None
                    yield (talk.source, "inbound", None, None, None, None, parts, True, None)
                continue
            states = self._states(talk, said.message)
            if not states:
                continue
            told = pricing.of_status(talk, Happening("state", said.at, said.message, False, "sent"))
            price = told.get("pricing", {})
            model, billable = price.get("pricing_model"), price.get("billable")
            state = max(states, key=STATES.index)
            arrived, is_sent = state in {"delivered", "read"}, state != "failed"
            is_charged = arrived and billable if model == "PMP" else is_sent and billable
            if billable is None:
                is_charged = is_sent if talk.source in TWILIO else None
            yield (
                talk.source,
                "outbound",
                billable,
                price.get("category"),
                price.get("type"),
                model,
                None,
                is_charged,
                told.get("conversation", {}).get("id"),
            )

    def _actor(self, talk: Conversation, said: Happening, held: list) -> tuple:
        match talk.source:
            case "facebook":
                is_human = occasions.is_passed("facebook", talk.number) and said.message >= 2
                return ("human", "inbox" if said.message % 2 else "app") if is_human else ("bot", "app")
            case "instagram":
                before = [to for at, to in held if at <= said.at // 1_000 * 1_000]
                return (before[-1], "handover") if before else (None, None)
            case "whatsapp" if talk.is_by_api:
                return (reported.actor(talk, said)["kind"], "reply")
            case "whatsapp":
                return (None, None) if talk.is_history else ("human", "business app")
            case "airy":
                return ("human", "sender")
        return ("human" if occasions.is_by_human(talk.number, said.message) else "bot", "source")

    def _exchanged(self, key: tuple) -> Iterator[tuple[int, str]]:
        for facts in self.truth.told[key].values():
            what = dict(reversed([(what, at) for at, what in facts]))
            if "inbound" in what:
                yield what["inbound"], "inbound"
            elif what and "failed" not in what:
                yield what.get("outbound", what.get("sent", min(what.values()))), "outbound"


def _referral(talk: Conversation) -> tuple:
    if talk.came_by == "shortlink":
        return (talk.source, "shortlink", None, None, "newsletter")
    ad, is_click = occasions.ad(talk.number), talk.source in occasions.BY_CLICK
    return (talk.source, "ad", ad.id, occasions.click(talk.number) if is_click else None, ad.campaign)
