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
    "messenger test": ('{"field":"messages","value":{"sender":{"id":"1"},"message":{"text":"try"}}}', "try"),
    "airy card": (
        '{"content":{"type":"richCard","richCard":{"standaloneCard":{"cardContent":{"title":"Our lamp"}}}}}',
        "Our lamp",
    ),
    "own source, place": ('{"message":{"type":"location","location":{"lat":3.5,"lon":4}}}', "3.5, 4"),
    "own source, button": ('{"actions":[{"action_id":"size","value":"xl","text":{"text":"XL"}}]}', "XL"),
    "form, NUL": (form("Body=a%00b"), "ab"),
    "form, lower case": (form("Body=%c3%a9%2b"), "é+"),
    "form, not escaped": (form('Body=café 😀 "ü" \\&Label=é%C3%A9'), 'café 😀 "ü" \\'),
    "form, button": (form("Body=&ButtonText=Red&ButtonPayload=r"), "Red"),
    "form, button without payload": (form("Body=&ButtonText=Green&ButtonPayload="), "Green"),
    "form, list": (form("Body=&ListTitle=Tuesday&ListId=tue"), "Tuesday"),
    "form, list without id": (form("Body=&ListTitle=Monday&ListId="), "Monday"),
    "form, flow": (form("Body=&InteractiveData=%7B%22size%22%3A%22L%22%7D"), None),
    "messenger button without payload": ('{"postback":{"title":"Go on"}}', "Go on"),
    "messenger quick reply without payload": ('{"message":{"text":"Blue","quick_reply":{}}}', "Blue"),
    "messenger button template": (
        '{"message":{"attachments":[{"type":"template","payload":{"template_type":"button","text":"Which?"}}]}}',
        "Which?",
    ),
    "messenger generic template": (
        '{"message":{"attachments":[{"title":"","type":"template",'
        '"payload":{"template_type":"generic","elements":[{"title":"Lamp"},{"title":"Chair"}]}}]}}',
        "Lamp",
    ),
    "instagram generic template": (
        '{"message":{"attachments":[{"type":"template","payload":{"generic":{"elements":[{"title":"Vase"}]}}}]}}',
        "Vase",
    ),
    "messenger products": (
        '{"message":{"attachments":[{"type":"template","payload":{"product":{"elements":[{"id":"7","title":"Rug"}]}}}]}}',
        "Rug",
    ),
    "instagram reel": (
        '{"message":{"attachments":[{"type":"ig_reel","payload":{"reel_video_id":"8","title":"How we weave","url":"https://x/8"}}]}}',
        "How we weave",
    ),
    "instagram reply to a story": (
        '{"message":{"text":"Nice!","reply_to":{"story":{"id":"99","url":"https://x/story"}}}}',
        "Nice!",
    ),
    "whatsapp button without payload": ('{"type":"button","button":{"text":"Later"}}', "Later"),
    "whatsapp form": (
        '{"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"body":"Sent","response_json":"{\\"a\\":1}"}}}',
        "Sent",
    ),
    "whatsapp buttons of ours": (
        '{"type":"interactive","interactive":{"type":"button","body":{"text":"Which size?"}}}',
        "Which size?",
    ),
    "form, place": (form("Latitude=1.5&Longitude=2&Body="), "1.5, 2"),
    "cut emoji": (r'{"message":{"text":"cut \ud83d"}}', "cut \ufffd"),
    "cut emoji beside a whole one": (r'{"message":{"text":"\ude00 \ud83d\ude00"}}', "\ufffd 😀"),
    "bare control character": ('{"message":{"text":"a\tb"}}', "a b"),
    "no JSON": ("hardly", None),
    "empty": ('{"message":{"text":""}}', None),
    "list for an object": ('{"message":["text"],"attachments":7}', None),
}


def attachment(**known):
    names = ("type", "url", "source_id", "media_type", "file_name", "size_bytes", "caption")
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
    '{"contacts":[{"name":{"formatted_name":"Desk"}},{"phones":[{"phone":"+1 555","type":"CELL"}]}]}': [
        attachment(type="contacts", caption="Desk"),
        attachment(type="contacts", caption="+1 555"),
    ],
    r'{"contacts":[{"vcard":"BEGIN:VCARD\nVERSION:3.0\nFN;CHARSET=UTF-8:Z\u00f6e \r\nTEL:1\nEND:VCARD"}]}': [
        attachment(type="contacts", caption="Zöe")
    ],
    '{"message":{"type":"file","media":"https://x/m","file_name":"a.pdf","size":42,"text":"see"}}': [
        attachment(type="file", url="https://x/m", file_name="a.pdf", size_bytes=42)
    ],
    '{"type":"voice","voice":{"id":"v1","mime_type":"audio/ogg; codecs=opus","file_size":2048}}': [
        attachment(type="voice", source_id="v1", media_type="audio/ogg; codecs=opus", size_bytes=2048)
    ],
    '{"text":{"body":"?"},"context":{"referred_product":{"catalog_id":"c","product_retailer_id":"p"}}}': [
        attachment(type="product", source_id="p")
    ],
    '{"message":{"text":"?","referral":{"product":{"id":"p7"}}}}': [attachment(type="product", source_id="p7")],
    '{"type":"location","location":{"latitude":1,"longitude":2,"address":"Pier 1","url":"https://x/map"}}': [
        attachment(type="location", url="https://x/map", caption="Pier 1")
    ],
    json.dumps(
        {
            "message": {
                "attachments": [
                    {
                        "type": "template",
                        "payload": {
                            "template_type": "generic",
                            "elements": [{"title": "Lamp", "image_url": "https://x/lamp"}, {"title": "Chair"}],
                        },
                    },
                    {
                        "type": "ig_reel",
                        "payload": {"reel_video_id": 81, "title": "Weaving", "url": "https://x/r"},
                    },
                    {"type": "template", "payload": {"generic": {"elements": [{"title": "Vase"}]}}},
                    {"type": "file", "payload": {"url": "https://x/f", "size": 17}},
                ]
            }
        }
    ): [
        attachment(type="template", url="https://x/lamp", caption="Lamp"),
        attachment(type="ig_reel", url="https://x/r", source_id="81", caption="Weaving"),
        attachment(type="template", caption="Vase"),
        attachment(type="file", url="https://x/f", size_bytes=17),
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
                "MediaUrl3": "https://x/7",
                "MediaContentType3": "text/vcard",
                "MediaUrl4": "https://x/8",
                "MediaContentType4": "text/plain",
            }
        )
    ): [
        attachment(type="image", url="https://x/4", media_type="image/jpeg"),
        attachment(type="file", url="https://x/5?a=b&c", media_type="application/pdf"),
        attachment(type="contacts", url="https://x/7", media_type="text/vcard"),
        attachment(type="file", url="https://x/8", media_type="text/plain"),
    ],
}

CHOICES = {
    "messenger button": "GO",
    "messenger button without payload": "Go on",
    "messenger quick reply without payload": "Blue",
    "whatsapp list": "x",
    "whatsapp call permission": "accept",
    "whatsapp template button": "p",
    "whatsapp button without payload": "Later",
    "whatsapp form": '{"a":1}',
    "google suggestion": "y",
    "own source, button": "xl",
    "form, button": "r",
    "form, button without payload": "Green",
    "form, list": "tue",
    "form, list without id": "Monday",
    "form, flow": '{"size":"L"}',
    "messenger text": None,
    "whatsapp buttons of ours": None,
}
"""What was chosen in texts of above, by their names."""
