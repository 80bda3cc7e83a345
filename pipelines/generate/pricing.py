"""What WhatsApp says of a message's price: for each message, or, as until 2025, for conversations of 24 hours.

https://developers.facebook.com/documentation/business-messaging/whatsapp/pricing
"""

from typing import Any, Final

from pipelines.core import ids
from pipelines.generate import occasions
from pipelines.generate.story import Conversation
from pipelines.generate.talk import Happening

OLDER_CHANNELS: Final = 2
"""How many of the channels are charged by conversations."""
TELLING: Final = frozenset({"sent", "delivered"})
"""States whose status tells the price."""


def of_status(talk: Conversation, said: Happening) -> dict[str, Any]:
    """Return what a status tells of the price: nothing, where the business's own app has written."""
    if not talk.is_by_api or said.text not in TELLING:
        return {}
    template = occasions.template(talk.number, said.message)
    category = template.category.lower() if template else "service"
    by_ad = talk.came_by == "ad"
    if talk.channel < OLDER_CHANNELS:
        kind = "referral_conversion" if by_ad else category
        charged = {"id": ids.derive("charged", str(talk.number), kind), "origin": {"type": kind}}
        pricing: dict[str, Any] = {"billable": not by_ad, "pricing_model": "CBP", "category": kind}
        return {"conversation": charged, "pricing": pricing}
    if by_ad:
        kind = "free_entry_point"
    else:
        # Within a day of what the contact wrote, only some templates are charged.
        kind = "free_customer_service" if category in {"service", "utility"} else "regular"
    pricing = {"billable": kind == "regular", "pricing_model": "PMP", "type": kind, "category": category}
    return {"pricing": pricing}
