"""Texts and attachments of custom sources, read by the view where the mapping's reading says."""

import json

import pytest
from analyst import Analyst
from raw_events import raw_event

from pipelines.sources import PARSERS, registry
from pipelines.sources.normalization import normalize

pytestmark = pytest.mark.thorough

SOURCES = """
[odd.mapping]
contact = "item.c"
[[odd.mapping.message]]
id = "item.id"
text = "item.a.words || item.a.title"
choice = "item.a.button"
reply_to = "item.a.answers"
[[odd.mapping.message.attachments]]
each = "item.a.files"
type = "attachment.kind"
url = "attachment.href"
id = "attachment.id"
name = "attachment.file"
caption = "attachment.says"
media_type = "attachment.mime"
size = "attachment.bytes"

[plain.mapping]
contact = "item.c"
[[plain.mapping.message]]
id = "item.id"
"""
BODIES = {
    "1": {"a": {"words": 'hi 🚀 "|12:3|" \\ a/b\n'}, "text": "not this"},
    "2": {
        "a": {
            "title": "Ä",
            "answers": 12,
            "button": "B",
            "files": [
                {"kind": "image", "href": "https://a.example/1", "says": "Ä", "mime": "image/png", "bytes": 7},
                {"kind": "file", "id": 9, "file": "ö.pdf"},
            ],
        }
    },
    "3": {"text": "not this either", "a": {}},
}


@pytest.fixture(scope="module")
def told(emulator_environment, googlesql):
    analyst = Analyst(googlesql)
    with pytest.MonkeyPatch.context() as patched:
        for name, parse in registry.parsers(SOURCES).items():
            patched.setitem(PARSERS, name, parse)
        rows = []
        for ascii_only in (False, True):
            for number, body in BODIES.items():
                sent = {"c": "c", "id": f"{number}{ascii_only}"} | body
                data = json.dumps(sent, ensure_ascii=ascii_only).replace("/", "\\/").encode()
                rows += normalize(raw_event(data, source="odd", number=len(rows)))
        form = b"c=c&id=form&a=%C3%A4"
        event = raw_event(form, source="plain", number=len(rows))
        event.attributes["content_type"] = "application/x-www-form-urlencoded"
        rows += normalize(event)
        rows += normalize(raw_event(b'{"c":"c","id":"plain","text":"as usual"}', source="plain", number=len(rows)))
    analyst.load(rows)
    found = {row["source_message_id"]: row for row in analyst.query("SELECT * FROM parley.message_texts")}
    yield found
    analyst.close()


@pytest.mark.parametrize("ascii_only", [False, True])
def test_texts_and_attachments_are_those_that_the_mapping_names(told, ascii_only):
    assert told[f"1{ascii_only}"]["text"] == BODIES["1"]["a"]["words"]
    second = told[f"2{ascii_only}"]
    assert (second["text"], second["choice"], second["reply_to_source_message_id"]) == ("Ä", "B", "12")
    image, file = second["attachments"]
    assert (image["type"], image["url"], image["caption"]) == ("image", "https://a.example/1", "Ä")
    assert (image["media_type"], image["size_bytes"]) == ("image/png", 7)
    assert (file["type"], file["source_id"], file["file_name"]) == ("file", "9", "ö.pdf")


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_mapping_that_finds_no_text_says_that_there_is_none(told, ascii_only):
    third = told[f"3{ascii_only}"]
    assert (third["text"], third["attachments"]) == (None, [])


def test_a_mapping_that_says_nothing_of_texts_leaves_them_as_they_are(told):
    assert told["plain"]["text"] == "as usual"
    assert told["form"]["text"] is None
