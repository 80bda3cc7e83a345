"""What each known body tells of a price, of a conversation that is charged or of a referral, views tell."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from pipelines.core.rows import Metadata
from pipelines.sources import PARSERS
from pipelines.sources.normalization import normalize
from tests import material

pytestmark = pytest.mark.thorough

REFERRAL = "source.referral"
STATE = "source.delivery_state"
FORM = {
    "ReferralSourceId": "ad_id",
    "ReferralSourceType": "kind",
    "ReferralSourceUrl": "url",
    "ReferralCtwaClid": "ctwa_clid",
}
"""What Twilio calls the columns of acquisitions."""
FIELDS = {
    **{"source_id": "ad_id", "ad_id": "ad_id", "source_type": "kind", "source": "kind", "source_url": "url"},
    **{"referer_uri": "url", "ref": "ref", "ctwa_clid": "ctwa_clid", "headline": "headline", "body": "ad_text"},
}
"""What Meta calls them."""


class Told(NamedTuple):
    """A body that tells of one of these things, and what its view must say."""

    name: str
    event: Any
    about: str
    """pricing, conversation or referral."""
    subject: str
    """The id of the message, as its source calls it; empty of a referral."""
    expected: dict[str, Any]


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each object in a body."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from within(each)


def told(known: material.Known) -> Iterator[Told]:
    """Yield what a body tells of prices and referrals."""
    event = known.event
    if event.attributes["content_type"] == material.FORM:
        fields = dict(parse_qsl(event.data.decode("utf-8", "replace")))
        if expected := {FORM[name]: value for name, value in fields.items() if name in FORM}:
            yield Told(known.name, event, "referral", "", expected)
        return
    try:
        body = json.loads(event.data)
    except ValueError:
        return
    for each in within(body):
        if isinstance(referral := each.get("referral"), dict):
            expected = {FIELDS[name]: value for name, value in referral.items() if name in FIELDS}
            if isinstance(context := referral.get("ads_context_data"), dict):
                expected["headline"] = context["ad_title"]
            if "kind" in expected:
                expected["kind"] = expected["kind"].lower().replace("ads", "ad")
            yield Told(known.name, event, "referral", "", expected)
        if event.attributes["source"] == "whatsapp" and "status" in each:
            yield from told_by_status(known, each)


def told_by_status(known: material.Known, status: dict[str, Any]) -> Iterator[Told]:
    if isinstance(pricing := status.get("pricing"), dict):
        by_type = {"regular": "true", "free_customer_service": "false", "free_entry_point": "false"}
        billable = str(pricing.get("billable", by_type.get(pricing.get("type")))).lower()
        expected = {
            "billable": {"true": True, "false": False}.get(billable),
            "category": pricing["category"].replace("-", "_") if "category" in pricing else None,
            "pricing_model": pricing.get("pricing_model"),
            "pricing_type": pricing.get("type"),
        }
        yield Told(known.name, known.event, "pricing", status["id"], expected)
    if isinstance(charged := status.get("conversation"), dict):
        expected = {"source_pricing_id": charged["id"], "origin": charged.get("origin", {}).get("type")}
        yield Told(known.name, known.event, "conversation", status["id"], expected)


def all_told() -> list[Told]:
    found = (material.samples(), material.fixtures(), material.faults())
    return [each for bodies in found for known in bodies for each in told(known)]


def facts(each: Told, key: str) -> list[Metadata]:
    return [row for row in normalize(each.event) if isinstance(row, Metadata) and row.key == key]


@pytest.fixture(autouse=True)
def own_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, parse in material.own_parsers().items():
        monkeypatch.setitem(PARSERS, name, parse)


def test_every_sample_with_a_price_or_a_referral_is_read(analyst):
    check(analyst, [each for each in all_told() if each.name.startswith("samples/")], {"referral": 8})


@pytest.mark.skipif(not material.SHARED.exists(), reason="the public bodies lie beside the repository")
def test_every_public_body_with_a_price_or_a_referral_is_read(analyst):
    check(
        analyst,
        [each for each in all_told() if not each.name.startswith("samples/")],
        {"pricing": 6, "conversation": 6, "referral": 4},
    )


def check(analyst, bodies: list[Told], least: dict[str, int]) -> None:
    """Assert that all that bodies tell is in rows, and in the views; and that there are so many."""
    for name, count in least.items():
        assert len({each.name for each in bodies if each.about == name}) >= count, name
    events = {each.event.attributes["event_id"] + each.name: each.event for each in bodies}
    analyst.tell(*events.values())
    acquisitions = {row["acquisition_id"]: row for row in analyst.query("SELECT * FROM parley.acquisitions")}
    costs = {row["message_id"]: row for row in analyst.query("SELECT * FROM parley.message_costs")}
    for each in bodies:
        if each.about == "referral":
            (fact,) = facts(each, REFERRAL)
            row = acquisitions[fact.metadata_id]
        else:
            row = costs[next(fact.subject_id for fact in facts(each, STATE) if each.subject in fact.content)]
        assert {name: row[name] for name in each.expected} == each.expected, each.name
