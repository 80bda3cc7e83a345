"""Contents as sources write them, and what a person reads in them."""

import json
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


class Content(str):
    """A message's content, and what kind of media it is."""

    media_type = "application/json"


def form(content):
    made = Content(content)
    made.media_type = FORM
    return made


TEXTS = {
    "messenger text": (r'{"message":{"mid":"m","text":"h\u00e9 \ud83d\ude00 \"q\" \/"}}', 'hé 😀 "q" /'),
    "messenger button": ('{"postback":{"title":"Start","payload":"GO"}}', "Start"),
    "messenger place": (
        '{"message":{"attachments":[{"type":"location","payload":{"coordinates":{"lat":1.5,"long":-2}}}]}}',
        "1.5, -2",
    ),
    "whatsapp text": ('{"from":"1","type":"text","text":{"body":"hi"}}', "hi"),
    "whatsapp caption": ('{"type":"video","video":{"id":"1","caption":"look"}}', "look"),
    "whatsapp button": (
        '{"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"x","title":"Yes"}}}',
        "Yes",
    ),
    "whatsapp list": (
        '{"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"x","title":"Red"}}}',
        "Red",
    ),
    "whatsapp call permission": (
        '{"type":"interactive","interactive":{"call_permission_reply":{"response":"accept"}}}',
        None,
    ),
    "whatsapp template button": ('{"type":"button","button":{"payload":"p","text":"Buy"}}', "Buy"),
    "whatsapp place": ('{"type":"location","location":{"name":"Park","latitude":1,"longitude":2}}', "Park"),
    "google text": ('{"agent":"a","message":{"text":"open?"}}', "open?"),
    "google suggestion": ('{"suggestionResponse":{"text":"yes","postbackData":"y"}}', "yes"),
    "airy message": ('{"id":"1","content":{"text":"from airy"}}', "from airy"),
    "airy event": ('{"type":"x","payload":{"message":{"content":{"text":"whole"}}}}', "whole"),
    "live chat": ('{"text":"hello"}', "hello"),
    "own source, object": ('{"source_message_id":"1","content":{"text":"object"}}', "object"),
    "own source, string": ('{"source_message_id":"1","content":"string"}', "string"),
    "nothing but a string": ('"bare"', "bare"),
    "form": (
        form(urlencode({"From": "+1", "Body": 'a+b c&d=e "q" \\ \n 100% é 😀'})),
        'a+b c&d=e "q" \\ \n 100% é 😀',
    ),
    "form, not encoded": (form('Body=100% a=b "x"\\'), '100% a=b "x"\\'),
    "event stream": (
        '{"type":"com.twilio.messaging.inbound-message.received","data":{"messageSid":"SM1","body":"by event"}}',
        "by event",
    ),
    "form, NUL": (form("Body=a%00b"), "ab"),
    "form, lower case": (form("Body=%c3%a9%2b"), "é+"),
    "form, button": (form("Body=&ButtonText=Red&ButtonPayload=r"), "Red"),
    "form, place": (form("Latitude=1.5&Longitude=2&Body="), "1.5, 2"),
    "cut emoji": (r'{"message":{"text":"cut \ud83d"}}', "cut \ufffd"),
    "cut emoji beside a whole one": (r'{"message":{"text":"\ude00 \ud83d\ude00"}}', "\ufffd 😀"),
    "bare control character": ('{"message":{"text":"a\tb"}}', "a b"),
    "no JSON": ("hardly", None),
    "empty": ('{"message":{"text":""}}', None),
    "list for an object": ('{"message":["text"],"attachments":7}', None),
}


def attachment(**known):
    names = ("type", "url", "source_id", "media_type", "file_name", "caption")
    return dict.fromkeys(names) | known


ATTACHMENTS = {
    json.dumps(
        {
            "message": {
                "attachments": [
                    {"type": "image", "payload": {"url": "https://x/1", "sticker_id": 369239263222822}},
                    {"type": "fallback", "payload": None, "title": "Title", "URL": "https://x/2"},
                    {"type": "like_heart"},
                ]
            }
        }
    ): [
        attachment(type="image", url="https://x/1", source_id="369239263222822"),
        attachment(type="fallback", url="https://x/2", caption="Title"),
        attachment(type="like_heart"),
    ],
    '{"type":"document","document":{"id":"9","filename":"ü.pdf","mime_type":"application/pdf","caption":"c"}}': [
        attachment(type="document", source_id="9", file_name="ü.pdf", media_type="application/pdf", caption="c")
    ],
    '{"type":"contacts","contacts":[{"name":{"formatted_name":"Desk"}}]}': [
        attachment(type="contacts", caption="Desk")
    ],
    '{"attachment":{"type":"image","payload":{"url":"https://x/3"}}}': [
        attachment(type="image", url="https://x/3")
    ],
    form(
        urlencode(
            {
                "MediaUrl1": "https://x/5?a=b&c",
                "MediaContentType0": "image/jpeg",
                "MediaUrl0": "https://x/4",
                "MediaContentType1": "application/pdf",
                "Body": '"MediaUrl2":"https://x/6"',
            }
        )
    ): [
        attachment(type="image", url="https://x/4", media_type="image/jpeg"),
        attachment(type="file", url="https://x/5?a=b&c", media_type="application/pdf"),
    ],
}
