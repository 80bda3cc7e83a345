"""Conversations of thousands of messages: a page knows all that it shows."""

import datetime as dt
import re

import pytest
from dashboard_shop import NOON, PHONE, Shop

from pipelines.dashboard.app import create_app
from pipelines.dashboard.conversations import PAGE_SIZE
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough


def test_a_page_knows_how_far_its_messages_came_in_a_conversation_of_thousands(analyst_of_shops: Analyst):
    analyst_of_shops.forget()
    shop = Shop(analyst_of_shops)
    number, most = "15550100003", 1_400
    echoes, statuses = [], []
    for place in range(most):
        seconds = int(NOON.timestamp()) - 10 * (most - place)
        echoes.append(
            {
                "from": number,
                "to": PHONE,
                "id": f"wamid.{place}",
                "timestamp": str(seconds),
                "type": "text",
                "text": {"body": f"Number {place}"},
            }
        )
        for later, state in enumerate(("sent", "delivered", "read", "played")):
            told = {"id": f"wamid.{place}", "status": state, "recipient_id": PHONE}
            statuses.append(told | {"timestamp": str(seconds + later)})
    for field, name, items in (
        ("smb_message_echoes", "message_echoes", echoes),
        ("messages", "statuses", statuses),
    ):
        for start in range(0, len(items), 700):
            value = {
                "messaging_product": "whatsapp",
                "metadata": {"display_phone_number": number, "phone_number_id": "1003"},
                name: items[start : start + 700],
            }
            changes = [{"field": field, "value": value}]
            body = {"object": "whatsapp_business_account", "entry": [{"id": "7", "changes": changes}]}
            shop.told("whatsapp", body, NOON)
    shop.stored()
    (row,) = shop.analyst.query("SELECT DISTINCT conversation_id FROM parley.messages")
    client = create_app(shop.warehouse, today=NOON.date).test_client()

    page = client.get(f"/conversations/{row['conversation_id']}").text

    assert re.findall(r'class="state (\w+)"', page) == ["played"] * PAGE_SIZE


def test_a_page_knows_what_was_read_last_however_often_that_was_told(analyst_of_shops: Analyst):
    analyst_of_shops.forget()
    shop = Shop(analyst_of_shops)
    for place in range(2_600):
        at = NOON - dt.timedelta(seconds=10 * (2_600 - place))
        watermark = {"watermark": int(at.timestamp() * 1000)}
        shop.messenger(at, message={"mid": f"m_{place}", "is_echo": True, "text": "Hi"})
        shop.messenger(at, delivery=watermark)
        shop.messenger(at, read=watermark)
    shop.stored()
    (row,) = shop.analyst.query("SELECT DISTINCT conversation_id FROM parley.messages")
    client = create_app(shop.warehouse, today=NOON.date).test_client()

    page = client.get(f"/conversations/{row['conversation_id']}").text

    assert re.findall(r'class="state (\w+)"', page) == ["read"] * PAGE_SIZE
