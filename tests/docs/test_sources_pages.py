"""What the pages of docs/sources say of every event, compared with the parsers."""

import re

import pytest

from pipelines.sources import facebook_metadata, google, whatsapp_items
from tests.docs import claims

KINDS = (
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "order",
    "button",
    "interactive",
    "unsupported",
    "reaction",
    "edit",
    "revoke",
    "system",
    "request_welcome",
)
FIELDS = (
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_username_update",
    "flows",
    "group_participants_update",
    "history",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "messaging_handovers",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "template_category_update",
    "user_id_update",
)
EVENTS = {
    "airy": {"message.created", "message.updated", "conversation.updated", "channel.updated"},
    "chatplugin": {"message"},
    "facebook": {
        *(f"message{mark}" for mark in ("", ".is_echo", ".is_deleted", ".is_unsupported", ".quick_reply")),
        *("delivery", "read", "app_roles", "feed", "comments", "mentions", "ratings", "leadgen", "live_videos"),
        *facebook_metadata.VALUES_OF,
        *facebook_metadata.THREAD_CONTROL,
    },
    "google": {
        "message",
        "suggestionResponse",
        "receipts",
        "userStatus",
        *google.VALUES_OF,
        google.AUTHENTICATION,
    },
    "twilio": {"MessageStatus=delivered", "OptOutType=STOP", "EventType=onMessageAdded", "ErrorUrl", "ListId"},
    "whatsapp": {f"messages: {kind}" for kind in KINDS}
    | {f"smb_message_echoes: {kind}" for kind in ("text", "edit")},
}
"""The events that each source is known to send, as the table names them."""
LISTS = set(whatsapp_items.VALUE_OF) - {"contacts"} | set(FIELDS)
"""Lists and fields of WhatsApp's changes, of which each must be in some sample."""
ANY = {"source.<EventType>", "source.<type>"}
"""Keys that stand for many."""
_KEY = re.compile(r"`((?:source\.|reaction\.)[\w.<>]+)`")


@pytest.mark.parametrize("page", claims.FOLDERS)
def test_what_a_page_claims_of_every_sample_is_true(page):
    assert claims.claimed(page) == claims.true(page), "run: python tests/docs/claims.py"


@pytest.mark.parametrize("page", claims.FOLDERS)
def test_every_event_of_a_source_has_a_sample(page):
    named = {name for claim in claims.claimed(page).values() for name in re.findall(r"`([^`]+)`", claim.what)}

    assert EVENTS[page] - named == set()


def test_every_list_and_field_of_whatsapp_has_a_sample():
    samples = "".join(path.read_text("utf-8") for path in (claims.material.SAMPLES / "whatsapp").iterdir())

    assert {name for name in LISTS if f'"{name}"' not in samples} == set()


@pytest.mark.parametrize("page", claims.FOLDERS)
def test_every_key_that_a_page_speaks_of_is_told_by_some_sample(page):
    prose = (claims.PAGES / f"{page}.md").read_text("utf-8").partition(claims.HEADING)[0]
    told = {key for claim in claims.true(page).values() for key in _KEY.findall(claim.rows)}

    assert set(_KEY.findall(prose)) - told - ANY == set()


@pytest.mark.parametrize("page", claims.FOLDERS)
def test_a_fact_without_a_value_says_all_by_its_key(page):
    """Empty is what was taken away, or what nothing more is known of; never what only `content` tells."""
    empty = {
        (name, key)
        for name, claim in claims.true(page).items()
        for key in re.findall(r"(?<!= )`([\w.]+)` about", claim.rows)
        if "unknown" not in name
    }

    assert {key for _, key in empty} <= {"reaction.emoji", "source.standby"}, empty
