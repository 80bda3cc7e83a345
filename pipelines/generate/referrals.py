"""How each source tells by what somebody came: an advertisement, or a link.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messaging_referrals
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text
https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from typing import Any

from pipelines.generate import occasions
from pipelines.generate.story import Conversation
from pipelines.generate.talk import Happening


def begins_with_ad(talk: Conversation, said: Happening) -> bool:
    """Return whether a message carries the advertisement by which the contact came: the first one does."""
    return said.message == 0 and talk.came_by == "ad"


def of_page(talk: Conversation) -> dict[str, Any]:
    """Return a referral of Messenger or Instagram."""
    if talk.came_by != "ad":
        return {"ref": "newsletter", "source": "SHORTLINK", "type": "OPEN_THREAD"}
    ad = occasions.ad(talk.number)
    shown = {"ad_title": ad.title, "photo_url": "https://cdn.shop.example/ad.jpg"}
    return {
        "ref": ad.campaign,
        "ad_id": ad.id,
        "source": "ADS",
        "type": "OPEN_THREAD",
        "ads_context_data": shown,
    }


def of_whatsapp(talk: Conversation) -> dict[str, Any]:
    """Return a referral of WhatsApp."""
    ad = occasions.ad(talk.number)
    return {
        "source_url": _address(ad),
        "source_id": ad.id,
        "source_type": "ad",
        "headline": ad.title,
        "body": "Write to us",
        "media_type": "image",
        "image_url": "https://cdn.shop.example/ad.jpg",
        "ctwa_clid": occasions.click(talk.number),
    }


def of_twilio(talk: Conversation) -> dict[str, str]:
    """Return the fields of a form of Twilio's that tell a referral."""
    ad = occasions.ad(talk.number)
    return {
        "ReferralBody": "Write to us",
        "ReferralHeadline": ad.title,
        "ReferralSourceId": ad.id,
        "ReferralSourceType": "ad",
        "ReferralSourceUrl": _address(ad),
        "ReferralCtwaClid": occasions.click(talk.number),
    }


def _address(ad: occasions.Ad) -> str:
    return f"https://shop.example/coats?ad={ad.id}&utm_campaign={ad.campaign}"
