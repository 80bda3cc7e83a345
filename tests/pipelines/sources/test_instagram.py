import pytest
from told import joins, sample, sample_names, told

ACCOUNT, CONTACT = "17840000000000001", "6000000000000042"

EVENTS = {
    "comment": ["contact source.comments=18000000000000002"],
    "echo": ["outbound message ig_echo echo"],
    "echo_of_cards": ["outbound message ig_cards echo"],
    "edit_that_is_none": ["message source.message_edit=0"],
    "flat_comment": ["contact source.comments=18000000000000004"],
    "flat_message": ["inbound message random_mid test"],
    "icebreaker": ["inbound postback ig_postback"],
    "like_heart": ["inbound message ig_heart"],
    "live_comment": ["contact source.live_comments=18000000000000009"],
    "mention": ["channel source.mentions=18000000000000006"],
    "message_edit": ["message source.edited=Habt ihr das in Blau?"],
    "reaction": ["message reaction.emoji=❤"],
    "reaction_removed": ["message reaction.emoji="],
    "referral": ["conversation source.referral=bio"],
    "referral_by_ad": ["conversation source.referral=61000000000008"],
    "seen": ["message source.delivery_state=read"],
    "self_message": ["outbound message ig_self echo self"],
    "shared_post": ["inbound message ig_post"],
    "shared_reel": ["inbound message ig_reel"],
    "story_insights": ["channel source.story_insights=18000000000000010"],
    "story_mention": ["inbound message ig_mention"],
    "story_reply": ["inbound message ig_story"],
    "text": ["inbound message ig_text"],
    "unsend": ["message source.deleted=true"],
    "unsupported": ["inbound message ig_unsupported unsupported"],
}


def instagram(name):
    return sample("instagram", name, "facebook")


def test_every_sample_is_expected_to_tell_something():
    assert sample_names("instagram") == sorted(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_event_tells(name):
    rows = instagram(name)
    assert told(rows) == EVENTS[name]
    assert rows.channels.source == "instagram"
    assert rows.events.source == "facebook"


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("unsend", "text"),
        ("message_edit", "text"),
        ("seen", "echo"),
        ("reaction", "echo"),
        ("reaction_removed", "echo"),
    ],
)
def test_fact_about_a_message_joins_it(fact, message):
    assert joins(instagram(fact), instagram(message))


def test_withdrawn_message_is_no_message():
    assert instagram("unsend")["messages"] == []


@pytest.mark.parametrize("name", ["comment", "flat_comment"])
def test_comment_tells_the_username(name):
    rows = instagram(name)
    assert (rows.contacts.source_contact_id, rows.contacts.username) == (CONTACT, "kontakt.42")
    assert rows.metadata.occurred_at_from == "envelope"


def test_sample_in_an_array_points_through_it():
    assert instagram("flat_comment").metadata.pointer == "/0/entry/0"


def test_who_writes_to_oneself_is_both_ends():
    rows = instagram("self_message")
    assert rows.contacts.source_contact_id == rows.messages.sender_id == ACCOUNT
