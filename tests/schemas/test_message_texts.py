import datetime as dt

import pytest
from analyst import Analyst

from pipelines.core.item import Lineage
from tests.schemas.written_texts import ATTACHMENTS, CHOICES, TEXTS, Content

pytestmark = pytest.mark.thorough

ESCAPED = (
    r'{"message":{"mid":"m","text":"hi \ud83d\ude80"}}',  # Messenger, Instagram
    r'{"type":"text","text":{"body":"hi \ud83d\ude80"}}',  # WhatsApp
    r'{"agent":"a","message":{"text":"hi \ud83d\ude80"}}',  # Google Business Messages
    r'{"id":"1","content":{"text":"hi \ud83d\ude80"}}',  # Airy
    r'{"text":"hi \ud83d\ude80"}',  # live chat
    r'{"source_message_id":"1","content":"hi \ud83d\ude80"}',  # a source of one's own
)
"""How sources write an emoji in JSON. BigQuery's functions over a STRING take its two halves apart."""

SENT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def texts(emulator_environment, googlesql):
    """What the view makes of each content, by content; in GoogleSQL's reference implementation, too."""
    analyst = Analyst(googlesql)
    contents = [content for content, _ in TEXTS.values()] + [*ATTACHMENTS, *ESCAPED]
    lineage = Lineage("event", int(SENT.timestamp() * 1_000_000))
    for number, content in enumerate(contents):
        media_type = getattr(content, "media_type", Content.media_type)
        with lineage.item("", content.encode(), source="any", content_type=media_type) as item:
            item.message(
                channel_id="channel",
                contact_id="contact",
                conversation_id="conversation",
                source_message_id=str(number),
                direction="inbound",
                sender_id=None,
            )
    assert not lineage.failures
    analyst.load(lineage.rows)
    found = analyst.query("SELECT * FROM parley.message_texts")
    yield {contents[int(row["source_message_id"])]: row for row in found}
    analyst.close()


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_decoded(texts, name):
    content, text = TEXTS[name]

    assert texts[content]["text"] == text


@pytest.mark.parametrize("content", ESCAPED)
def test_an_escaped_emoji_of_every_source_is_read(texts, content):
    assert texts[content]["text"] == "hi 🚀"


@pytest.mark.parametrize("content", ATTACHMENTS)
def test_attachments_are_listed_in_their_order(texts, content):
    assert texts[content]["attachments"] == ATTACHMENTS[content]


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_what_the_program_behind_it_gets_else_the_label(texts, name):
    assert texts[TEXTS[name][0]]["choice"] == CHOICES[name]


def test_a_reply_tells_which_story_it_answers(texts):
    answered = {
        (row["reply_to_story_id"], row["reply_to_story_url"]) for row in texts.values() if row["reply_to_story_id"]
    }

    assert answered == {("99", "https://x/story")}
