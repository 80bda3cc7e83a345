"""The calls that send replies."""

import json
from urllib.parse import urlsplit

import msgspec
import pytest

from pipelines.replies.calls import Places, make_call
from pipelines.replies.channels import Channel
from schemas.replies import Addressed

GRAPH = "https://graph.test/v1"


@pytest.mark.parametrize("source", ["facebook", "instagram", "whatsapp"])
@pytest.mark.parametrize("channel", ["1003/deregister?x=", "../../oauth", "1003#", "1003%2Fx", "@evil.test/"])
def test_a_channel_leads_the_token_to_no_other_place(source, channel):
    reply = Addressed(source=source, channel=channel, to="7001", content=msgspec.Raw(b'{"text": "x"}'))

    url = urlsplit(make_call(reply, "r", Channel("token"), Places(graph=GRAPH)).url)

    assert (url.netloc, url.query, url.fragment) == ("graph.test", "", "")
    assert [part for part in url.path.split("/") if part][::2] == ["v1", "messages"]


def test_what_whatsapp_is_told_to_be_seen_is_about_a_message_and_says_nothing_else():
    content = msgspec.Raw(b'{"status": "read", "message_id": "wamid.1", "typing_indicator": {"type": "text"}}')
    reply = Addressed(source="whatsapp", channel="1003", to="7001", content=content)

    call = make_call(reply, "r", Channel("token"), Places(graph=GRAPH))

    assert json.loads(call.content) == {"messaging_product": "whatsapp", **json.loads(bytes(content))}


@pytest.mark.parametrize("content", [b'{"text": "x"}', b'{"type": "text", "text": {"body": "x"}}'])
@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("7001234567", {"recipient_type": "individual", "to": "+7001234567"}),
        ("+7001234567", {"recipient_type": "individual", "to": "+7001234567"}),
        ("US.13491208655302741918", {"recipient_type": "individual", "recipient": "US.13491208655302741918"}),
        (
            "US.ENT.11815799212886844830",
            {"recipient_type": "individual", "recipient": "US.ENT.11815799212886844830"},
        ),
        ("Y2FwaV9ncm91cDoxZD", {"recipient_type": "group", "to": "Y2FwaV9ncm91cDoxZD"}),
        ("another", {"recipient_type": "individual", "to": "another"}),
    ],
)
def test_whatsapp_is_told_a_number_a_user_id_and_a_group_each_as_it_takes_them(
    content: bytes, to: str, expected: dict[str, str]
):
    reply = Addressed(source="whatsapp", channel="1003", to=to, content=msgspec.Raw(content))

    body = json.loads(make_call(reply, "r", Channel("token"), Places(graph=GRAPH)).content)

    assert {name: body[name] for name in body if name in {"to", "recipient", "recipient_type"}} == expected


def test_whom_a_message_of_whatsapp_says_it_goes_to_stays_as_it_is():
    content = msgspec.Raw(b'{"to": "7001234567", "type": "text", "text": {"body": "x"}}')
    reply = Addressed(source="whatsapp", channel="1003", to="7001234567", content=content)

    body = json.loads(make_call(reply, "r", Channel("token"), Places(graph=GRAPH)).content)

    assert body["to"] == "7001234567" and "recipient_type" not in body
